"""Ridge regression from features to codes, from sums to which further rows can be added."""

import numpy as np
from numpy.typing import ArrayLike

from xmodal.hashing.rotation import Doubles

# A column whose spread is below this share of the largest is constant up to rounding.
CONSTANT = 1e-6


class RidgeSums:
    """ΦᵀΦ, ΦᵀB and the column sums: all that a ridge needs to know of any number of rows."""

    def __init__(self, dim: int, bits: int) -> None:
        self.rows = 0
        self.features = np.zeros(dim)
        self.codes = np.zeros(bits)
        self.gram = np.zeros((dim, dim))
        self.cross = np.zeros((dim, bits))

    def add(self, features: Doubles, codes: Doubles) -> None:
        """Take in features ``(n, dim)`` and their codes ±1 ``(n, bits)``."""
        self.rows += len(features)
        self.features += features.sum(axis=0)
        self.codes += codes.sum(axis=0)
        self.gram += features.T @ features
        self.cross += features.T @ codes

    def solve(self, ridges: ArrayLike) -> list[tuple[Doubles, Doubles]]:
        """For each ridge ξ the map ``(dim, bits)`` and the offset ``(bits,)``.

        (ΦᵀΦ + ξI)⁻¹ΦᵀB of the features centred and scaled to unit variance, both folded into the
        result, so that ``features @ map + offset`` is near the codes. One eigendecomposition
        serves all ξ.
        """
        mean = self.features / self.rows
        gram = self.gram - self.rows * np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(gram), 0) / self.rows)
        varies = spread > CONSTANT * max(float(spread.max()), float(np.abs(mean).max()))
        scale = np.where(varies, 1 / np.where(varies, spread, 1.0), 0.0)
        cross = scale[:, None] * (self.cross - np.outer(mean, self.codes))
        values, vectors = np.linalg.eigh(scale[:, None] * gram * scale)
        values = np.maximum(values, 0)[:, None]
        target = vectors.T @ cross
        found = []
        for ridge in np.atleast_1d(ridges):
            matrix = scale[:, None] * (vectors @ (target / (values + ridge)))
            found.append((matrix, -mean @ matrix))
        return found
