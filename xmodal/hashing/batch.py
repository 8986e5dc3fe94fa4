"""``batch``: codes from labels and from both modalities, all rows at once."""

import numpy as np

from xmodal.hashing.lemon import orthogonal_codes
from xmodal.hashing.rotation import Doubles
from xmodal.hashing.supervised import CodeLearner, RidgeHasher

# Weights of the features' terms, of the labels' term and of the quantisation; iterations.
ETA_FEATURES, ETA_LABELS, OMEGA = 0.05, 0.9, 0.01
ITERATIONS = 6
# Ridge of the small systems that predict features from codes.
RIDGE = 1e-3


class Batch(RidgeHasher):
    """BATCH (Wang, Luo, Wang, Guo & Xu, TKDE 2020), a scalable asymmetric discrete method.

    Codes B and real codes V, VᵀV = nI and Vᵀ1 = 0, minimise ‖kGGᵀ − BVᵀ‖² + ω‖B − V‖² +
    η₁‖Φx − VUx‖² + η₂‖Φy − VUy‖² + η₀‖L − VUl‖², G the labels with rows of unit length: linear in
    the rows, since GGᵀ is only ever multiplied. A modality that a row lacks has no term for it.
    """

    name = "batch"
    description = "labels: discrete codes of labels and features, hash functions by ridge"
    streams = False

    def _code_learner(self, classes: int, rng: np.random.Generator) -> "BatchCodes":
        return BatchCodes(self.bits, rng)

    def _learn_codes(
        self, learner: CodeLearner, labels: Doubles, images: Doubles, texts: Doubles
    ) -> tuple[Doubles, Doubles]:
        assert isinstance(learner, BatchCodes)
        codes = learner.learn(labels, _standardised(images), _standardised(texts))
        return codes, codes


class BatchCodes:
    """The alternating solution of the objective of :class:`Batch`."""

    def __init__(self, bits: int, rng: np.random.Generator) -> None:
        self._bits = bits
        self._rng = rng

    def learn(self, labels: Doubles, *features: Doubles) -> Doubles:
        """Codes ±1 ``(n, bits)`` for labels ``(n, classes)`` and features of unit variance."""
        norm = np.linalg.norm(labels, axis=1, keepdims=True)
        similar = labels / np.where(norm > 0, norm, 1.0)
        terms = [(ETA_LABELS, labels), *((ETA_FEATURES, f) for f in features)]
        real = orthogonal_codes(self._rng.standard_normal((len(labels), self._bits)), self._rng)
        codes = np.where(real > 0, 1.0, -1.0)
        for _ in range(ITERATIONS):
            gram = real.T @ real + RIDGE * np.eye(self._bits)
            wanted = self._bits * similar @ (similar.T @ codes) + OMEGA * codes
            for weight, term in terms:
                wanted += weight * term @ np.linalg.solve(gram, real.T @ term).T
            real = orthogonal_codes(wanted, self._rng)
            pull = self._bits * similar @ (similar.T @ real) + OMEGA * real
            codes = np.where(pull >= 0, 1.0, -1.0)
        return codes


def _standardised(features: Doubles) -> Doubles:
    """Columns of mean 0 and variance 1, constant ones 0; rows that are missing become 0."""
    present = ~np.isnan(features[:, 0])
    rows = features[present]
    spread = rows.std(axis=0)
    varies = spread > 1e-6 * max(float(spread.max(initial=0)), 1e-30)
    out = np.zeros_like(features)
    out[present] = np.where(varies, (rows - rows.mean(axis=0)) / np.where(varies, spread, 1.0), 0.0)
    return out
