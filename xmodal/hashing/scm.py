"""``scm-orth`` and ``scm-seq``: semantic correlation maximisation, at once or bit by bit."""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.base import LinearHasher
from xmodal.hashing.checks import Floats, complete_rows, present_mean
from xmodal.hashing.rotation import Doubles

# Ridge of both covariances, relative to their mean variance: far smaller ones overfit.
RELATIVE_RIDGE = 1.0
# Rows taken at a time, so that float64 copies stay small.
CHUNK = 20_000
# Two nearly equal singular values are told apart slowly, and either will do.
POWER_ITERATIONS = 200


class SCM(LinearHasher):
    """What both share: the cross-modal correlation of features, weighted by label similarity.

    With G the labels, rows of unit length, the similarity is S = 2GGᵀ − 11ᵀ, never formed:
    C = k ΦxᵀSΦy = k [2(ΦxᵀG)(ΦyᵀG)ᵀ − (Φxᵀ1)(Φyᵀ1)ᵀ] takes time linear in the rows (Zhang & Li,
    AAAI 2014, equation 7). Rows that lack a modality or labels are left out.
    """

    needs_labels = True
    feature_weight = 0.5

    def __init__(self, bits: int = 64, seed: int = 0, ridge: float = RELATIVE_RIDGE) -> None:
        super().__init__(bits, seed)
        self.ridge = ridge

    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        if not 0 < self.ridge < np.inf:
            raise HasherError(f"ridge: expected a number above 0, found {self.ridge!r}")
        known = complete_rows(images, texts, labels, self.bits)
        self.image_mean_, self.text_mean_ = present_mean(images), present_mean(texts)
        # Unit variance, so that one relative ridge suits every feature.
        x_scale, y_scale = _scale(images), _scale(texts)
        x = (images[known] - self.image_mean_) * x_scale
        y = (texts[known] - self.text_mean_) * y_scale
        wx, wy = self._learn(x, y, labels[known].astype(np.float64))
        self.image_projection_ = (x_scale[:, None] * wx).astype(np.float32)
        self.text_projection_ = (y_scale[:, None] * wy).astype(np.float32)

    @abstractmethod
    def _learn(self, x: Floats, y: Floats, labels: Doubles) -> tuple[Doubles, Doubles]:
        """Projections of scaled features: ``(image_dim, bits)`` and ``(text_dim, bits)``."""


class ScmOrth(SCM):
    """All bits at once: the leading pairs of directions of one eigenproblem (section 3.2).

    C Cyy⁻¹ Cᵀ w = λ² Cxx w. The similarity has no more rank than the labels have classes, so
    longer codes are filled with directions that tell little: the loss that ``scm-seq`` repairs.
    """

    name = "scm-orth"
    description = "labels: semantic correlation maximisation, all bits at once"

    def _learn(self, x: Floats, y: Floats, labels: Doubles) -> tuple[Doubles, Doubles]:
        most = min(x.shape[1], y.shape[1])
        if self.bits > most:
            raise HasherError(
                f"bits: expected at most {most}, the smaller dimension of the two features, since "
                f"{self.name} gives each direction one bit; found {self.bits}; scm-seq has no limit"
            )
        white_x, white_y = whitening(x, self.ridge), whitening(y, self.ridge)
        left, _, right = np.linalg.svd(white_x.T @ similarity(x, y, labels, self.bits) @ white_y)
        return white_x @ left[:, : self.bits], white_y @ right[: self.bits].T


class ScmSeq(SCM):
    """Bit by bit, each on what the bits before it left over (section 3.3, algorithm 1).

    The objective ‖sgn(ΦxWx) sgn(ΦyWy)ᵀ − kS‖² has a residual form: after each bit
    C ← C − (Φxᵀ sgn(Φx wx))(Φyᵀ sgn(Φy wy))ᵀ. Bits come in order of worth, so that a prefix is the
    code of fewer bits, up to the factor k of S, which is that of the full length.
    """

    name = "scm-seq"
    description = "labels: semantic correlation maximisation, bit by bit"

    def _learn(self, x: Floats, y: Floats, labels: Doubles) -> tuple[Doubles, Doubles]:
        white_x, white_y = whitening(x, self.ridge), whitening(y, self.ridge)
        residual = similarity(x, y, labels, self.bits)
        wx, wy = np.empty((x.shape[1], self.bits)), np.empty((y.shape[1], self.bits))
        for bit in range(self.bits):
            left, right = leading_pair(white_x.T @ residual @ white_y)
            wx[:, bit], wy[:, bit] = white_x @ left, white_y @ right
            residual -= np.outer(_signed_sum(x, wx[:, bit]), _signed_sum(y, wy[:, bit]))
        return wx, wy


def similarity(x: Floats, y: Floats, labels: Doubles, bits: int) -> Doubles:
    """k ΦxᵀSΦy ``(image_dim, text_dim)`` for S = 2GGᵀ − 11ᵀ, from sums over rows."""
    norm = np.linalg.norm(labels, axis=1, keepdims=True)
    g = labels / np.where(norm > 0, norm, 1.0)
    xg, yg = _product(x, g), _product(y, g)
    ones = np.outer(x.sum(axis=0, dtype=np.float64), y.sum(axis=0, dtype=np.float64))
    return bits * (2 * xg @ yg.T - ones)


def leading_pair(matrix: Doubles) -> tuple[Doubles, Doubles]:
    """The singular vectors of the largest singular value, by power iteration."""
    right = matrix[np.linalg.norm(matrix, axis=1).argmax()]
    right = right / (np.linalg.norm(right) or 1.0)
    for _ in range(POWER_ITERATIONS):
        left = matrix @ right
        left /= np.linalg.norm(left) or 1.0
        step = matrix.T @ left
        step /= np.linalg.norm(step) or 1.0
        done = abs(step @ right) > 1 - 1e-12
        right = step
        if done:
            break
    return left, right


def whitening(features: Floats, ridge: float) -> Doubles:
    """M ``(d, d)`` with MMᵀ = (ΦᵀΦ + ridge · tr(ΦᵀΦ)/d · I)⁻¹."""
    gram = _product(features, features)
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0) + ridge * max(np.trace(gram) / len(gram), 1e-12)
    return vectors / np.sqrt(values)


def _product(a: NDArray[np.floating], b: NDArray[np.floating]) -> Doubles:
    total = np.zeros((a.shape[1], b.shape[1]))
    for start in range(0, len(a), CHUNK):
        part = slice(start, start + CHUNK)
        total += a[part].astype(np.float64).T @ b[part]
    return total


def _signed_sum(features: Floats, direction: Doubles) -> Doubles:
    """Φᵀ sgn(Φw) ``(d,)``."""
    total = np.zeros(features.shape[1])
    for start in range(0, len(features), CHUNK):
        rows = features[start : start + CHUNK].astype(np.float64)
        total += rows.T @ np.where(rows @ direction > 0, 1.0, -1.0)
    return total


def _scale(features: Floats) -> Floats:
    spread = np.nanstd(features, axis=0, dtype=np.float64)
    varies = spread > 1e-6 * max(float(spread.max()), 1e-30)
    return np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0).astype(np.float32)
