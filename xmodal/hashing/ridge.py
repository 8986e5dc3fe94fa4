"""Ridge regression from features to codes, from sums to which further rows can be added."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.hashing.chunks import RowNumbers
from xmodal.hashing.moments import Moments
from xmodal.hashing.rotation import Doubles

# A column whose spread is below this share of the largest is constant up to rounding.
CONSTANT = 1e-6
# A row that decides its own prediction alone has no other one: its pull on it is bounded.
ALONE = 1e-3


class RidgeSums:
    """Moments of features Φ and codes B side by side: all that a ridge needs of any rows."""

    def __init__(self, dim: int, bits: int) -> None:
        self._dim = dim
        self._moments = Moments(dim + bits)

    def add(self, features: NDArray[np.floating], codes: NDArray[np.floating]) -> None:
        """Take in features ``(n, dim)`` and their codes ±1 ``(n, bits)``."""
        self.merge(self.of(features, codes))

    @staticmethod
    def of(features: NDArray[np.floating], codes: NDArray[np.floating]) -> Moments:
        """The moments of some rows, to be merged."""
        return Moments.of(np.concatenate([features, codes], axis=1, dtype=features.dtype))

    def merge(self, moments: Moments) -> None:
        """Take in rows of which the moments are known."""
        self._moments.merge(moments)

    def add_rows(self, numbers: RowNumbers, moments: Callable[[RowNumbers], Moments]) -> None:
        """Take in rows by their numbers; ``moments`` gives those of a chunk, as :meth:`of` does."""
        self._moments.add(numbers, moments)

    def solve(self, ridges: ArrayLike) -> list[tuple[Doubles, Doubles]]:
        """For each ridge ξ the map ``(dim, bits)`` and the offset ``(bits,)``.

        (ΦᵀΦ + ξI)⁻¹ΦᵀB of the features centred and scaled to unit variance, both folded into the
        result, so that ``features @ map + offset`` is near the centred codes. One
        eigendecomposition serves all ξ.
        """
        turned = self._turned()
        found = []
        for ridge in np.atleast_1d(ridges):
            matrix = turned.axes @ (turned.target / (turned.values + ridge)[:, None])
            found.append((matrix, -turned.mean @ matrix))
        return found

    def left_out(
        self,
        features: NDArray[np.floating],
        codes: NDArray[np.floating],
        ridges: ArrayLike,
        group: NDArray[np.int64] | None = None,
    ) -> Iterator[Doubles]:
        """For each ridge what rows that were added would be mapped to without themselves.

        The prediction without row i is b̂ᵢ − hᵢ(bᵢ − b̂ᵢ) / (1 − hᵢ), h the diagonal of the hat
        matrix (Allen, *Technometrics* 1974). Equal rows of one ``group``, see :func:`equal_rows`,
        are left out together: hᵢ times their number, and bᵢ their mean. Float64 ``(n, bits)``,
        centred as the codes are.
        """
        turned = self._turned()
        rows = (features - turned.mean) @ turned.axes
        group = np.arange(len(rows)) if group is None else group
        count = np.bincount(group, minlength=len(group))[group]
        wanted = np.zeros(codes.shape)
        np.add.at(wanted, group, codes - self._moments.mean[self._dim :])
        wanted = wanted[group] / count[:, None]
        for ridge in np.atleast_1d(ridges):
            shrunk = 1 / (turned.values + ridge)
            fitted = rows @ (turned.target * shrunk[:, None])
            hat = count * (rows**2 @ shrunk + 1 / self._moments.rows)
            pull = hat / np.maximum(1 - hat, ALONE)
            yield fitted - pull[:, None] * (wanted - fitted)

    def _turned(self) -> "_Turned":
        """The normal equations along the eigenvectors of ΦᵀΦ, of features of unit variance."""
        known, dim = self._moments, self._dim
        mean, gram = known.mean[:dim], known.scatter[:dim, :dim]
        spread = np.sqrt(np.maximum(np.diag(gram), 0) / known.rows)
        varies = spread > CONSTANT * max(float(spread.max()), float(np.abs(mean).max()))
        scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
        cross = scale[:, None] * known.scatter[:dim, dim:]
        values, vectors = np.linalg.eigh(scale[:, None] * gram * scale)
        return _Turned(mean, scale[:, None] * vectors, np.maximum(values, 0), vectors.T @ cross)


class _Turned(NamedTuple):
    """``(features - mean) @ axes`` are coordinates in which ΦᵀΦ is diagonal: its ``values``."""

    mean: Doubles
    axes: Doubles
    values: Doubles
    target: Doubles


def equal_rows(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """For each row the number of the first row that equals it: int64 ``(n,)``.

    A row of NaN, which is missing, equals no other.
    """
    rows = np.ascontiguousarray(values)
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    found: NDArray[np.int64] = np.where(np.isnan(rows[:, 0]), np.arange(len(rows)), first[inverse])
    return found
