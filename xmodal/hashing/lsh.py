"""``lsh``: random projections, the data-independent baseline every learned code must beat."""

import numpy as np

from xmodal.hashing.base import LinearHasher
from xmodal.hashing.checks import Floats
from xmodal.hashing.pooled import Pooled


class LSH(LinearHasher):
    """Signs of random projections (Charikar, STOC 2002).

    Two rows at angle θ differ in a bit with probability θ/π. Nothing is learned but the two means.

    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(50, 32))
    >>> LSH(bits=64).fit(features, features).encode_images(features).shape
    (50, 8)
    """

    name = "lsh"
    description = "no learning: signs of random projections"
    needs_pairs = False
    needs_shared_space = True

    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        pooled = Pooled.of(images, texts)
        self.image_mean_, self.text_mean_ = pooled.image_mean, pooled.text_mean
        rng = np.random.default_rng(self.seed)
        projection = rng.standard_normal((images.shape[1], self.bits)).astype(np.float32)
        self.image_projection_ = self.text_projection_ = projection
