"""The hasher contract: features of two modalities in, bits of one binary space out.

A hasher is one small file: it declares what it needs, stores its parameters in ``__init__``, and
implements ``_fit`` (sets attributes that end in ``_``) and ``_project``. Checking, means, packing,
batching, saving and loading are done here. Most hashers learn from sums of rows and are a
``StreamingHasher`` (``streaming.py``).
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import HasherError
from xmodal.hamming.packing import pack_bits
from xmodal.hashing.checks import (
    Floats,
    Reals,
    Total,
    check_bits,
    check_pairs,
    scan_features,
    scan_fitting_features,
    scan_fitting_labels,
)
from xmodal.hashing.chunks import float_rows, in_order, one_blas_thread, slices

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, Modality] = ("image", "text")


class Hasher(ABC):
    """Learns codes of ``bits`` bits for images and texts; one Hamming space for both.

    Parameters are stored untouched by ``__init__`` and must be JSON values. The sign of
    ``project_*`` is the code. ``query_*`` are weights for asymmetric ranking,
    ``score(query, item) = sum_j weight_j * sign_j(item)``; they are the projections unless a
    hasher knows better ones.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    needs_labels: ClassVar[bool] = False
    """Whether ``fit`` must be given labels."""
    needs_pairs: ClassVar[bool] = True
    """Whether row ``i`` of the images belongs to row ``i`` of the texts."""
    needs_shared_space: ClassVar[bool] = False
    """Whether images and texts must lie in one feature space, as CLIP's do."""
    min_rows: ClassVar[int] = 2
    """Rows of each modality without which ``fit`` refuses."""
    nested: ClassVar[bool] = False
    """Whether bits come in order of worth: the first ``b`` bits of a code, and of the weights of a
    query, are those of a code that is shorter, so that one long code serves for all lengths."""
    feature_weight: ClassVar[float] = float("inf")
    """Weight of the features' cosine beside the code's score where features are kept, both
    standardised: infinite for codes that only approximate the cosine, finite for supervised ones,
    which know what the features do not."""

    streams: ClassVar[bool] = False
    """Whether ``partial_fit`` takes further rows, at the cost of these alone."""

    image_mean_: Floats
    text_mean_: Floats
    _totals: list[Total]

    def __init__(self, bits: int = 128, seed: int = 0) -> None:
        self.bits = bits
        self.seed = seed

    @property
    def instance_start(self) -> int:
        """The bit with which those begin that tell single pictures apart; before it stand those
        that tell what pictures have in common, where a code has such a half."""
        return 0

    def fit(self, images: ArrayLike, texts: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn the codes.

        Arrays may be memory-mapped and of any real dtype: they are read a chunk at a time, as
        float32, and never copied whole. The same seed gives the same codes, on any number of
        threads.

        Parameters
        ----------
        images: float ``(n, image_dim)``; a row of NaN is a missing picture.
        texts: float ``(n, text_dim)``; a row of NaN is a missing text. The row count may differ
            from that of the images if ``needs_pairs`` is false.
        labels: float or bool ``(n, classes)``, 0/1 or soft in [0, 1]; a row of NaN is unlabelled.

        Raises
        ------
        HasherError: naming the argument, what was expected and what was found.
        """
        with one_blas_thread():
            check_bits(self.bits)
            x, x_total = scan_fitting_features(images, "images", self.min_rows, missing=True)
            y, y_total = scan_fitting_features(texts, "texts", self.min_rows, missing=True)
            if self.needs_pairs:
                check_pairs(x, y)
            if self.needs_shared_space and x.shape[1] != y.shape[1]:
                raise HasherError(
                    f"texts: expected {x.shape[1]} columns, the images' feature space, "
                    f"found {y.shape[1]}"
                )
            known = None
            if self.needs_labels:
                given = self._given_labels(labels)
                known = scan_fitting_labels(given, "labels", len(x), self.min_rows)
            self._forget()
            self._count(x_total, y_total)
            try:
                self._fit(x, y, known)
            except BaseException:
                self._forget()  # half a hasher must not code
                raise
        return self

    def partial_fit(
        self, images: ArrayLike, texts: ArrayLike, labels: ArrayLike | None = None
    ) -> Self:
        """Learn from further rows, shaped as for ``fit``, where ``streams`` is true.

        Raises
        ------
        HasherError: naming what to do instead where the method needs all rows at once.
        """
        raise HasherError(
            f"{self.name}: learns from all rows at once; call fit() with old and new rows, or use "
            "a hasher that learns on: list_hashers() says which do (streams)"
        )

    def project_images(self, features: ArrayLike) -> Floats:
        """The real values before the sign for ``(n, image_dim)``: float32 ``(n, bits)``."""
        return self._reals(features, "image", self._project)

    def project_texts(self, features: ArrayLike) -> Floats:
        """The real values before the sign for ``(n, text_dim)``: float32 ``(n, bits)``."""
        return self._reals(features, "text", self._project)

    def query_images(self, features: ArrayLike) -> Floats:
        """What each bit of an item counts for these image queries: float32 ``(n, bits)``."""
        return self._reals(features, "image", self._weigh)

    def query_texts(self, features: ArrayLike) -> Floats:
        """What each bit of an item counts for these text queries: float32 ``(n, bits)``."""
        return self._reals(features, "text", self._weigh)

    def encode_images(self, features: ArrayLike) -> NDArray[np.uint8]:
        """Codes of images: uint8 ``(n, bits // 8)``, packed as :func:`numpy.packbits` does."""
        return pack_bits(self.project_images(features))

    def encode_texts(self, features: ArrayLike) -> NDArray[np.uint8]:
        """Codes of texts: uint8 ``(n, bits // 8)``, packed as :func:`numpy.packbits` does."""
        return pack_bits(self.project_texts(features))

    def save(self, file: str | Path | BinaryIO) -> None:
        """Write parameters and fitted arrays as ``.npz`` to a path or a binary file."""
        from xmodal.hashing.serial import save_hasher

        check_is_fitted(self)
        save_hasher(self, file)

    @classmethod
    def load(cls, file: str | Path | BinaryIO) -> Self:
        """The hasher in a file; HasherError if it is not one or is of another class."""
        from xmodal.hashing.serial import load_hasher

        hasher = load_hasher(file)
        if not isinstance(hasher, cls):
            raise HasherError(f"file: expected a {cls.name} hasher, found {hasher.name}")
        return hasher

    def get_params(self) -> dict[str, Any]:
        """The parameters of ``__init__`` and their values."""
        return {name: getattr(self, name) for name in parameter_names(type(self))}

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({params})"

    @abstractmethod
    def _fit(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        """Learn from checked arrays of any real dtype; rows of NaN are missing.

        ``image_mean_`` and ``text_mean_`` are already those of the rows that are present.
        """

    @abstractmethod
    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        """Real values ``(n, bits)`` of checked features."""

    def _weigh(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        """Weights ``(n, bits)`` of checked query features."""
        return self._project(features, modality)

    def _mean(self, modality: Modality) -> Floats:
        return self.image_mean_ if modality == "image" else self.text_mean_

    def _reals(
        self,
        features: ArrayLike,
        modality: Modality,
        function: Callable[[Floats, Modality], NDArray[np.floating]],
    ) -> Floats:
        check_is_fitted(self)
        name = "images" if modality == "image" else "texts"
        with one_blas_thread():
            checked, _ = scan_features(features, name, dim=len(self._mean(modality)))
            out = np.empty((len(checked), self.bits), np.float32)
            parts = slices(len(checked))
            found = in_order(lambda part: function(float_rows(checked, part), modality), parts)
            for part, values in zip(parts, found, strict=True):
                out[part] = values
        return out

    def _given_labels(self, labels: ArrayLike | None) -> ArrayLike:
        if labels is None:
            raise HasherError(
                f"labels: expected an array (rows, classes) by {self.name}, found None"
            )
        return labels

    def _count(self, images: Total, texts: Total) -> None:
        """Take further rows into the means."""
        self._totals = [a + b for a, b in zip(self._totals, (images, texts), strict=True)]
        self.image_mean_, self.text_mean_ = (total.mean() for total in self._totals)

    def _forget(self) -> None:
        self._totals = [Total(), Total()]
        for attribute in fitted_state(self):
            delattr(self, attribute)


def check_is_fitted(hasher: Hasher) -> None:
    """Raise HasherError unless ``fit`` or ``load`` has been called."""
    if not fitted_state(hasher):
        raise HasherError(f"{hasher.name}: not fitted yet; call fit(images, texts) or load(file)")


def fitted_state(hasher: Hasher) -> dict[str, Any]:
    """The fitted attributes: those that end in ``_``."""
    return {name: value for name, value in vars(hasher).items() if name.endswith("_")}


def parameter_names(hasher: type[Hasher]) -> list[str]:
    """Names of the parameters a hasher's ``__init__`` takes."""
    return list(inspect.signature(hasher).parameters)
