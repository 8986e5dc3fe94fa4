"""Rows with both modalities: what they sum to together, and a sample of them."""

import numpy as np

from xmodal.hashing.base import MODALITIES, Modality
from xmodal.hashing.checks import Reals
from xmodal.hashing.chunks import RowNumbers, float_rows, rows_with_all
from xmodal.hashing.features import FeatureHasher
from xmodal.hashing.moments import Moments, Reservoir
from xmodal.hashing.rotation import Doubles, unit_rows


class PairSums:
    """Moments of image features, text features and labels side by side; a sample of the rows.

    Rows that lack a modality, or labels where they are given, are left out. Features are what the
    hasher's ``map`` gives, labels ``(n, classes)`` are rows of unit length.
    """

    def __init__(self, hasher: FeatureHasher, sample: int, classes: int = 0) -> None:
        self._hasher = hasher
        widths = [hasher.mapped_dim(m) for m in MODALITIES] + [classes]
        ends = np.cumsum([0, *widths])
        self._part = {
            name: slice(ends[i], ends[i + 1]) for i, name in enumerate((*MODALITIES, "labels"))
        }
        self._moments = Moments(int(ends[-1]))
        self._sample = Reservoir(sample, hasher.seed)

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        arrays = [images, texts] if labels is None else [images, texts, labels]

        def moments(rows: RowNumbers) -> Moments:
            parts = [
                self._hasher.map(float_rows(features, rows), modality)
                for modality, features in zip(MODALITIES, arrays[:2], strict=True)
            ]
            if labels is not None:
                parts.append(unit_rows(float_rows(labels, rows)))
            return Moments.of(np.concatenate(parts, axis=1, dtype=np.float32))

        numbers = rows_with_all(*arrays)
        self._moments.add(numbers, moments)
        self._sample.add(numbers, *arrays)

    @property
    def rows(self) -> int:
        """How many rows were complete."""
        return self._moments.rows

    def mean(self, modality: Modality) -> Doubles:
        """Mean ``(dim,)`` of the mapped features of the complete rows."""
        return self._moments.mean[self._part[modality]]

    def scatter(self, one: str, other: str) -> Doubles:
        """Σ of the outer products of two of "image", "text" and "labels", about their means."""
        return self._moments.scatter[self._part[one], self._part[other]]

    def sample(self, modality: Modality) -> Doubles:
        """Mapped, centred features ``(m, dim)`` of the sampled rows."""
        rows = self._sample.arrays[MODALITIES.index(modality)]
        return self._hasher.map(rows, modality) - self.mean(modality)

    def sampled_labels(self) -> np.ndarray:
        """Labels float32 ``(m, classes)`` of the sampled rows, as they were given."""
        return self._sample.arrays[len(MODALITIES)]


def whitening(scatter: Doubles, ridge: float) -> Doubles:
    """M ``(d, d)`` with MMᵀ = (S + ridge · tr(S)/d · I)⁻¹ for a scatter S."""
    values, vectors = np.linalg.eigh(scatter)
    values = np.maximum(values, 0) + ridge * max(np.trace(scatter) / len(scatter), 1e-12)
    return vectors / np.sqrt(values)
