"""A toy encoder: colour words and coloured pictures in one space, no weights, no waiting.

It is a plug-in like any other: ``xmodal_toy-1.0.dist-info`` beside this file announces it under
the entry-point group ``xmodal.encoders``, so the CLI finds it as ``--encoder toy`` in a process
whose PYTHONPATH holds this folder.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from xmodal.encoders.base import Features, normalise

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (40, 60, 210),
    "yellow": (240, 220, 40),
    "orange": (250, 140, 20),
    "purple": (130, 40, 160),
    "black": (10, 10, 10),
    "white": (245, 245, 245),
    "grey": (128, 128, 128),
    "pink": (250, 150, 190),
}


def _vector(word: str, dim: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).standard_normal(dim)


class ToyEncoder:
    """Words are random directions; a picture is the blend of the colour words it shows."""

    spec = "toy"
    dim = 48
    image_size = 32

    def __init__(self, version: int = 1) -> None:
        self.id = f"toy:{version}"
        self.pictures_encoded = 0
        self._names = np.stack([_vector(name, self.dim) for name in COLOURS])
        self._rgb = np.array(list(COLOURS.values()), dtype=np.float32)

    def encode_images(self, images: Sequence[Image.Image]) -> Features:
        features = np.zeros((len(images), self.dim), dtype=np.float32)
        for row, image in enumerate(images):
            self.pictures_encoded += 1
            pixels = np.asarray(image.convert("RGB").resize((8, 8)), dtype=np.float32)
            distance = ((pixels.reshape(-1, 1, 3) - self._rgb) ** 2).sum(2)
            weight = np.exp(-distance / 4000.0).sum(0)
            # The grain keeps two pictures of one colour apart, and a picture near its versions.
            grain = np.clip(pixels - pixels.mean((0, 1)), -2, 2)
            features[row] = weight / weight.sum() @ self._names + 0.6 * np.resize(grain, self.dim)
        return normalise(features)

    def encode_texts(self, texts: Sequence[str]) -> Features:
        features = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                features[row] += _vector(word, self.dim)
        return normalise(features)


def other_toy() -> ToyEncoder:
    """A second feature space, for libraries that must refuse to mix two."""
    encoder = ToyEncoder(version=2)
    encoder.spec = "toy2"
    return encoder
