"""``mlp``: a small network for each modality, trained by PyTorch and run by NumPy."""

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.base import MODALITIES, Hasher, Modality
from xmodal.hashing.checks import Floats, Reals, check_enough_labelled
from xmodal.hashing.rotation import Doubles

# The arrays of a head, float32, kept as image_mean_, text_mean_ and so on.
PARTS = ("mean", "scale", "inner", "inner_offset", "outer", "skip", "offset")


class MLP(Hasher):
    """A head on frozen features for each modality, learned from labels: not linear in the features.

    With features x, standardised by the training rows, a head is

        h = tanh(x·S + GELU(x·A + a)·C + c)

    with ``width`` hidden units: a linear hasher, x·S + c, and what the hidden layer adds to it. It
    is trained by gradients on the losses of :mod:`xmodal.hashing.mlp_training`: a proxy for each
    class, distance between rows that share no label, a supervised contrast within and across
    modalities, and the loss of taking signs. Training needs PyTorch; coding needs NumPy alone.

    Labels are 0/1 or soft in [0, 1]; a row that lacks one modality teaches the head of the other;
    a row without labels only tells means and scales.

    Parameters
    ----------
    bits, seed: as in every hasher.
    width: hidden units of each head.
    rounds: passes over the rows; None takes the number with the best mAP on training rows that
        were held out, and then learns from all rows.

    >>> rng = np.random.default_rng(0)
    >>> labels = np.eye(4)[rng.integers(4, size=200)]
    >>> images, texts = labels @ rng.normal(size=(4, 32)), labels @ rng.normal(size=(4, 16))
    >>> mlp = MLP(bits=16, rounds=10).fit(images, texts, labels)
    >>> agree = mlp.project_images(images) * mlp.project_texts(texts) > 0
    >>> bool(agree.mean() > 0.9)
    True
    """

    name = "mlp"
    description = "labels: a small neural network on the features, needs PyTorch to learn"
    needs_labels = True
    feature_weight = 0.5

    def __init__(
        self, bits: int = 64, seed: int = 0, width: int = 512, rounds: int | None = None
    ) -> None:
        super().__init__(bits, seed)
        self.width = width
        self.rounds = rounds

    def _fit(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        self._check_parameters()
        check_enough_labelled(images, texts, labels, self.bits)
        try:
            import torch  # noqa: F401
        except ImportError as error:
            raise HasherError(
                f"{self.name}: learning needs PyTorch, which cannot be imported ({error}); install "
                "the package torch, or use lemon, which needs NumPy alone"
            ) from error
        from xmodal.hashing.mlp_training import Rows, learn_heads

        heads = learn_heads(
            Rows(images, texts, labels, (self.image_mean_, self.text_mean_)),
            bits=self.bits, seed=self.seed, width=self.width, rounds=self.rounds,
        )  # fmt: skip
        for modality, head in zip(MODALITIES, heads, strict=True):
            for part, values in head.items():
                setattr(self, f"{modality}_{part}_", values)

    def _check_parameters(self) -> None:
        if not _is_count(self.width):
            raise HasherError(f"width: expected an integer from 1, found {self.width!r}")
        if self.rounds is not None and not _is_count(self.rounds):
            raise HasherError(f"rounds: expected None or an integer from 1, found {self.rounds!r}")

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        # In float64 a value's sign does not depend on the batch that it was computed in.
        mean, scale, inner, inner_offset, outer, skip, offset = (
            getattr(self, f"{modality}_{part}_").astype(np.float64) for part in PARTS
        )
        x = (features - mean) * scale
        return np.tanh(x @ skip + gelu(x @ inner + inner_offset) @ outer + offset)


def gelu(x: Doubles) -> Doubles:
    """The Gaussian error linear unit in its tanh form (Hendrycks & Gimpel, 2016).

    ½x(1 + tanh(√(2/π)(x + 0.044715x³))): PyTorch has the same form, NumPy has no error function.

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(3)
    array([-0.159,  0.   ,  0.841])
    """
    out = np.tanh(np.sqrt(2 / np.pi) * x * (1 + 0.044715 * x * x))
    out += 1
    out *= x
    out /= 2
    return out


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)
