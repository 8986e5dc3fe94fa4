"""``dlfh``: discrete latent factors, codes of images and of texts learned bit by bit."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.rotation import Doubles
from xmodal.hashing.supervised import CodeLearner, RidgeHasher

# Sharpness of the likelihood and iterations, as in the authors' code.
LAMBDA = 8.0
ITERATIONS = 30


class DLFH(RidgeHasher):
    """Discrete latent factor hashing (Jiang & Li, IEEE Transactions on Image Processing 2019).

    Codes U of images and V of texts maximise the likelihood of S, 1 where two rows share a label:
    P(Sij = 1) = σ(Θij), Θ = (λ/k) UVᵀ. Each column of U and V is set in closed form to the sign of
    a lower bound's gradient (equation 9), the bits in turn, against m = k columns of S that are
    drawn anew in each iteration: O(nmk), and S is never formed.
    """

    name = "dlfh"
    description = "labels: discrete latent factors, bit by bit, hash functions by ridge"
    streams = False

    def _code_learner(self, classes: int, rng: np.random.Generator) -> "FactorCodes":
        return FactorCodes(self.bits, rng)

    def _learn_codes(
        self, learner: CodeLearner, labels: Doubles, images: Doubles, texts: Doubles
    ) -> tuple[Doubles, Doubles]:
        assert isinstance(learner, FactorCodes)
        return learner.learn_both(labels)


class FactorCodes:
    """The column-wise solution of the likelihood of :class:`DLFH`."""

    def __init__(self, bits: int, rng: np.random.Generator) -> None:
        self._bits = bits
        self._rng = rng

    def learn(self, labels: Doubles) -> Doubles:
        """Codes ±1 ``(n, bits)`` of the images alone."""
        return self.learn_both(labels)[0]

    def learn_both(self, labels: Doubles) -> tuple[Doubles, Doubles]:
        """Codes ±1 ``(n, bits)`` of images and texts for labels ``(n, classes)``, 0/1 or soft."""
        shape = (len(labels), self._bits)
        images = np.where(self._rng.standard_normal(shape) > 0, 1.0, -1.0)
        texts = np.where(self._rng.standard_normal(shape) > 0, 1.0, -1.0)
        has = labels >= 0.5
        for _ in range(ITERATIONS):
            self._improve(images, texts, has)
            self._improve(texts, images, has)
        return images, texts

    def _improve(self, codes: Doubles, others: Doubles, has: NDArray[np.bool_]) -> None:
        """Set each column of ``codes`` in turn, against a sample of the rows of ``others``."""
        rows, bits = codes.shape
        sample = self._rng.choice(rows, min(bits, rows), replace=False)
        factor = LAMBDA / bits
        against = others[sample].astype(np.float32)
        shared = has.astype(np.float32) @ has[sample].astype(np.float32).T > 0
        # Θ is bounded by λ, so that single precision is enough; its exponential is all the time.
        theta = np.float32(factor) * (codes.astype(np.float32) @ against.T)
        curvature = len(sample) * factor**2 / 4
        for bit in range(bits):
            likely = np.exp(-theta)
            likely += 1
            np.reciprocal(likely, out=likely)
            gradient = factor * ((shared - likely) @ against[:, bit])
            new = np.where(gradient + curvature * codes[:, bit] >= 0, 1.0, -1.0)
            turned = np.flatnonzero(new != codes[:, bit])
            step = (factor * (new - codes[:, bit])[turned]).astype(np.float32)
            theta[turned] += np.outer(step, against[:, bit])
            codes[:, bit] = new
