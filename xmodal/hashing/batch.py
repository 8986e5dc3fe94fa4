"""``batch``: codes from labels and from both modalities, all rows at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.base import MODALITIES, Modality
from xmodal.hashing.checks import Floats
from xmodal.hashing.chunks import in_order, slices
from xmodal.hashing.lemon import orthogonal_codes
from xmodal.hashing.moments import Moments
from xmodal.hashing.rotation import Doubles
from xmodal.hashing.scm import inverse_spread
from xmodal.hashing.supervised import LabelledRows, RidgeHasher

# Weights of the features' terms, of the labels' term and of the quantisation; iterations.
ETA_LABELS, ETA_FEATURES, OMEGA = 0.9, 0.05, 0.01
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

    def _code_learner(self, classes: int, rng: "np.random.Generator") -> "BatchCodes":
        return BatchCodes(self.bits, rng)

    def _learn_codes(
        self, learner: "BatchCodes", rows: LabelledRows
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        codes = learner.learn(rows)
        return codes, codes


class BatchCodes:
    """The alternating solution of the objective of :class:`Batch`, a chunk of rows at a time."""

    def __init__(self, bits: int, rng: "np.random.Generator") -> None:
        self._bits = bits
        self._rng = rng

    def learn(self, rows: LabelledRows) -> NDArray[np.int8]:
        """Codes ±1 int8 ``(n, bits)`` of labelled rows."""
        terms = _Terms(rows)
        shape = (len(rows), self._bits)
        real = orthogonal_codes(self._rng.standard_normal(shape, dtype=np.float32), self._rng)
        codes = np.where(real > 0, np.int8(1), np.int8(-1))
        for _ in range(ITERATIONS):
            real = orthogonal_codes(self._wanted(terms, real, codes), self._rng)
            pull = (self._bits * terms.of_labels(real)).astype(np.float32)
            for part in terms.parts:
                pulled = terms.similar(part) @ pull + np.float32(OMEGA) * real[part]
                codes[part] = np.where(pulled >= 0, 1, -1)
        return codes

    def _wanted(self, terms: "_Terms", real: Floats, codes: NDArray[np.int8]) -> Floats:
        """What the real codes shall be near to: kG(GᵀB) + ωB + Σ η ΦUᵀ, U predicting each term."""

        def told(part: slice) -> list[Floats]:
            v, b = real[part], codes[part].astype(np.float32)
            return [v.T @ v, terms.similar(part).T @ b, *(v.T @ term for term in terms.all(part))]

        gram, nearby, *targets = terms.sums(told)
        gram += RIDGE * np.eye(self._bits)
        pull = (self._bits * nearby).astype(np.float32)
        predict = [
            (weight * np.linalg.solve(gram, target)).T.astype(np.float32)
            for weight, target in zip(
                (ETA_LABELS, ETA_FEATURES, ETA_FEATURES), targets, strict=True
            )
        ]

        def want(part: slice) -> Floats:
            found = terms.similar(part) @ pull + np.float32(OMEGA) * codes[part]
            for term, matrix in zip(terms.all(part), predict, strict=True):
                found += term @ matrix
            return found

        wanted = np.empty_like(real)
        for part, found in zip(terms.parts, in_order(want, terms.parts), strict=True):
            wanted[part] = found
        return wanted


class _Terms:
    """What real codes shall predict: labels, and features of unit variance, 0 where missing."""

    def __init__(self, rows: LabelledRows) -> None:
        self._rows = rows
        self.parts = slices(len(rows))
        self._scales: dict[Modality, tuple[Floats, Floats]] = {}
        for modality in MODALITIES:
            total = Moments(rows.features(modality, slice(0)).shape[1])

            def moments(part: slice, modality: Modality = modality) -> Moments:
                features = rows.features(modality, part)
                return Moments.of(features[~np.isnan(features[:, 0])])

            for found in in_order(moments, self.parts):
                total.merge(found)
            inverse = inverse_spread(total.scatter / total.rows)
            self._scales[modality] = total.mean.astype(np.float32), inverse.astype(np.float32)

    def all(self, part: slice) -> list[Floats]:
        """Labels, image and text features of some rows."""
        terms = [self._rows.labels(part)]
        for modality, (mean, scale) in self._scales.items():
            features = (self._rows.features(modality, part) - mean) * scale
            features[np.isnan(features[:, 0])] = 0
            terms.append(features)
        return terms

    def similar(self, part: slice) -> Floats:
        """G, the labels of some rows scaled to unit length."""
        labels = self._rows.labels(part)
        norm = np.linalg.norm(labels, axis=1, keepdims=True)
        scaled: Floats = (labels / np.where(norm > 0, norm, 1)).astype(np.float32)
        return scaled

    def of_labels(self, real: Floats) -> Doubles:
        """GᵀX ``(classes, bits)`` of real codes X of all rows."""
        (found,) = self.sums(lambda part: [self.similar(part).T @ real[part]])
        return found

    def sums(self, function: Callable[[slice], list[Floats]]) -> list[Doubles]:
        """The sum over all rows of each of the products that ``function`` gives of some."""
        total: list[Doubles] = []
        for found in in_order(function, self.parts):
            more = [product.astype(np.float64) for product in found]
            total = [a + b for a, b in zip(total, more, strict=True)] if total else more
        return total
