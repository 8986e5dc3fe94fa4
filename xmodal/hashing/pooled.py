"""Rows of both modalities in one shared space: centred apart, then taken together."""

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.base import MODALITIES, Hasher, Modality
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.chunks import RowNumbers, float_rows, rows_with_all
from xmodal.hashing.moments import Moments, Reservoir
from xmodal.hashing.rotation import Doubles, unit_rows

# Variance below this share of the largest is rounding, not data.
NEGLIGIBLE = 1e-9


class SampleSums:
    """A sample of the rows of each modality, each centred by its own mean, of unit length.

    Encoders with one space for images and texts put them in two separate cones: without the two
    means the first bit of any code would only tell images from texts.

    Parameters
    ----------
    hasher: whose ``image_mean_`` and ``text_mean_`` centre the rows.
    size: rows of each modality that are kept.
    """

    def __init__(self, hasher: Hasher, size: int) -> None:
        self._hasher = hasher
        self._kept = {m: Reservoir(size, hasher.seed) for m in MODALITIES}

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        for modality, features in zip(MODALITIES, (images, texts), strict=True):
            self._kept[modality].add(rows_with_all(features), features)

    def sample(self, modality: Modality) -> Doubles:
        """The rows of a modality that were kept: float64 ``(m, d)``."""
        return unit_rows(self._kept[modality].arrays[0] - self._hasher._mean(modality))

    def samples(self) -> Doubles:
        """The samples of both modalities, one under the other."""
        return np.vstack([self.sample(modality) for modality in MODALITIES])


class PooledSums(SampleSums):
    """The same, and the second moments of all rows.

    A row's length is that from the mean of all rows up to its call, which hardly moves as rows
    come; everything else is about the mean of all.
    """

    def __init__(self, hasher: Hasher, size: int = 0) -> None:
        super().__init__(hasher, size)
        self._moments = {m: Moments(len(hasher._mean(m))) for m in MODALITIES}

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        super().add(images, texts, labels)
        for modality, features in zip(MODALITIES, (images, texts), strict=True):
            mean = self._hasher._mean(modality)

            def moments(rows: RowNumbers, values: Reals = features, mean: Floats = mean) -> Moments:
                chunk = float_rows(values, rows).astype(np.float64)
                return Moments.of(chunk, inverse_length(chunk - mean) ** 2)

            self._moments[modality].add(rows_with_all(features), moments)

    def covariance(self, modality: Modality) -> Doubles:
        """Second moment ``(d, d)`` of the centred rows of a modality, scaled to unit length."""
        moments = self._moments[modality]
        return moments.about(self._hasher._mean(modality)) / moments.rows

    def both(self) -> Doubles:
        """Covariance in which both modalities count the same however many rows they have."""
        return (self.covariance("image") + self.covariance("text")) / 2

    def principal(self, count: int) -> tuple[Doubles, Doubles]:
        """The ``count`` leading principal directions ``(d, count)`` and their variances.

        Raises HasherError when the features do not span as many.
        """
        values, vectors = np.linalg.eigh(self.both())
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = int(np.sum(values > NEGLIGIBLE * values[0]))
        if count > rank:
            raise HasherError(
                f"bits: expected at most {rank}, the dimensions that the features span, since "
                f"{self._hasher.name} gives each of them one bit; found {count}"
            )
        return vectors[:, :count], values[:count]


def inverse_length(rows: Doubles) -> Doubles:
    """One over the length of each row ``(n,)``; zero for a row of zeros."""
    length = np.linalg.norm(rows, axis=1)
    return np.where(length > 0, 1 / np.where(length > 0, length, 1.0), 0.0)


class MeanSums:
    """For a hasher that learns nothing but the means, which every hasher does."""

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        return
