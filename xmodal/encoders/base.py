"""What every encoder promises, and the one way features are normalised."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Features = NDArray[np.float32]


@runtime_checkable
class Encoder(Protocol):
    """Turns pictures and sentences into features of one shared space.

    ``id`` names architecture, weights' digest and preprocessing version: two encoders with the
    same id give the same features. ``spec`` is what the user wrote to choose it and what loads
    it again (``bundled``, ``open_clip:ViT-B-32/laion2b_s34b_b79k``). ``image_size`` is the side
    in pixels the image tower looks at, so that JPEGs can be decoded at a reduced scale.
    """

    id: str
    spec: str
    dim: int
    image_size: int

    def encode_images(self, images: "Sequence[Image.Image]") -> Features:
        """Features of upright RGB pictures of any size: float32 ``(n, dim)``, L2-normalised."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Features of sentences or keywords: float32 ``(n, dim)``, L2-normalised."""
        ...


def normalise(x: NDArray[np.floating]) -> Features:
    """Rows scaled to unit L2 norm as float32; a zero row stays zero."""
    rows: Features = np.asarray(x, dtype=np.float32)
    norm: Features = np.linalg.norm(rows, axis=-1, keepdims=True)
    norm[norm == 0] = 1
    return rows / norm
