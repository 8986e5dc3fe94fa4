"""``pcah``: one bit for each principal component, the simplest learned code."""

from xmodal.hashing.checks import Reals
from xmodal.hashing.pooled import PooledSums
from xmodal.hashing.streaming import LinearHasher


class PCAH(LinearHasher):
    """Signs of the leading principal components (Wang, Kumar & Chang, CVPR 2010, section 4).

    Bits come in order of their variance, so that a prefix is the code of fewer bits. The last ones
    tell little: that each component gets one bit, whatever its variance, is what rotations
    (``itq``, ``isohash``) repair.
    """

    name = "pcah"
    description = "no labels: signs of principal components"
    nested = True
    needs_pairs = False
    needs_shared_space = True

    _sums: PooledSums

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> PooledSums:
        return PooledSums(self)

    def _solve(self) -> None:
        directions, _ = self._sums.principal(self.bits)
        self.image_projection_ = self.text_projection_ = directions.astype("float32")
