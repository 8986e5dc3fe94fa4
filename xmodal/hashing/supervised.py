"""Supervised hashers in two steps: codes from labels, then hash functions by ridge regression."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.base import MODALITIES, Modality
from xmodal.hashing.checks import Floats, Reals, check_enough_labelled, check_ridge
from xmodal.hashing.chunks import RowNumbers, float_rows, in_order, rows_with_all, slices
from xmodal.hashing.features import FeatureHasher
from xmodal.hashing.moments import Moments
from xmodal.hashing.ridge import RidgeSums

# Labelled rows whose codes are learned together where later ones can follow: bounds the memory of
# rows × bits matrices.
CHUNK = 20_000
# The ridge is chosen on at most this many rows.
CHOICE_ROWS = 10_000

Signs = NDArray[Any]


class LabelledRows:
    """The labelled rows of a call, or some of them: float32 where they are asked for.

    ``labels[part]``, ``images[part]`` and ``texts[part]`` of a slice are ``(m, classes)`` and
    ``(m, dim)``, the features as the ridge sees them; a missing row is NaN.
    """

    def __init__(
        self, hasher: FeatureHasher, images: Reals, texts: Reals, labels: Reals, rows: RowNumbers
    ) -> None:
        self._hasher = hasher
        self._features = {"image": images, "text": texts}
        self._labels = labels
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def labels(self, part: slice = slice(None)) -> Floats:
        return float_rows(self._labels, self._rows[part])

    def features(self, modality: Modality, part: slice = slice(None)) -> Floats:
        rows = float_rows(self._features[modality], self._rows[part])
        return self._hasher.map(rows, modality).astype(np.float32, copy=False)

    def spread_out(self, size: int) -> "Iterator[LabelledRows]":
        """All rows in parts of about ``size``, each with every n-th row.

        Rows that are sorted by class would else teach one class after the other.
        """
        count = -(-len(self) // size)
        for start in range(count):
            yield LabelledRows(
                self._hasher, self._features["image"], self._features["text"], self._labels,
                self._rows[start::count],
            )  # fmt: skip


class RidgeHasher(FeatureHasher):
    """A supervised hasher that learns its rows' codes first, then ridge maps from features to them.

    A subclass says in ``_code_learner`` how codes are learned. They come from labels, so a row
    that lacks one modality still teaches the other; a row without labels only tells the means.
    Where ``streams`` is true, rows that come later are given codes that agree with earlier ones.

    Parameters
    ----------
    bits, seed, features, anchors: as in every :class:`FeatureHasher`.
    ridge: ξ of the ridge; None takes the one of ``RIDGES`` with the best mAP on training rows
        that were held out from learning codes and maps.
    """

    needs_labels = True
    feature_weight = 0.5

    ridge_: float
    _sums: "RidgeTraining"

    def __init__(
        self,
        bits: int = 64,
        seed: int = 0,
        features: str = "linear",
        anchors: int = 500,
        ridge: float | None = None,
    ) -> None:
        super().__init__(bits, seed, features, anchors)
        self.ridge = ridge

    @abstractmethod
    def _code_learner(self, classes: int, rng: "np.random.Generator") -> Any:
        """A fresh learner of codes; what later rows need of earlier ones it keeps as sums."""

    @abstractmethod
    def _learn_codes(self, learner: Any, rows: LabelledRows) -> tuple[Signs, Signs]:
        """Codes ±1 ``(n, bits)`` of the images and of the texts of labelled rows."""

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> "RidgeTraining":
        from xmodal.hashing.ridge_choice import choose_ridge

        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        check_ridge(self.ridge, none=True)
        check_enough_labelled(images, texts, labels, self.bits)
        rng = np.random.default_rng(self.seed)
        self._choose_features(images, texts, rng)
        if self.ridge is None:
            rows = rows_with_all(labels)
            if len(rows) > CHOICE_ROWS:
                rows = np.sort(rng.choice(rows, CHOICE_ROWS, replace=False))
            chosen = (float_rows(values, rows) for values in (images, texts, labels))
            self.ridge_ = choose_ridge(self, *chosen)
        else:
            self.ridge_ = float(self.ridge)
        return RidgeTraining(self, labels.shape[1])

    def _solve(self) -> None:
        for modality in MODALITIES:
            ((matrix, offset),) = self._sums.ridge[modality].solve(self.ridge_)
            self._adopt(modality, matrix, offset)


class RidgeTraining:
    """The sums of all rows a hasher has learned from; nothing in it grows with their number."""

    def __init__(self, hasher: RidgeHasher, classes: int) -> None:
        self._hasher = hasher
        self.ridge = {m: RidgeSums(hasher.mapped_dim(m), hasher.bits) for m in MODALITIES}
        self._codes = hasher._code_learner(classes, np.random.default_rng(hasher.seed))

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        rows = LabelledRows(self._hasher, images, texts, labels, rows_with_all(labels))
        for found in in_order(_moments, self._coded(rows)):
            for modality, moments in zip(MODALITIES, found, strict=True):
                self.ridge[modality].merge(moments)

    def _coded(self, rows: LabelledRows) -> Iterator[tuple[LabelledRows, slice, Signs, Signs]]:
        """Chunks of rows with their codes; the next are learned while sums of these are taken."""
        if not len(rows):
            return
        for some in rows.spread_out(CHUNK if self._hasher.streams else len(rows)):
            codes = self._hasher._learn_codes(self._codes, some)
            for part in slices(len(some)):
                yield some, part, codes[0][part], codes[1][part]


def _moments(chunk: tuple[LabelledRows, slice, Signs, Signs]) -> list[Moments]:
    """Of the features and codes of both modalities of a chunk, where the modality is there."""
    rows, part, *codes = chunk
    found = []
    for modality, signs in zip(MODALITIES, codes, strict=True):
        features = rows.features(modality, part)
        there = ~np.isnan(features[:, 0])
        if not there.all():
            features, signs = features[there], signs[there]
        found.append(RidgeSums.of(features, signs))
    return found
