"""Supervised hashers in two steps: codes from labels, then hash functions by ridge regression."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import HasherError
from xmodal.evaluate.metrics import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hashing.anchors import anchor_features, choose_anchors
from xmodal.hashing.base import Hasher, Modality, fitted_state
from xmodal.hashing.checks import Floats, check_features, check_labels
from xmodal.hashing.ridge import RidgeSums
from xmodal.hashing.rotation import Doubles

FEATURES = ("linear", "rbf")
# Candidates for the ridge, for features of unit variance.
RIDGES = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
UNDECIDED = 300.0
# Rows learned from at a time: bounds the memory of rows × bits matrices.
CHUNK = 20_000
# The ridge is chosen on at most this many rows, with every fifth of them held out in turn, or only
# once where a single fifth already holds enough queries.
CHOICE_ROWS = 10_000
FOLDS = 5
ENOUGH_QUERIES = 400
MODALITIES: tuple[Modality, Modality] = ("image", "text")


class CodeLearner(Protocol):
    """Gives labelled rows their codes; keeps what later rows need to know of earlier ones."""

    def learn(self, labels: Doubles) -> Doubles:
        """Codes ±1 ``(n, bits)`` of rows with labels ``(n, classes)``."""
        ...


class RidgeHasher(Hasher):
    """A supervised hasher that learns its rows' codes first, then ridge maps from features to them.

    A subclass says in ``_code_learner`` how codes are learned. They come from labels, so a row
    that lacks one modality still teaches the other; a row without labels only tells the means.

    Parameters
    ----------
    bits, seed: as in every hasher.
    features: ``"linear"``, or ``"rbf"`` for exp(−D / 2·mean D) of squared distances D to anchors.
    anchors: how many rows serve as anchors of ``"rbf"``.
    ridge: ξ of the ridge; None takes the one of ``RIDGES`` with the best mAP on training rows
        that were held out from learning codes and maps.
    """

    needs_labels = True
    feature_weight = 0.5
    streams: ClassVar[bool] = True
    """Whether rows that come later can be given codes that agree with those of earlier ones."""

    ridge_: float

    def __init__(
        self,
        bits: int = 64,
        seed: int = 0,
        features: str = "linear",
        anchors: int = 500,
        ridge: float | None = None,
    ) -> None:
        super().__init__(bits, seed)
        self.features = features
        self.anchors = anchors
        self.ridge = ridge

    @abstractmethod
    def _code_learner(self, classes: int, rng: np.random.Generator) -> CodeLearner:
        """A fresh learner of codes for labels of ``classes`` columns."""

    def _learn_codes(
        self, learner: CodeLearner, labels: Doubles, images: Doubles, texts: Doubles
    ) -> tuple[Doubles, Doubles]:
        """Codes ±1 ``(n, bits)`` of the images and of the texts of labelled rows.

        ``images`` and ``texts`` are the rows' features as the ridge sees them, NaN where missing.
        """
        codes = learner.learn(labels)
        return codes, codes

    def partial_fit(self, images: ArrayLike, texts: ArrayLike, labels: ArrayLike) -> Self:
        """Learn from further rows, shaped as for ``fit``, at the cost of these rows only.

        The first call is ``fit``: it needs more labelled rows than bits, and decides on the ridge
        and the anchors for all. A hasher that was loaded from a file has no sums to add to.

        Raises
        ------
        HasherError: as ``fit``, and if columns or classes differ from those of the first call.
        """
        if not self.streams:
            raise HasherError(
                f"{self.name}: learns from all rows at once; call fit() with old and new rows, or "
                "use lemon, which learns on"
            )
        if not fitted_state(self):
            return self.fit(images, texts, labels)
        training: _Training | None = getattr(self, "_training", None)
        if training is None:
            raise HasherError(f"{self.name}: a loaded hasher cannot learn on; call fit() again")
        x = check_features(images, "images", dim=len(self.image_mean_), missing=True)
        y = check_features(texts, "texts", dim=len(self.text_mean_), missing=True)
        if len(x) != len(y):
            raise HasherError(f"texts: expected {len(x)} rows, one per image, found {len(y)}")
        known = check_labels(labels, "labels", len(x), classes=training.classes)
        training.add(x, y, known)
        self._adopt(training)
        return self

    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        self._check_parameters()
        labelled = ~np.isnan(labels[:, 0])
        for name, features in (("images", images), ("texts", texts)):
            found = int((labelled & ~np.isnan(features[:, 0])).sum())
            if found <= self.bits:
                raise HasherError(
                    f"{name}: expected more labelled rows than the {self.bits} bits, found {found}"
                )
        rng = np.random.default_rng(self.seed)
        if self.features == "rbf":
            self.image_anchors_, self.image_width_ = choose_anchors(
                images[~np.isnan(images[:, 0])], self.anchors, rng
            )
            self.text_anchors_, self.text_width_ = choose_anchors(
                texts[~np.isnan(texts[:, 0])], self.anchors, rng
            )
        if self.ridge is None:
            rows = np.flatnonzero(labelled)
            if len(rows) > CHOICE_ROWS:
                rows = np.sort(rng.choice(rows, CHOICE_ROWS, replace=False))
            self.ridge_ = choose_ridge(self, images[rows], texts[rows], labels[rows])
        else:
            self.ridge_ = float(self.ridge)
        self._training = _Training(self, images.shape[1], texts.shape[1], labels.shape[1])
        # Every n-th row makes a chunk: rows sorted by class would teach one class after the other.
        chunks = -(-len(images) // CHUNK) if self.streams else 1
        for start in range(chunks):
            part = slice(start, None, chunks)
            self._training.add(images[part], texts[part], labels[part])
        self._adopt(self._training)

    def _check_parameters(self) -> None:
        if self.features not in FEATURES:
            raise HasherError(f"features: expected one of {FEATURES}, found {self.features!r}")
        if self.features == "rbf" and not (isinstance(self.anchors, int) and self.anchors >= 1):
            raise HasherError(f"anchors: expected an integer from 1, found {self.anchors!r}")
        if self.ridge is not None and not 0 < self.ridge < np.inf:
            raise HasherError(f"ridge: expected None or a number above 0, found {self.ridge!r}")

    def _adopt(self, training: "_Training") -> None:
        """Hash functions from all sums so far."""
        self.image_mean_, self.text_mean_ = (training.mean(m) for m in MODALITIES)
        for modality in MODALITIES:
            ((matrix, offset),) = training.ridge[modality].solve(self.ridge_)
            setattr(self, f"{modality}_projection_", matrix)
            setattr(self, f"{modality}_offset_", offset)

    def _map(self, features: Floats, modality: Modality) -> Doubles:
        """The features that the ridge sees, float64 ``(n, dim)`` or ``(n, anchors)``."""
        if self.features == "linear":
            return features.astype(np.float64)
        anchors, width = (getattr(self, f"{modality}_{part}_") for part in ("anchors", "width"))
        return anchor_features(features, anchors, width)

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        matrix, offset = (getattr(self, f"{modality}_{part}_") for part in ("projection", "offset"))
        return self._map(features, modality) @ matrix + offset


class _Training:
    """The sums of all rows a hasher has learned from; nothing in it grows with their number."""

    def __init__(self, hasher: RidgeHasher, image_dim: int, text_dim: int, classes: int) -> None:
        self._hasher = hasher
        self.classes = classes
        dims = {"image": image_dim, "text": text_dim}
        self._totals = {m: np.zeros(dims[m]) for m in MODALITIES}
        self._counts = dict.fromkeys(MODALITIES, 0)
        if hasher.features == "rbf":
            dims = {m: len(getattr(hasher, f"{m}_anchors_")) for m in MODALITIES}
        self.ridge = {m: RidgeSums(dims[m], hasher.bits) for m in MODALITIES}
        self._codes = hasher._code_learner(classes, np.random.default_rng(hasher.seed))

    def add(self, images: Floats, texts: Floats, labels: Floats) -> None:
        """Learn from rows, some of which may lack a modality or labels."""
        labelled = ~np.isnan(labels[:, 0])
        mapped = []
        for modality, features in zip(MODALITIES, (images, texts), strict=True):
            present = ~np.isnan(features[:, 0])
            self._totals[modality] += features[present].sum(axis=0, dtype=np.float64)
            self._counts[modality] += int(present.sum())
            mapped.append(self._hasher._map(features[labelled], modality))
        if not labelled.any():
            return
        known = labels[labelled].astype(np.float64)
        learned = self._hasher._learn_codes(self._codes, known, *mapped)
        for modality, rows, codes in zip(MODALITIES, mapped, learned, strict=True):
            there = ~np.isnan(rows[:, 0])
            self.ridge[modality].add(rows[there], codes[there])

    def mean(self, modality: Modality) -> Floats:
        """Mean feature of all rows that have the modality, labelled or not."""
        return (self._totals[modality] / max(1, self._counts[modality])).astype(np.float32)

    def signs(self, modality: Modality, features: Floats) -> Iterator[Floats]:
        """Codes ±1 float32 ``(n, bits)`` of features, by the map of each of ``RIDGES``."""
        mapped = self._hasher._map(features, modality)
        for matrix, offset in self.ridge[modality].solve(RIDGES):
            yield np.where(mapped @ matrix + offset > 0, 1, -1).astype(np.float32)


def choose_ridge(hasher: RidgeHasher, images: Floats, texts: Floats, labels: Floats) -> float:
    """The ridge of ``RIDGES`` whose codes rank held-out rows best, both directions averaged.

    Codes and maps are learned without the held-out rows, and queries and database are both coded
    by the maps. Two rows are relevant to one another if they share a label of at least a half.
    """
    fold = np.random.default_rng(hasher.seed).permutation(len(labels)) % FOLDS
    paired = ~np.isnan(images[:, 0]) & ~np.isnan(texts[:, 0])
    quality = []
    for held_out in range(FOLDS):
        test, learned = paired & (fold == held_out), fold != held_out
        training = _Training(hasher, images.shape[1], texts.shape[1], labels.shape[1])
        training.add(images[learned], texts[learned], labels[learned])
        found = _ridge_quality(training, images[test], texts[test], labels[test] >= 0.5)
        if not np.isnan(found).any():
            quality.append(found)
        if test.sum() >= ENOUGH_QUERIES:
            break
    if not quality:  # no two held-out rows share a label: nothing to rank by
        return UNDECIDED
    # The larger of equally good ridges: it changes less from one set of rows to the next.
    mean = np.mean(quality, axis=0)
    return RIDGES[len(RIDGES) - 1 - int(mean[::-1].argmax())]


def _ridge_quality(
    training: _Training, images: Floats, texts: Floats, labels: NDArray[np.bool_]
) -> Doubles:
    """mAP by Hamming distance for each ridge, both directions averaged; NaN if undefined."""
    quality = np.full(len(RIDGES), np.nan)
    if len(labels) < 2:
        return quality
    shared = labels.astype(np.float32)
    relevant = shared @ shared.T > 0
    for number, (x, y) in enumerate(
        zip(training.signs("image", images), training.signs("text", texts), strict=True)
    ):
        agreement = x @ y.T
        forth = average_precision(in_ranked_order(relevant, rank_items(-agreement)))
        back = average_precision(in_ranked_order(relevant, rank_items(-agreement.T)))
        quality[number] = (mean_of(forth) + mean_of(back)) / 2
    return quality
