"""How a query scores items: by codes or by float features, in either direction."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming.packing import unpack_signs
from xmodal.hashing.base import Hasher
from xmodal.hashing.rotation import unit_rows

Floats = NDArray[np.float32]
Direction = Literal["text_to_image", "image_to_text"]
DIRECTIONS: tuple[Direction, Direction] = ("text_to_image", "image_to_text")

Ask = Callable[[Floats], NDArray[Any]]
"""Scores ``(q, n)`` of the items for query features ``(q, dim)``; higher is nearer."""
Model = Callable[[Direction, Floats], Ask]
"""Takes the items of a direction, ``(n, dim)``, and can be asked from then on."""


def code_model(hasher: Hasher, *, asymmetric: bool) -> Model:
    """Items by their codes: float32 asymmetric scores, or int16 minus the Hamming distance."""

    def search(direction: Direction, items: Floats) -> Ask:
        if direction == "text_to_image":
            query, code, stored = hasher.query_texts, hasher.encode_texts, hasher.encode_images
        else:
            query, code, stored = hasher.query_images, hasher.encode_images, hasher.encode_texts
        signs = unpack_signs(stored(items)).astype(np.float32).T
        if asymmetric:
            return lambda queries: query(queries) @ signs
        # Sums of ±1 are exact in float32, and their products much faster than integer ones.
        return lambda queries: (
            (unpack_signs(code(queries)).astype(np.float32) @ signs - hasher.bits) / 2
        ).astype(np.int16)

    return search


def centred_cosine(images: Floats, texts: Floats) -> Model:
    """The float baseline: cosine of features, each modality centred by its own training mean."""
    means = {"image": np.nanmean(images, axis=0), "text": np.nanmean(texts, axis=0)}

    def search(direction: Direction, items: Floats) -> Ask:
        source, target = ("text", "image") if direction == "text_to_image" else ("image", "text")
        stored = unit_rows(items - means[target]).T
        return lambda queries: unit_rows(queries - means[source]) @ stored

    return search
