"""``itq``: the code of a library without labels; images and texts share one feature space."""

import numpy as np

from xmodal.hashing.base import MODALITIES
from xmodal.hashing.checks import Reals
from xmodal.hashing.pooled import PooledSums
from xmodal.hashing.rotation import Doubles, itq_rotation
from xmodal.hashing.streaming import LinearHasher

# Rows of each modality that the rotation is learned from; more do not change it measurably.
ROTATION_ROWS = 5_000
# Share of the mean of both covariances in each one: few rows do not span the space.
POOLED = 0.1
# Power of the variances by which dimensions are evened out before the rotation.
EVENING = 0.3
# Dimensions with less than this share of the largest one's value are rounding, not data.
NEGLIGIBLE = 1e-9


class ITQ(LinearHasher):
    """Centring by modality, the directions that images and texts share, then a learned rotation.

    Images and texts of CLIP-like encoders lie in two separate cones: each modality is centred by
    its own mean and its rows scaled to unit length before the covariances Cx and Cy are taken. A
    search between modalities needs the directions in which both vary: the leading eigenvectors of
    CxCy + CyCx, where a principal component analysis of the pooled rows would spend bits on what
    one modality alone does. Their variances v are evened out by v^-0.15, so that signs tell more
    about the finer dimensions, and signs are taken after the rotation of iterative quantisation
    (Gong & Lazebnik, CVPR 2011); for more bits than dimensions after a tight frame.

    Rows need not be paired, and both modalities count the same however many rows they have.
    Each covariance contains ``POOLED`` of the mean of both, since few rows do not span the space.

    >>> rng = np.random.default_rng(0)
    >>> images, words = rng.normal(size=(30, 64)), rng.normal(size=(200, 64))
    >>> ITQ(bits=128).fit(images, words).encode_images(images).shape
    (30, 16)
    """

    name = "itq"
    description = "no labels: directions shared by images and texts, then the rotation of ITQ"
    needs_pairs = False
    needs_shared_space = True

    _sums: PooledSums

    def __init__(self, bits: int = 128, seed: int = 0) -> None:
        super().__init__(bits, seed)

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> PooledSums:
        return PooledSums(self, ROTATION_ROWS)

    def _solve(self) -> None:
        cx, cy = (self._sums.covariance(modality) for modality in MODALITIES)
        basis = shared_directions(cx, cy, self.bits)
        rng = np.random.default_rng(self.seed)
        parts = [self._sums.sample(modality) @ basis for modality in MODALITIES]
        # Words are many and pictures few, or the reverse: each modality counts as one.
        weights = np.concatenate([np.full(len(rows), _fair_weight(rows)) for rows in parts])
        rotation = itq_rotation(np.vstack(parts), weights, self.bits, rng)
        projection = (basis @ rotation).astype(np.float32)
        self.image_projection_ = self.text_projection_ = projection


def shared_directions(cx: Doubles, cy: Doubles, dim: int, evening: float = EVENING) -> Doubles:
    """The ``dim`` leading directions in which both modalities vary, evened out: ``(d, k)``.

    ``k`` is less than ``dim`` where the data span, or share, fewer dimensions.
    """
    pooled = (cx + cy) / 2
    cx = (1 - POOLED) * cx + POOLED * pooled
    cy = (1 - POOLED) * cy + POOLED * pooled
    product = cx @ cy
    values, vectors = np.linalg.eigh(product + product.T)
    kept = np.flatnonzero(values > NEGLIGIBLE * values[-1])[::-1][:dim]
    basis = vectors[:, kept]
    variance = sum(np.diag(basis.T @ c @ basis) / np.trace(basis.T @ c @ basis) for c in (cx, cy))
    return basis * variance ** (-evening / 2)


def _fair_weight(rows: Doubles) -> float:
    return 1 / (len(rows) * np.sqrt((rows**2).sum(axis=1).mean()))
