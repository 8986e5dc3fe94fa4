"""``dlfh``: discrete latent factors, codes of images and of texts learned bit by bit."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.checks import Floats
from xmodal.hashing.chunks import in_order, slices
from xmodal.hashing.supervised import LabelledRows, RidgeHasher

Codes = NDArray[np.int8]

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

    def _code_learner(self, classes: int, rng: "np.random.Generator") -> "FactorCodes":
        return FactorCodes(self.bits, rng)

    def _learn_codes(self, learner: "FactorCodes", rows: LabelledRows) -> tuple[Codes, Codes]:
        has = np.concatenate([rows.labels(part) >= 0.5 for part in slices(len(rows))])
        return learner.learn(has)


class FactorCodes:
    """The column-wise solution of the likelihood of :class:`DLFH`."""

    def __init__(self, bits: int, rng: "np.random.Generator") -> None:
        self._bits = bits
        self._rng = rng

    def learn(self, has: NDArray[np.bool_]) -> tuple[Codes, Codes]:
        """Codes ±1 int8 ``(n, bits)`` of images and texts with labels ``(n, classes)``."""
        images, texts = (self._random(len(has)) for _ in range(2))
        for _ in range(ITERATIONS):
            self._improve(images, texts, has)
            self._improve(texts, images, has)
        return images, texts

    def _random(self, rows: int) -> Codes:
        codes = np.empty((rows, self._bits), np.int8)
        for part in slices(rows):
            codes[part] = np.where(self._rng.standard_normal(codes[part].shape) > 0, 1, -1)
        return codes

    def _improve(self, codes: Codes, others: Codes, has: NDArray[np.bool_]) -> None:
        """Set each column of ``codes`` in turn, against a sample of the rows of ``others``."""
        sample = self._rng.choice(len(codes), min(self._bits, len(codes)), replace=False)
        against, theirs = others[sample].astype(np.float32), has[sample].astype(np.float32)

        def better(part: slice) -> Codes:
            shared = has[part].astype(np.float32) @ theirs.T > 0
            return _improved(codes[part].astype(np.float32), against, shared)

        parts = slices(len(codes))
        for part, found in zip(parts, in_order(better, parts), strict=True):
            codes[part] = found


def _improved(codes: Floats, against: Floats, shared: NDArray[np.bool_]) -> Codes:
    """Codes of some rows, each of which depends on the sample alone and not on other rows."""
    bits = codes.shape[1]
    factor = np.float32(LAMBDA / bits)
    # Θ is bounded by λ, so that single precision is enough; its exponential is all the time.
    theta = factor * (codes @ against.T)
    curvature = len(against) * factor**2 / 4
    for bit in range(bits):
        likely = np.exp(-theta)
        likely += 1
        np.reciprocal(likely, out=likely)
        gradient = factor * ((shared - likely) @ against[:, bit])
        new = np.where(gradient + curvature * codes[:, bit] >= 0, np.float32(1), np.float32(-1))
        turned = np.flatnonzero(new != codes[:, bit])
        theta[turned] += np.outer(factor * (new - codes[:, bit])[turned], against[:, bit])
        codes[:, bit] = new
    return codes.astype(np.int8)
