"""Hashers that learn from sums: from any number of rows, and later from further ones."""

from abc import abstractmethod
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import HasherError
from xmodal.hashing.base import Hasher, Modality, fitted_state
from xmodal.hashing.checks import (
    Floats,
    Reals,
    check_pairs,
    scan_features,
    scan_labels,
)
from xmodal.hashing.chunks import one_blas_thread


class Sums(Protocol):
    """All that a hasher keeps of the rows it learned from; its size does not depend on them."""

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        """Learn from checked rows, some of which may lack a modality or labels."""
        ...


class StreamingHasher(Hasher):
    """A hasher whose ``fit`` adds rows to sums and solves them; ``partial_fit`` adds more.

    A subclass makes its sums in ``_start`` and its hash functions of them in ``_solve``. The means
    of all rows so far are in ``image_mean_`` and ``text_mean_`` when rows are added.
    """

    streams = True

    _sums: Sums
    _classes: int | None

    @abstractmethod
    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> Sums:
        """Empty sums; what is decided once is decided on these first rows."""

    @abstractmethod
    def _solve(self) -> None:
        """Set the fitted attributes from the sums."""

    def _fit(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        self._classes = None if labels is None else labels.shape[1]
        self._sums = self._start(images, texts, labels)
        self._sums.add(images, texts, labels)
        self._solve()

    def partial_fit(
        self, images: ArrayLike, texts: ArrayLike, labels: ArrayLike | None = None
    ) -> Self:
        """Learn from further rows, shaped as for ``fit``, at the cost of these rows only.

        The first call is ``fit``, and what is decided once (a ridge, anchors) is decided on its
        rows. Nothing that is kept grows with the rows. A hasher that was loaded from a file has
        no sums to add to.

        Raises
        ------
        HasherError: as ``fit``, and if columns or classes differ from those of the first call.
        """
        if not self.streams:
            return super().partial_fit(images, texts, labels)
        if not fitted_state(self):
            return self.fit(images, texts, labels)
        if not hasattr(self, "_sums"):
            raise HasherError(f"{self.name}: a loaded hasher cannot learn on; call fit() again")
        with one_blas_thread():
            x, x_total = scan_features(images, "images", dim=len(self.image_mean_), missing=True)
            y, y_total = scan_features(texts, "texts", dim=len(self.text_mean_), missing=True)
            if self.needs_pairs:
                check_pairs(x, y)
            known = None
            if self.needs_labels:
                given = self._given_labels(labels)
                known = scan_labels(given, "labels", len(x), classes=self._classes)
            self._count(x_total, y_total)
            self._sums.add(x, y, known)
            self._solve()
        return self


class LinearHasher(StreamingHasher):
    """A hasher whose every bit is the sign of a linear function of the centred features.

    ``_solve`` sets ``image_projection_`` ``(image_dim, bits)`` and ``text_projection_``. Products
    are taken in float64: then a value's sign does not depend on the batch it was computed in.
    """

    image_projection_: Floats
    text_projection_: Floats

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        matrix = self.image_projection_ if modality == "image" else self.text_projection_
        return (features.astype(np.float64) - self._mean(modality)) @ matrix.astype(np.float64)
