"""Hashers that take features as they are, or by their nearness to anchors."""

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.anchors import anchor_features, choose_anchors
from xmodal.hashing.base import MODALITIES, Modality
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.rotation import Doubles
from xmodal.hashing.streaming import StreamingHasher

FEATURES = ("linear", "rbf")


class FeatureHasher(StreamingHasher):
    """A hasher whose every bit is the sign of a linear function of features or of anchor features.

    Sums are taken of what :meth:`map` gives; ``_solve`` hands the functions to :meth:`_adopt`.
    ``_start`` of a subclass calls :meth:`_choose_features` first.

    Parameters
    ----------
    bits, seed: as in every hasher.
    features: ``"linear"``, or ``"rbf"`` for exp(−D / 2·mean D) of squared distances D to anchors.
    anchors: how many of the first rows serve as anchors of ``"rbf"``.
    """

    image_projection_: Doubles
    text_projection_: Doubles
    image_offset_: Doubles
    text_offset_: Doubles

    def __init__(
        self, bits: int = 64, seed: int = 0, features: str = "linear", anchors: int = 500
    ) -> None:
        super().__init__(bits, seed)
        self.features = features
        self.anchors = anchors

    def map(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        """What the linear function sees: the rows ``(n, dim)``, or ``(n, anchors)`` of them."""
        if self.features == "linear":
            return features
        anchors, width = (getattr(self, f"{modality}_{part}_") for part in ("anchors", "width"))
        return anchor_features(features, anchors, width)

    def mapped_dim(self, modality: Modality) -> int:
        """Columns of what :meth:`map` gives."""
        if self.features == "linear":
            return len(self._mean(modality))
        return len(getattr(self, f"{modality}_anchors_"))

    def _choose_features(self, images: Reals, texts: Reals, rng: "np.random.Generator") -> None:
        if self.features not in FEATURES:
            raise HasherError(f"features: expected one of {FEATURES}, found {self.features!r}")
        if self.features == "linear":
            return
        whole = isinstance(self.anchors, int | np.integer) and not isinstance(self.anchors, bool)
        if not whole or self.anchors < 1:
            raise HasherError(f"anchors: expected an integer from 1, found {self.anchors!r}")
        for modality, features in zip(MODALITIES, (images, texts), strict=True):
            anchors, width = choose_anchors(features, self.anchors, rng)
            setattr(self, f"{modality}_anchors_", anchors)
            setattr(self, f"{modality}_width_", width)

    def _adopt(self, modality: Modality, projection: Doubles, offset: Doubles) -> None:
        """Take ``map(features) @ projection + offset`` as the real values of a modality."""
        setattr(self, f"{modality}_projection_", projection)
        setattr(self, f"{modality}_offset_", offset)

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        matrix, offset = (getattr(self, f"{modality}_{part}_") for part in ("projection", "offset"))
        # In float64 a value's sign does not depend on the batch that it was computed in.
        return self.map(features, modality).astype(np.float64, copy=False) @ matrix + offset
