"""``triplet``: codes from rankings, learned on triples of an item, a near one and a far one."""

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.base import MODALITIES
from xmodal.hashing.checks import Reals, check_more_than_bits
from xmodal.hashing.features import FeatureHasher
from xmodal.hashing.pairs import PairSums, whitening
from xmodal.hashing.rotation import Doubles

# Ridge of the whitening, relative to the mean variance: noise directions must not be blown up.
RIDGE = 1.0
# By how much of all bits the far item shall be farther than the near one.
MARGIN = 0.5
STEPS, BATCH = 600, 256
# A random sample of this many rows makes the triples.
TRIPLE_ROWS = 20_000
RATE, DECAY = 0.02, 1e-4
# Adam's memory of gradients and of their squares (Kingma & Ba, ICLR 2015).
FIRST, SECOND, TINY = 0.9, 0.999, 1e-8


class Triplet(FeatureHasher):
    """Hamming distance metric learning (Norouzi, Fleet & Salakhutdinov, NIPS 2012), two modalities.

    A triple is an item of one modality and two of the other, of which one shares a label with it.
    The loss is the hinge max(0, margin + d(h, h⁻) − d(h, h⁺)) of Hamming distances over the bits
    (equation 3); where the paper bounds it from above by loss-adjusted inference, signs are
    replaced by tanh here and the gradient is followed on random triples. Projections are linear in
    features that are whitened, so that one step size suits every direction.
    """

    name = "triplet"
    description = "labels as rankings: an item is nearer to one that shares a label"
    needs_labels = True
    feature_weight = 0.5

    _sums: PairSums

    def __init__(
        self,
        bits: int = 64,
        seed: int = 0,
        margin: float = MARGIN,
        steps: int = STEPS,
        features: str = "linear",
        anchors: int = 500,
    ) -> None:
        super().__init__(bits, seed, features, anchors)
        self.margin = margin
        self.steps = steps

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> PairSums:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        if not 0 < self.margin <= 2:
            raise HasherError(f"margin: expected a number above 0, up to 2, found {self.margin!r}")
        if not isinstance(self.steps, int) or self.steps < 1:
            raise HasherError(f"steps: expected an integer from 1, found {self.steps!r}")
        self._choose_features(images, texts, np.random.default_rng(self.seed))
        return PairSums(self, TRIPLE_ROWS, labels.shape[1])

    def _solve(self) -> None:
        sums = self._sums
        check_more_than_bits(sums.rows, self.bits)
        has = sums.sampled_labels() >= 0.5
        if not has.any():
            raise HasherError("labels: expected some of at least 0.5, found none: no row is near")
        white = [np.sqrt(sums.rows) * whitening(sums.scatter(m, m), RIDGE) for m in MODALITIES]
        rows = [sums.sample(m) @ w for m, w in zip(MODALITIES, white, strict=True)]
        for modality, w, learned in zip(MODALITIES, white, self._learn(rows, has), strict=True):
            self._adopt(modality, w @ learned, -sums.mean(modality) @ w @ learned)

    def _learn(self, rows: list[Doubles], has: NDArray[np.bool_]) -> list[Doubles]:
        """Projections ``(dim, bits)`` of both modalities' whitened rows."""
        rng = np.random.default_rng(self.seed)
        weights = [
            rng.standard_normal((part.shape[1], self.bits)) / np.sqrt(part.shape[1])
            for part in rows
        ]
        means = [np.zeros_like(w) for w in weights]
        squares = [np.zeros_like(w) for w in weights]
        triples = Triples(has, rng)
        for step in range(1, self.steps + 1):
            own, other = (0, 1) if step % 2 else (1, 0)
            anchor, near, far = triples.draw(BATCH)
            gradients = [DECAY * w for w in weights]
            h, h_near, h_far = (
                np.tanh(rows[part][chosen] @ weights[part])
                for part, chosen in ((own, anchor), (other, near), (other, far))
            )
            # Hamming distance of ±1 codes over the bits: (1 - agreement) / 2, here of tanh.
            agreement = (h * (h_near - h_far)).mean(axis=1) / 2
            violated = (agreement < self.margin)[:, None] / (2 * self.bits * len(anchor))
            for part, chosen, value, pull in (
                (own, anchor, h, h_near - h_far),
                (other, near, h_near, h),
                (other, far, h_far, -h),
            ):
                gradients[part] -= rows[part][chosen].T @ (violated * pull * (1 - value**2))
            for part in (0, 1):
                means[part] += (1 - FIRST) * (gradients[part] - means[part])
                squares[part] += (1 - SECOND) * (gradients[part] ** 2 - squares[part])
                size = np.sqrt(squares[part] / (1 - SECOND**step)) + TINY
                weights[part] -= RATE * means[part] / (1 - FIRST**step) / size
        return weights


class Triples:
    """Random triples of rows: the second shares a label with the first, the third does not."""

    def __init__(self, has: NDArray[np.bool_], rng: "np.random.Generator") -> None:
        self._has = has
        self._rng = rng
        # Rows in the order of their labels: those of label c are at starts[c] to starts[c + 1].
        self._labels, self._rows = np.nonzero(has.T)
        self._starts = np.searchsorted(self._labels, np.arange(has.shape[1] + 1))

    def draw(self, count: int) -> tuple[NDArray[np.int64], ...]:
        """Row numbers, int64 ``(m,)`` each; fewer than ``count`` where no far row was met."""
        place = self._rng.integers(len(self._rows), size=count)
        anchor, label = self._rows[place], self._labels[place]
        low, high = self._starts[label], self._starts[label + 1]
        near = self._rows[self._rng.integers(low, high)]
        far = self._rng.integers(len(self._has), size=count)
        apart = ~(self._has[anchor] & self._has[far]).any(axis=1)
        return anchor[apart], near[apart], far[apart]
