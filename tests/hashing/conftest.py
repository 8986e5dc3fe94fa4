"""Data that every hasher can learn from: two modalities of one space, with labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class Pairs:
    """Row i of each array belongs to item i."""

    images: np.ndarray
    texts: np.ndarray
    labels: np.ndarray

    def part(self, rows: slice) -> "Pairs":
        return Pairs(self.images[rows], self.texts[rows], self.labels[rows])


def make_pairs(rows: int = 240, dim: int = 32, classes: int = 5, seed: int = 0) -> Pairs:
    """Items of a few classes with details of their own; each modality lies in its own cone."""
    rng = np.random.default_rng(seed)
    classes_of = np.random.default_rng(seed + 1).integers(classes, size=rows)
    centres = np.random.default_rng(99).normal(size=(classes, dim))
    item = centres[classes_of] + rng.normal(size=(rows, dim))
    noise = 0.4 * rng.normal(size=(2, rows, dim))
    cones = 5 * np.random.default_rng(98).normal(size=(2, 1, dim))
    images, texts = (item + noise + cones).astype(np.float32)
    labels = np.eye(classes, dtype=np.float32)[classes_of]
    return Pairs(images, texts, labels)


@pytest.fixture(scope="session")
def pairs() -> Pairs:
    return make_pairs()


@pytest.fixture(scope="session")
def pairs_of() -> Callable[..., Pairs]:
    """``pairs_of(rows=240, dim=32, classes=5, seed=0)``: see ``make_pairs``."""
    return make_pairs
