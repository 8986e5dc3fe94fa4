"""``scm-orth`` and ``scm-seq``: semantic correlation maximisation, at once or bit by bit."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.base import MODALITIES
from xmodal.hashing.checks import Reals, check_more_than_bits, check_ridge
from xmodal.hashing.features import FeatureHasher
from xmodal.hashing.pairs import PairSums, whitening
from xmodal.hashing.rotation import Doubles

# Ridge of both covariances, relative to their mean variance: far smaller ones overfit.
RELATIVE_RIDGE = 1.0
# Rows on which the residual of a bit is measured.
RESIDUAL_ROWS = 20_000
# Two nearly equal singular values are told apart slowly, and either will do.
POWER_ITERATIONS = 200


class SCM(FeatureHasher):
    """What both share: the cross-modal correlation of features, weighted by label similarity.

    With G the labels, rows of unit length, the similarity is S = 2GGᵀ − 11ᵀ, never formed:
    C = k ΦxᵀSΦy = k [2(ΦxᵀG)(ΦyᵀG)ᵀ − (Φxᵀ1)(Φyᵀ1)ᵀ] takes time linear in the rows (Zhang & Li,
    AAAI 2014, equation 7). Rows that lack a modality or labels are left out.
    """

    needs_labels = True
    feature_weight = 0.5

    sample_rows: ClassVar[int] = 0
    _sums: PairSums

    def __init__(
        self,
        bits: int = 64,
        seed: int = 0,
        ridge: float = RELATIVE_RIDGE,
        features: str = "linear",
        anchors: int = 500,
    ) -> None:
        super().__init__(bits, seed, features, anchors)
        self.ridge = ridge

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> PairSums:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        check_ridge(self.ridge)
        self._choose_features(images, texts, np.random.default_rng(self.seed))
        return PairSums(self, self.sample_rows, labels.shape[1])

    def _solve(self) -> None:
        sums = self._sums
        check_more_than_bits(sums.rows, self.bits)
        # Unit variance, so that one relative ridge suits every feature.
        scales = [inverse_spread(sums.scatter(m, m) / sums.rows) for m in MODALITIES]
        white = [
            whitening(scale[:, None] * sums.scatter(m, m) * scale, self.ridge)
            for m, scale in zip(MODALITIES, scales, strict=True)
        ]
        xg, yg = (
            scale[:, None] * sums.scatter(m, "labels")
            for m, scale in zip(MODALITIES, scales, strict=True)
        )
        learned = self._learn(similarity(xg, yg, self.bits), white, scales)
        for modality, scale, w in zip(MODALITIES, scales, learned, strict=True):
            projection = scale[:, None] * w
            self._adopt(modality, projection, -sums.mean(modality) @ projection)

    @abstractmethod
    def _learn(
        self, correlation: Doubles, white: list[Doubles], scales: list[Doubles]
    ) -> tuple[Doubles, Doubles]:
        """Projections ``(image_dim, bits)`` and ``(text_dim, bits)`` of scaled features.

        ``correlation`` is C, ``white`` the whitening and ``scales`` the scale of each modality.
        """


class ScmOrth(SCM):
    """All bits at once: the leading pairs of directions of one eigenproblem (section 3.2).

    C Cyy⁻¹ Cᵀ w = λ² Cxx w. The similarity has no more rank than the labels have classes, so
    longer codes are filled with directions that tell little: the loss that ``scm-seq`` repairs.
    """

    name = "scm-orth"
    description = "labels: semantic correlation maximisation, all bits at once"
    nested = True

    def _learn(
        self, correlation: Doubles, white: list[Doubles], scales: list[Doubles]
    ) -> tuple[Doubles, Doubles]:
        most = min(correlation.shape)
        if self.bits > most:
            raise HasherError(
                f"bits: expected at most {most}, the smaller dimension of the two features, since "
                f"{self.name} gives each direction one bit; found {self.bits}; scm-seq has no limit"
            )
        left, _, right = np.linalg.svd(white[0].T @ correlation @ white[1])
        return white[0] @ left[:, : self.bits], white[1] @ right[: self.bits].T


class ScmSeq(SCM):
    """Bit by bit, each on what the bits before it left over (section 3.3, algorithm 1).

    The objective ‖sgn(ΦxWx) sgn(ΦyWy)ᵀ − kS‖² has a residual form: after each bit
    C ← C − (Φxᵀ sgn(Φx wx))(Φyᵀ sgn(Φy wy))ᵀ. The factor k of S is the full length: each bit of a
    long code takes little away, so that its first bits say nearly the same, and a prefix is no
    substitute for a shorter code. Beyond ``RESIDUAL_ROWS`` rows the residual is measured on a
    random sample of as many, so that a bit costs the same for any number of rows.
    """

    name = "scm-seq"
    description = "labels: semantic correlation maximisation, bit by bit"

    sample_rows = RESIDUAL_ROWS

    def _learn(
        self, correlation: Doubles, white: list[Doubles], scales: list[Doubles]
    ) -> tuple[Doubles, Doubles]:
        rows = [self._sums.sample(m) * scale for m, scale in zip(MODALITIES, scales, strict=True)]
        share = self._sums.rows / len(rows[0])
        found = [np.empty((len(w), self.bits)) for w in white]
        for bit in range(self.bits):
            pair = leading_pair(white[0].T @ correlation @ white[1])
            told = []
            for part, direction in enumerate(pair):
                w = white[part] @ direction
                found[part][:, bit] = w
                told.append(share * rows[part].T @ np.where(rows[part] @ w > 0, 1.0, -1.0))
            correlation = correlation - np.outer(*told)
        return found[0], found[1]


def similarity(xg: Doubles, yg: Doubles, bits: int) -> Doubles:
    """k ΦxᵀSΦy ``(image_dim, text_dim)`` for S = 2GGᵀ − 11ᵀ, from ΦxᵀG and ΦyᵀG.

    The features are centred, so that the term of 11ᵀ is zero.
    """
    return 2 * bits * xg @ yg.T


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


def inverse_spread(covariance: Doubles) -> Doubles:
    """One over each feature's standard deviation; zero for one that is constant up to rounding."""
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    varies = spread > 1e-6 * max(float(spread.max()), 1e-30)
    return np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
