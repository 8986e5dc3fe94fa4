"""``cca-itq``: canonical correlations of images and texts, then a rotation; needs no labels."""

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.base import LinearHasher
from xmodal.hashing.checks import Floats, present_mean
from xmodal.hashing.itq import ROTATION_ROWS, unit_rows
from xmodal.hashing.rotation import Doubles, itq_rotation
from xmodal.hashing.scm import whitening

RELATIVE_RIDGE = 0.1
# Correlations below this share of the largest one are noise, more surely so with few rows: then
# the edge of what unrelated features show counts, up to the second share. Bits spent on noise hurt.
SIGNIFICANT, SIGNIFICANT_OF_FEW = 0.1, 0.5


class CCAITQ(LinearHasher):
    """Canonical correlation analysis, then iterative quantisation (Gong & Lazebnik, CVPR 2011).

    Pairs of directions in which images and their texts correlate most: with ridge covariances,
    Cxy Cyy⁻¹ Cyx w = ρ² Cxx w. Each pair is scaled by its correlation ρ and those that are noise
    are left out; one rotation, for more bits than pairs a tight frame, is learned on both
    modalities. The features of the two need not share a space.
    """

    name = "cca-itq"
    description = "no labels: canonical correlations of pairs, then the rotation of ITQ"

    def __init__(self, bits: int = 64, seed: int = 0, ridge: float = RELATIVE_RIDGE) -> None:
        super().__init__(bits, seed)
        self.ridge = ridge

    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        if not 0 < self.ridge < np.inf:
            raise HasherError(f"ridge: expected a number above 0, found {self.ridge!r}")
        paired = ~np.isnan(images[:, 0]) & ~np.isnan(texts[:, 0])
        if paired.sum() < self.min_rows:
            raise HasherError(
                f"texts: expected at least {self.min_rows} rows with both modalities, "
                f"found {int(paired.sum())}"
            )
        self.image_mean_, self.text_mean_ = present_mean(images), present_mean(texts)
        x, y = images[paired] - self.image_mean_, texts[paired] - self.text_mean_
        wx, wy = correlated_directions(x, y, self.ridge, self.bits)
        rng = np.random.default_rng(self.seed)
        some = np.sort(rng.permutation(len(x))[:ROTATION_ROWS])
        rows = np.vstack([unit_rows(x[some] @ wx), unit_rows(y[some] @ wy)])
        rotation = itq_rotation(rows, np.ones(len(rows)), self.bits, rng)
        self.image_projection_ = (wx @ rotation).astype(np.float32)
        self.text_projection_ = (wy @ rotation).astype(np.float32)


def correlated_directions(x: Floats, y: Floats, ridge: float, most: int) -> tuple[Doubles, Doubles]:
    """At most ``most`` significant pairs of canonical directions, each scaled by its correlation.

    ``x``, ``y``: centred, paired ``(n, d)``. Returns ``(image_dim, k)`` and ``(text_dim, k)``.
    """
    white_x, white_y = whitening(x, ridge), whitening(y, ridge)
    cross = x.astype(np.float64).T @ y
    left, correlations, right = np.linalg.svd(white_x.T @ cross @ white_y, full_matrices=False)
    edge = (np.sqrt(x.shape[1]) + np.sqrt(y.shape[1])) / np.sqrt(len(x))
    share = float(np.clip(edge, SIGNIFICANT, SIGNIFICANT_OF_FEW))
    kept = min(int(np.sum(correlations > share * correlations[0])), most)
    scaled = correlations[:kept]
    return white_x @ left[:, :kept] * scaled, white_y @ right[:kept].T * scaled
