"""RBF-anchor features: how near a row is to each of a few training rows."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.chunks import float_rows, rows_with_all
from xmodal.hashing.rotation import Doubles

# Rows that tell how far from the anchors rows are.
WIDTH_ROWS = 2_000


def choose_anchors(features: Reals, count: int, rng: "np.random.Generator") -> tuple[Floats, float]:
    """At most ``count`` rows as anchors, and the mean squared distance of the rows to them.

    Anchors are training rows picked at random, as in the anchor features of supervised hashing
    with kernels (Liu et al., CVPR 2012).
    """
    present = rows_with_all(features)
    anchors, sample = (
        float_rows(features, present[np.sort(rng.choice(len(present), rows, replace=False))])
        for rows in (min(count, len(present)), min(WIDTH_ROWS, len(present)))
    )
    return anchors, float(squared_distances(sample, anchors).mean()) or 1.0


def anchor_features(features: Floats, anchors: Floats, width: float) -> Doubles:
    """exp(−D / 2·width) of the squared distances D to the anchors: float64 ``(n, anchors)``."""
    distances = squared_distances(features, anchors)
    distances /= -2 * width
    return np.exp(distances, out=distances)


def squared_distances(features: NDArray[np.floating], anchors: NDArray[np.floating]) -> Doubles:
    """Squared Euclidean distances of rows ``(n, d)`` to anchors: float64 ``(n, anchors)``."""
    x, a = features.astype(np.float64), anchors.astype(np.float64)
    distances = (x**2).sum(axis=1)[:, None] + (a**2).sum(axis=1) - 2 * (x @ a.T)
    return np.maximum(distances, 0, out=distances)
