"""``rotation``: turn the dimensions so that signs lose little."""

import numpy as np

from xmodal.hashing.rotation import Doubles, itq_rotation
from xmodal.quantising.base import Quantiser


class RotationQuantiser(Quantiser):
    """Signs after the rotation of iterative quantisation (Gong & Lazebnik, CVPR 2011).

    The rotation spreads the variance of the leading dimensions over all bits. With fewer
    dimensions than bits it becomes a tight frame, as in ``itq``; of more dimensions than bits the
    leading ones are used. Values are centred first.
    """

    name = "rotation"
    description = "one bit a dimension after the rotation of ITQ"

    def needed_dims(self, bits: int) -> int:
        return 1

    def wanted_dims(self, bits: int) -> int:
        return bits

    def _fit(self, values: Doubles, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        mean = values.mean(axis=0)
        used = min(self.bits, values.shape[1])
        directions = np.zeros((values.shape[1], self.bits))
        directions[:used] = itq_rotation(
            (values - mean)[:, :used], np.ones(len(values)), self.bits, rng
        )
        return directions, mean @ directions
