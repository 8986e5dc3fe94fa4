"""Ridge regression from features to codes, from sums to which further rows can be added."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.hashing.moments import Moments
from xmodal.hashing.rotation import Doubles

# A column whose spread is below this share of the largest is constant up to rounding.
CONSTANT = 1e-6


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

    def solve(self, ridges: ArrayLike) -> list[tuple[Doubles, Doubles]]:
        """For each ridge ξ the map ``(dim, bits)`` and the offset ``(bits,)``.

        (ΦᵀΦ + ξI)⁻¹ΦᵀB of the features centred and scaled to unit variance, both folded into the
        result, so that ``features @ map + offset`` is near the codes. One eigendecomposition
        serves all ξ.
        """
        known, dim = self._moments, self._dim
        mean, gram = known.mean[:dim], known.scatter[:dim, :dim]
        spread = np.sqrt(np.maximum(np.diag(gram), 0) / known.rows)
        varies = spread > CONSTANT * max(float(spread.max()), float(np.abs(mean).max()))
        scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
        cross = scale[:, None] * known.scatter[:dim, dim:]
        values, vectors = np.linalg.eigh(scale[:, None] * gram * scale)
        values = np.maximum(values, 0)[:, None]
        target = vectors.T @ cross
        found = []
        for ridge in np.atleast_1d(ridges):
            matrix = scale[:, None] * (vectors @ (target / (values + ridge)))
            found.append((matrix, -mean @ matrix))
        return found
