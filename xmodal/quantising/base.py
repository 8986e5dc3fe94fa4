"""The quantiser contract: real projections in, bits out, and how much was lost between the two.

The bits of every quantiser here are signs of linear functions of the projected values: thresholds
on single dimensions, or a rotation. A subclass implements ``_fit``, which sets the directions and
thresholds; checking, packing, reconstruction and both losses are done here.
"""

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import HasherError
from xmodal.hamming.packing import pack_bits
from xmodal.hashing.checks import Floats, Reals, check_bits
from xmodal.hashing.chunks import float_rows, one_blas_thread, slices
from xmodal.hashing.rotation import Doubles
from xmodal.quantising.checks import check_values, sample_values

# Rows that thresholds and rotations are learned from; more do not move them measurably.
SAMPLE = 10_000
# Share of the mean diagonal added before solving for the steps: bits that never change get none.
RIDGE = 1e-9


class Quantiser(ABC):
    """Learns ``bits`` bits of projected values ``(n, dims)``, columns in order of their variance.

    Bit ``j`` is 1 where ``values @ directions_[:, j] > thresholds_[j]``. A code is read back as
    ``mean_ + (b − balance_) @ steps_`` with b = ±1, the least-squares reconstruction that moves
    along each bit's direction by a step of its own; for thresholds these are the means of the
    regions. Columns beyond those that a quantiser uses are read back as their mean.

    Attributes
    ----------
    directions_: float64 ``(dims, bits)``.
    thresholds_: float64 ``(bits,)``.
    mean_: float64 ``(dims,)``, of the values.
    balance_: float64 ``(bits,)``, the mean of each bit as ±1.
    steps_: float64 ``(bits, dims)``.
    scale_: the one step which, taken for every bit, reads codes back with the least loss.
    """

    name: ClassVar[str]
    description: ClassVar[str]

    directions_: Doubles
    thresholds_: Doubles
    mean_: Doubles
    balance_: Doubles
    steps_: Doubles
    scale_: float

    def __init__(self, bits: int = 128, seed: int = 0) -> None:
        self.bits = bits
        self.seed = seed

    def needed_dims(self, bits: int) -> int:
        """The fewest dimensions of which ``bits`` bits can be taken."""
        return bits

    def wanted_dims(self, bits: int) -> int:
        """The dimensions of which ``bits`` bits are best taken, if there are as many."""
        return self.needed_dims(bits)

    def fit(self, values: ArrayLike) -> Self:
        """Learn from at most 10,000 rows, picked by the seed, of float ``(n, dims)``.

        Raises
        ------
        HasherError: naming the argument, what was expected and what was found.
        """
        needed = self.needed_dims(check_bits(self.bits))
        what = f"{self.bits} bits of {self.name}"
        sample = sample_values(values, needed, what, SAMPLE, self.seed).astype(np.float64)
        rng = np.random.default_rng(self.seed)
        with one_blas_thread():
            directions, thresholds = self._fit(sample, rng)
            self._adopt(sample, directions, thresholds)
        return self

    def reals(self, values: ArrayLike) -> Floats:
        """The real values whose sign is the code, of ``(n, dims)``: float32 ``(n, bits)``."""
        checked = self._check(values)
        out = np.empty((len(checked), self.bits), np.float32)
        for part in slices(len(checked)):
            out[part] = project(float_rows(checked, part), self.directions_, self.thresholds_)
        return out

    def encode(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Codes of ``(n, dims)``: uint8 ``(n, bits // 8)``, packed as :func:`numpy.packbits`."""
        return pack_bits(self.reals(values))

    def loss(self, values: ArrayLike) -> float:
        """The quantisation loss: Σ‖v − v̂‖² / Σ‖v − ``mean_``‖² over rows v of ``(n, dims)``.

        v̂ is the code of v read back with ``steps_``. 0 is no loss, 1 what a code of no bits loses:
        on the same values the losses of different quantisers and lengths compare.
        """
        checked = self._check(values)
        return self._loss(checked, self.steps_)

    def hamming_loss(self, values: ArrayLike) -> float:
        """The same loss where every bit moves v̂ by the same step, ``scale_``.

        That is what plain Hamming distance knows of the values: to it all bits are equal. A
        rotation lowers this loss, and so does giving dimensions of larger variance more bits.
        """
        checked = self._check(values)
        return self._loss(checked, self.scale_ * self.directions_.T)

    def weights(self, queries: ArrayLike) -> Floats:
        """What each bit of an item counts for these queries ``(n, dims)``: float32 ``(n, bits)``.

        Σ_j w_j b_j with w = (q − ``mean_``) ``steps_``ᵀ is, up to a constant that is the same for
        all items, the inner product of the centred query with the item's v̂.
        """
        checked = self._check(queries)
        out = np.empty((len(checked), self.bits), np.float32)
        for part in slices(len(checked)):
            out[part] = weigh(float_rows(checked, part), self.mean_, self.steps_)
        return out

    def get_params(self) -> dict[str, Any]:
        """The parameters of ``__init__`` and their values."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({params})"

    @abstractmethod
    def _fit(self, values: Doubles, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        """Directions ``(dims, bits)`` and thresholds ``(bits,)`` for checked values."""

    def _check(self, values: ArrayLike) -> Reals:
        if not hasattr(self, "steps_"):
            raise HasherError(f"{self.name}: not fitted yet; call fit(values)")
        return check_values(values, len(self.mean_), self.name)

    def _signs(self, values: NDArray[np.floating]) -> Doubles:
        return signs_of(values, self.directions_, self.thresholds_)

    def _adopt(self, values: Doubles, directions: Doubles, thresholds: Doubles) -> None:
        """Keep the bits, and learn how far each of them moves along its direction.

        Least squares: with c the centred bits ±1 and a step α_j for each, ‖v − Σ_j α_j c_j d_j‖² of
        the centred values is smallest for (CᵀC ∘ DᵀD) α = diag(CᵀVD); with the same step for all
        bits, for the sums of both sides.
        """
        signs, mean = signs_of(values, directions, thresholds), values.mean(axis=0)
        balance = signs.mean(axis=0)
        signs -= balance
        gram = (signs.T @ signs) * (directions.T @ directions)
        if not np.diag(gram).any():
            raise HasherError(
                f"values: expected columns with values on both sides of zero for {self.name}, "
                "found none; centre the values first"
            )
        target = (signs * ((values - mean) @ directions)).sum(axis=0)
        self.scale_ = float(target.sum() / gram.sum())
        gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
        self.steps_ = np.linalg.solve(gram, target)[:, None] * directions.T
        self.directions_, self.thresholds_ = directions, thresholds
        self.mean_, self.balance_ = mean, balance

    def _loss(self, values: Reals, steps: Doubles) -> float:
        if not len(values):
            raise HasherError("values: expected at least 1 row, found 0")
        lost = total = 0.0
        for part in slices(len(values)):
            rows = float_rows(values, part)
            centred = rows - self.mean_
            read = (self._signs(rows) - self.balance_) @ steps
            lost += float(((centred - read) ** 2).sum())
            total += float((centred**2).sum())
        return lost / max(total, np.finfo(np.float64).tiny)


def project(values: NDArray[np.floating], directions: Doubles, thresholds: Doubles) -> Doubles:
    """The reals ``(n, bits)`` of ``(n, dims)``; in float64 no sign depends on the batch."""
    return values.astype(np.float64) @ directions - thresholds


def weigh(queries: NDArray[np.floating], mean: Doubles, steps: Doubles) -> Doubles:
    """The weights ``(n, bits)`` of queries ``(n, dims)``."""
    return (queries.astype(np.float64) - mean) @ steps.T


def signs_of(values: NDArray[np.floating], directions: Doubles, thresholds: Doubles) -> Doubles:
    """The bits ``(n, bits)`` as ±1."""
    return np.where(project(values, directions, thresholds) > 0, 1.0, -1.0)
