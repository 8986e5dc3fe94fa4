"""``pcah``: one bit for each principal component, the simplest learned code."""

from xmodal.hashing.base import LinearHasher
from xmodal.hashing.checks import Floats
from xmodal.hashing.pooled import Pooled


class PCAH(LinearHasher):
    """Signs of the leading principal components (Wang, Kumar & Chang, CVPR 2010, section 4).

    Bits come in order of their variance, so that a prefix is the code of fewer bits. The last ones
    tell little: that each component gets one bit, whatever its variance, is what rotations
    (``itq``, ``isohash``) repair.
    """

    name = "pcah"
    description = "no labels: signs of principal components"
    needs_pairs = False
    needs_shared_space = True

    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        pooled = Pooled.of(images, texts)
        self.image_mean_, self.text_mean_ = pooled.image_mean, pooled.text_mean
        directions, _ = pooled.principal(self.bits, self.name)
        self.image_projection_ = self.text_projection_ = directions.astype("float32")
