"""``lsh``: random projections, the data-independent baseline every learned code must beat."""

import numpy as np

from xmodal.hashing.checks import Reals
from xmodal.hashing.pooled import MeanSums
from xmodal.hashing.streaming import LinearHasher


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
    nested = True
    needs_pairs = False
    needs_shared_space = True

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> MeanSums:
        return MeanSums()

    def _solve(self) -> None:
        rng = np.random.default_rng(self.seed)
        projection = rng.standard_normal((len(self.image_mean_), self.bits)).astype(np.float32)
        self.image_projection_ = self.text_projection_ = projection
