"""``pair-itq``: ``itq`` in a space where the pictures and texts that belong together agree."""

import numpy as np

from xmodal.hashing.base import MODALITIES
from xmodal.hashing.checks import Reals
from xmodal.hashing.chunks import RowNumbers, float_rows, rows_with_all
from xmodal.hashing.itq import ROTATION_ROWS, shared_directions
from xmodal.hashing.moments import Moments
from xmodal.hashing.pooled import PooledSums
from xmodal.hashing.rotation import Doubles, itq_rotation, unit_rows
from xmodal.hashing.streaming import LinearHasher

# What the isotropic part counts at least in the covariance of differences, and how many pairs it
# counts as much as besides: few pairs must not bend the space.
ISOTROPIC, PRIOR_PAIRS = 0.6, 100
# Power of the variances by which dimensions are evened out before the rotation.
EVENING = 0.15


class PairITQ(LinearHasher):
    """Within-pair covariance normalisation, then the rotation of ITQ.

    A picture and its own text lie apart in a shared space, and not equally far in all directions:
    where pairs differ much, distance says little. With D the covariance of the differences of
    pairs, drawn to a multiple of the identity, rows are mapped by D^(−½), as a within-class
    covariance is normalised with each pair a class (Hatch, Kajarekar & Stolcke, *Interspeech*
    2006). Cosines there find the own partner more often than those of the features do. Then, as
    in ``itq``, the directions that both modalities share, evened out, and the rotation of iterative
    quantisation (Gong & Lazebnik, *CVPR* 2011).

    A row that lacks one modality tells how the other varies; with no pairs at all the map is the
    identity.

    >>> rng = np.random.default_rng(0)
    >>> items = rng.normal(size=(200, 64))
    >>> images, texts = items + rng.normal(size=(2, 200, 64))
    >>> PairITQ(bits=128).fit(images, texts).encode_images(images).shape
    (200, 16)
    """

    name = "pair-itq"
    description = "no labels: a shared space bent to where pairs agree, then the rotation of ITQ"
    needs_shared_space = True

    _sums: "PairedSums"

    def __init__(self, bits: int = 128, seed: int = 0) -> None:
        super().__init__(bits, seed)

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> "PairedSums":
        return PairedSums(self)

    def _solve(self) -> None:
        bend = _inverse_root(self._sums.difference())
        covariances, parts = [], []
        for modality in MODALITIES:
            bent = bend @ self._sums.pooled.covariance(modality) @ bend
            covariances.append(bent / np.trace(bent))
            parts.append(self._sums.pooled.sample(modality) @ bend)
        cx, cy = covariances
        axes = shared_directions(cx, cy, self.bits, EVENING)
        rows = unit_rows(np.vstack([part @ axes for part in parts]))
        # Words are many and pictures few, or the reverse: each modality counts as one.
        weights = np.concatenate([np.full(len(part), 1 / len(part)) for part in parts])
        rng = np.random.default_rng(self.seed)
        rotation = itq_rotation(rows, weights, self.bits, rng)
        projection = (bend @ axes @ rotation).astype(np.float32)
        self.image_projection_ = self.text_projection_ = projection


class PairedSums:
    """Second moments of both modalities, samples of them, and the differences of pairs."""

    def __init__(self, hasher: PairITQ) -> None:
        self._hasher = hasher
        self.pooled = PooledSums(hasher, ROTATION_ROWS)
        self._differences = Moments(len(hasher.image_mean_))

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        self.pooled.add(images, texts, labels)

        def moments(rows: RowNumbers) -> Moments:
            x = unit_rows(float_rows(images, rows) - self._hasher.image_mean_)
            y = unit_rows(float_rows(texts, rows) - self._hasher.text_mean_)
            return Moments.of(x - y)

        self._differences.add(rows_with_all(images, texts), moments)

    def difference(self) -> Doubles:
        """Covariance ``(d, d)`` of the differences of pairs, drawn to a multiple of the identity.

        Rows are centred and of unit length, as in :class:`PooledSums`.
        """
        pairs, dim = self._differences.rows, len(self._differences.mean)
        if not pairs:
            return np.eye(dim)
        scatter = self._differences.scatter / pairs
        own = (1 - ISOTROPIC) * pairs / (pairs + PRIOR_PAIRS)
        return own * scatter + (1 - own) * max(np.trace(scatter) / dim, 1e-12) * np.eye(dim)


def _inverse_root(matrix: Doubles) -> Doubles:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors / np.sqrt(values)) @ vectors.T
