"""Which ridge: the one whose codes rank rows best that were held out from learning them."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xmodal.evaluate.metrics import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hashing.base import MODALITIES, Modality
from xmodal.hashing.checks import Floats
from xmodal.hashing.ridge import equal_rows
from xmodal.hashing.rotation import Doubles
from xmodal.hashing.supervised import RidgeHasher, RidgeTraining

# Candidates, for features of unit variance.
RIDGES = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
UNDECIDED = 300.0
# Every fifth row is held out in turn, or only once where a single fifth has enough queries.
FOLDS = 5
ENOUGH_QUERIES = 400


def choose_ridge(hasher: RidgeHasher, images: Floats, texts: Floats, labels: Floats) -> float:
    """The ridge of ``RIDGES`` whose codes rank held-out rows best, both directions averaged.

    Codes and maps are learned without the held-out rows, and queries and database are both coded
    by the maps. Two rows are relevant to one another if they share a label of at least a half.
    """
    fold = np.random.default_rng(hasher.seed).permutation(len(labels)) % FOLDS
    fold = fold[equal_rows(images)]  # a picture that comes with several texts is held out with all
    paired = ~np.isnan(images[:, 0]) & ~np.isnan(texts[:, 0])
    quality = []
    for held_out in range(FOLDS):
        test, learned = paired & (fold == held_out), fold != held_out
        training = RidgeTraining(hasher, labels.shape[1])
        training.add(images[learned], texts[learned], labels[learned])
        found = _quality(hasher, training, (images[test], texts[test]), labels[test] >= 0.5)
        if not np.isnan(found).any():
            quality.append(found)
        if test.sum() >= ENOUGH_QUERIES:
            break
    if not quality:  # no two held-out rows share a label: nothing to rank by
        return UNDECIDED
    # The larger of equally good ridges: it changes less from one set of rows to the next.
    mean = np.mean(quality, axis=0)
    return RIDGES[len(RIDGES) - 1 - int(mean[::-1].argmax())]


def _quality(
    hasher: RidgeHasher,
    training: RidgeTraining,
    features: tuple[Floats, Floats],
    labels: NDArray[np.bool_],
) -> Doubles:
    """mAP by Hamming distance for each ridge, both directions averaged; NaN if undefined."""
    quality = np.full(len(RIDGES), np.nan)
    if len(labels) < 2:
        return quality
    shared = labels.astype(np.float32)
    relevant = shared @ shared.T > 0
    codes = (
        _signs(hasher, training, modality, values)
        for modality, values in zip(MODALITIES, features, strict=True)
    )
    for number, (x, y) in enumerate(zip(*codes, strict=True)):
        distance = (hasher.bits - x @ y.T).astype(np.int16)  # integers are sorted faster
        forth = average_precision(in_ranked_order(relevant, rank_items(distance)))
        back = average_precision(in_ranked_order(relevant, rank_items(distance.T)))
        quality[number] = (mean_of(forth) + mean_of(back)) / 2
    return quality


def _signs(
    hasher: RidgeHasher, training: RidgeTraining, modality: Modality, features: Floats
) -> Iterator[Floats]:
    """Codes ±1 float32 ``(n, bits)`` of features, by the map of each of ``RIDGES``."""
    mapped = hasher.map(features, modality)
    for matrix, offset in training.ridge[modality].solve(RIDGES):
        yield np.where(mapped @ matrix + offset > 0, 1, -1).astype(np.float32)
