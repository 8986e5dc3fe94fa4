"""``isohash``: principal components rotated until all bits have the same variance."""

import numpy as np

from xmodal.hashing.checks import Reals
from xmodal.hashing.pooled import PooledSums
from xmodal.hashing.rotation import Doubles, random_frame
from xmodal.hashing.streaming import LinearHasher


class IsoHash(LinearHasher):
    """Isotropic hashing (Kong & Li, NIPS 2012): a rotation Q with equal diagonal of QᵀΛQ.

    The paper finds Q by lift-and-projection or a gradient flow; here plane rotations set one
    diagonal entry after the other to the mean variance, which is exact after ``bits`` - 1 of them.
    """

    name = "isohash"
    description = "no labels: principal components rotated to equal variance"
    needs_pairs = False
    needs_shared_space = True

    _sums: PooledSums

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> PooledSums:
        return PooledSums(self)

    def _solve(self) -> None:
        directions, variances = self._sums.principal(self.bits)
        rotation = isotropic_rotation(variances, np.random.default_rng(self.seed))
        projection = (directions @ rotation).astype(np.float32)
        self.image_projection_ = self.text_projection_ = projection


def isotropic_rotation(variances: Doubles, rng: "np.random.Generator") -> Doubles:
    """A rotation Q ``(k, k)`` such that every diagonal entry of Qᵀ diag(variances) Q is their mean.

    >>> q = isotropic_rotation(np.array([4.0, 2.0, 1.0, 1.0]), np.random.default_rng(0))
    >>> np.diag(q.T @ np.diag([4.0, 2.0, 1.0, 1.0]) @ q).round(9).tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    count = len(variances)
    mean = variances.mean()
    rotation = random_frame(count, count, rng)
    rotated = rotation.T @ (variances[:, None] * rotation)
    for _ in range(count - 1):
        excess = np.diag(rotated) - mean
        high, low = int(excess.argmax()), int(excess.argmin())
        if excess[high] <= 1e-12 * variances[0] or excess[low] >= 0:
            break
        # tan θ of the plane rotation that makes entry (high, high) the mean: a quadratic whose
        # discriminant is positive, since one entry is above the mean and the other below.
        cross = rotated[high, low]
        tangent = (-cross + np.sqrt(cross**2 - excess[high] * excess[low])) / excess[low]
        cosine = 1 / np.sqrt(1 + tangent**2)
        plane = np.array([[cosine, -tangent * cosine], [tangent * cosine, cosine]])
        pair = [high, low]
        rotation[:, pair] = rotation[:, pair] @ plane
        rotated[:, pair] = rotated[:, pair] @ plane
        rotated[pair, :] = plane.T @ rotated[pair, :]
    return rotation
