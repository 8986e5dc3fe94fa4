"""Rows of both modalities in one shared space: centred apart, then taken together."""

from dataclasses import dataclass

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.checks import Floats
from xmodal.hashing.itq import covariance, unit_rows
from xmodal.hashing.rotation import Doubles

# Variance below this share of the largest is rounding, not data.
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Pooled:
    """Both modalities of a shared space, each centred by its own mean, rows of unit length.

    Encoders with one space for images and texts put them in two separate cones: without the two
    means the first bit of any code would only tell images from texts.

    Attributes: ``image_mean``, ``text_mean`` float32 ``(d,)``; ``images``, ``texts`` the rows that
    are present, float32 ``(n, d)``, as they came; ``covariance`` float64 ``(d, d)``, in which both
    modalities count the same however many rows they have.
    """

    images: Floats
    texts: Floats
    image_mean: Floats
    text_mean: Floats
    covariance: Doubles

    @classmethod
    def of(cls, images: Floats, texts: Floats) -> "Pooled":
        x, y = images[~np.isnan(images[:, 0])], texts[~np.isnan(texts[:, 0])]
        x_mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        y_mean = y.mean(axis=0, dtype=np.float64).astype(np.float32)
        both = (covariance(x, x_mean) + covariance(y, y_mean)) / 2
        return cls(x, y, x_mean, y_mean, both)

    def sample(self, rows: int, rng: np.random.Generator) -> Doubles:
        """At most ``rows`` centred rows of each modality, one under the other: ``(m, d)``."""
        parts = []
        for features, mean in ((self.images, self.image_mean), (self.texts, self.text_mean)):
            chosen = features
            if len(features) > rows:
                chosen = features[np.sort(rng.choice(len(features), rows, replace=False))]
            parts.append(unit_rows(chosen - mean))
        return np.vstack(parts)

    def principal(self, count: int, name: str) -> tuple[Doubles, Doubles]:
        """The ``count`` leading principal directions ``(d, count)`` and their variances.

        Raises HasherError when the features do not span as many.
        """
        values, vectors = np.linalg.eigh(self.covariance)
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = int(np.sum(values > NEGLIGIBLE * values[0]))
        if count > rank:
            raise HasherError(
                f"bits: expected at most {rank}, the dimensions that the features span, since "
                f"{name} gives each of them one bit; found {count}"
            )
        return vectors[:, :count], values[:count]
