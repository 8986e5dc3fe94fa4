"""What a learned code must beat: random projections of the scores of a plain classifier."""

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.evaluate.scorers import Ask, Direction, Floats, Model
from xmodal.hashing.ridge import RidgeSums

# For features of unit variance; one value for every set, so that nothing is chosen for any.
RIDGE = 300.0


def classifier_signs(
    images: Floats, texts: Floats, labels: Floats, *, bits: int, seed: int, asymmetric: bool
) -> Model:
    """Signs of random projections of ridge-classifier scores: no hashing was learned at all.

    For each modality a ridge regression from features to labels, then ``bits`` random directions
    in the space of the classes, the same for both. A trivial encoder that beats much published
    work: a supervised code that does not beat it has learned the labels, not how to hash them.
    """
    known = ~np.isnan(labels[:, 0])
    if not known.any():
        raise HasherError("labels: expected labelled rows, found none")
    mean = labels[known].mean(axis=0, dtype=np.float64)
    directions = np.random.default_rng(seed).standard_normal((labels.shape[1], bits))
    maps = {}
    for modality, features in (("image", images), ("text", texts)):
        rows = known & ~np.isnan(features[:, 0])
        sums = RidgeSums(features.shape[1], labels.shape[1])
        sums.add(features[rows].astype(np.float64), labels[rows] - mean)
        ((matrix, offset),) = sums.solve(RIDGE)
        maps[modality] = (matrix @ directions, offset @ directions)

    def reals(modality: str, features: Floats) -> NDArray[np.floating]:
        matrix, offset = maps[modality]
        return features @ matrix + offset

    def search(direction: Direction, items: Floats) -> Ask:
        source, target = ("text", "image") if direction == "text_to_image" else ("image", "text")
        stored = np.where(reals(target, items) > 0, 1, -1).astype(np.float32).T
        if asymmetric:
            return lambda queries: reals(source, queries) @ stored
        return lambda queries: (
            (np.where(reals(source, queries) > 0, 1, -1).astype(np.float32) @ stored - bits) / 2
        ).astype(np.int16)

    return search
