"""Pictures, their texts and their labels, as a trial divides them among its roles."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.scorers import Floats


class Items:
    """Pictures, their texts and their labels; every row of either knows its item."""

    def __init__(
        self,
        images: ArrayLike,
        texts: ArrayLike,
        labels: ArrayLike,
        text_of: ArrayLike | None,
        held_out: Sequence[int],
    ) -> None:
        self._images, self._texts, self._labels = (
            np.asarray(values, np.float32) for values in (images, texts, labels)
        )
        for name, values in (("images", self._images), ("texts", self._texts)):
            if not len(values):
                raise UsageError(f"{name}: expected rows, found none")
        self.count = len(self._images)
        rows = len(self._texts) if text_of is None else self.count
        if not self.count == rows == len(self._labels):
            raise UsageError(
                f"images, texts, labels: expected equally many rows, found {self.count}, "
                f"{len(self._texts)}, {len(self._labels)}"
            )
        self._text_of = np.arange(rows) if text_of is None else np.asarray(text_of)
        if self._text_of.shape != (len(self._texts),) or not (
            0 <= self._text_of.min() <= self._text_of.max() < self.count
        ):
            raise UsageError(
                f"text_of: expected an image row from 0 to {self.count - 1} for each of "
                f"{len(self._texts)} texts, found shape {self._text_of.shape}, "
                f"{self._text_of.min()} to {self._text_of.max()}"
            )
        classes = self._labels.shape[1]
        self._held_out = np.isin(np.arange(classes), held_out)
        if self._held_out.sum() != len(set(held_out)) or self._held_out.all():
            raise UsageError(
                f"held_out: expected some but not all of the label columns 0 to {classes - 1}, "
                f"found {list(held_out)}"
            )
        has = self._labels >= 0.5
        self.judging = has[:, self._held_out] if self._held_out.any() else has

    def training(self, items: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """Paired images, texts and visible labels: one row a text, and one an item without any."""
        if self._held_out.any():
            items = items[~self.judging[items].any(axis=1)]
        texts = np.flatnonzero(np.isin(self._text_of, items))
        mute = items[~np.isin(items, self._text_of)]
        owners = np.concatenate([self._text_of[texts], mute])
        none = np.full((len(mute), self._texts.shape[1]), np.nan, np.float32)
        labels = self._labels[owners][:, ~self._held_out]
        return self._images[owners], np.concatenate([self._texts[texts], none]), labels

    def rows(self, modality: str, items: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
        """Features of the items' pictures or texts that are there, and the item of each."""
        features = self._images if modality == "image" else self._texts
        owner = np.arange(self.count) if modality == "image" else self._text_of
        wanted = np.flatnonzero(np.isin(owner, items) & ~np.isnan(features[:, 0]))
        return features[wanted], owner[wanted]
