"""The hasher contract: features of two modalities in, bits of one binary space out.

A hasher is one small file: it declares what it needs, stores its parameters in ``__init__``, and
implements ``_fit`` (sets attributes that end in ``_``, among them ``image_mean_`` and
``text_mean_``) and ``_project``. Checking, packing, batching, saving and loading are done here.
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
    check_bits,
    check_features,
    check_fitting_features,
    check_fitting_labels,
)

Modality = Literal["image", "text"]

# Rows coded at a time: the float64 copies that the projection needs stay near 100 MB.
BATCH = 16_384


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
    feature_weight: ClassVar[float] = float("inf")
    """Weight of the features' cosine beside the code's score where features are kept, both
    standardised: infinite for codes that only approximate the cosine, finite for supervised ones,
    which know what the features do not."""

    image_mean_: Floats
    text_mean_: Floats

    def __init__(self, bits: int = 128, seed: int = 0) -> None:
        self.bits = bits
        self.seed = seed

    def fit(self, images: ArrayLike, texts: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn the codes.

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
        check_bits(self.bits)
        x = check_fitting_features(images, "images", self.min_rows, missing=True)
        y = check_fitting_features(texts, "texts", self.min_rows, missing=True)
        if self.needs_pairs and len(x) != len(y):
            raise HasherError(f"texts: expected {len(x)} rows, one per image, found {len(y)}")
        if self.needs_shared_space and x.shape[1] != y.shape[1]:
            raise HasherError(
                f"texts: expected {x.shape[1]} columns, the images' feature space, "
                f"found {y.shape[1]}"
            )
        if labels is None and self.needs_labels:
            raise HasherError(
                f"labels: expected an array (rows, classes) by {self.name}, found None"
            )
        known = None
        if labels is not None and self.needs_labels:
            known = check_fitting_labels(labels, "labels", len(x), self.min_rows)
        for attribute in fitted_state(self):
            delattr(self, attribute)
        self._fit(x, y, known)
        return self

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
    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        """Learn from checked arrays; rows of NaN are missing."""

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
        checked = check_features(features, name, dim=len(self._mean(modality)))
        out = np.empty((len(checked), self.bits), np.float32)
        for start in range(0, len(checked), BATCH):
            out[start : start + BATCH] = function(checked[start : start + BATCH], modality)
        return out


class LinearHasher(Hasher):
    """A hasher whose every bit is the sign of a linear function of the centred features.

    ``_fit`` sets ``image_projection_`` ``(image_dim, bits)`` and ``text_projection_``. Products
    are taken in float64: then a value's sign does not depend on the batch it was computed in.
    """

    image_projection_: Floats
    text_projection_: Floats

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        matrix = self.image_projection_ if modality == "image" else self.text_projection_
        return (features.astype(np.float64) - self._mean(modality)) @ matrix.astype(np.float64)


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
