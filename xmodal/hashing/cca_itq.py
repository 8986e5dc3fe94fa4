"""``cca-itq``: canonical correlations of images and texts, then a rotation; needs no labels."""

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.base import MODALITIES
from xmodal.hashing.checks import Reals, check_ridge
from xmodal.hashing.features import FeatureHasher
from xmodal.hashing.itq import ROTATION_ROWS
from xmodal.hashing.pairs import PairSums, whitening
from xmodal.hashing.rotation import Doubles, itq_rotation, unit_rows

RELATIVE_RIDGE = 0.1
# Correlations below this share of the largest one are noise, more surely so with few rows: then
# the edge of what unrelated features show counts, up to the second share. Bits spent on noise hurt.
SIGNIFICANT, SIGNIFICANT_OF_FEW = 0.1, 0.5


class CCAITQ(FeatureHasher):
    """Canonical correlation analysis, then iterative quantisation (Gong & Lazebnik, CVPR 2011).

    Pairs of directions in which images and their texts correlate most: with ridge covariances,
    Cxy Cyy⁻¹ Cyx w = ρ² Cxx w. Each pair is scaled by its correlation ρ and those that are noise
    are left out; one rotation, for more bits than pairs a tight frame, is learned on both
    modalities. The features of the two need not share a space.
    """

    name = "cca-itq"
    description = "no labels: canonical correlations of pairs, then the rotation of ITQ"

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
        check_ridge(self.ridge)
        self._choose_features(images, texts, np.random.default_rng(self.seed))
        return PairSums(self, ROTATION_ROWS)

    def _solve(self) -> None:
        sums = self._sums
        if sums.rows < self.min_rows:
            raise HasherError(
                f"texts: expected at least {self.min_rows} rows with both modalities, "
                f"found {sums.rows}"
            )
        directions = correlated_directions(
            sums.scatter("image", "image"),
            sums.scatter("text", "text"),
            sums.scatter("image", "text"),
            rows=sums.rows,
            ridge=self.ridge,
            most=self.bits,
        )
        rows = np.vstack(
            [unit_rows(sums.sample(m) @ w) for m, w in zip(MODALITIES, directions, strict=True)]
        )
        rng = np.random.default_rng(self.seed)
        rotation = itq_rotation(rows, np.ones(len(rows)), self.bits, rng)
        for modality, w in zip(MODALITIES, directions, strict=True):
            self._adopt(modality, w @ rotation, -sums.mean(modality) @ w @ rotation)


def correlated_directions(
    xx: Doubles, yy: Doubles, xy: Doubles, *, rows: int, ridge: float, most: int
) -> tuple[Doubles, Doubles]:
    """At most ``most`` significant pairs of canonical directions, each scaled by its correlation.

    ``xx``, ``yy``, ``xy``: scatter of ``rows`` images and texts, and between them. Returns
    ``(image_dim, k)`` and ``(text_dim, k)``.
    """
    white_x, white_y = whitening(xx, ridge), whitening(yy, ridge)
    left, correlations, right = np.linalg.svd(white_x.T @ xy @ white_y, full_matrices=False)
    edge = (np.sqrt(len(xx)) + np.sqrt(len(yy))) / np.sqrt(rows)
    share = float(np.clip(edge, SIGNIFICANT, SIGNIFICANT_OF_FEW))
    kept = min(int(np.sum(correlations > share * correlations[0])), most)
    scaled = correlations[:kept]
    return white_x @ left[:, :kept] * scaled, white_y @ right[:kept].T * scaled
