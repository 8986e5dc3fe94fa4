"""Regions of one dimension: k-means on sorted values, for every number of regions at once."""

import numpy as np

from xmodal.hashing.rotation import Doubles

ITERATIONS = 40


def regions_of(values: Doubles, most: int) -> list[Doubles]:
    """Thresholds of k-means for 0 to ``most`` thresholds: ``most + 1`` ascending arrays.

    Each starts from the one before, with the region that has the largest sum of squares split in
    two, and goes on as Lloyd does: more regions never leave more. Nothing is random.

    Parameters
    ----------
    values: float64 ``(n,)``, in any order.

    >>> [t.tolist() for t in regions_of(np.array([0.0, 1.0, 10.0, 11.0, 30.0, 32.0]), 2)]
    [[], [18.25], [5.5, 20.75]]
    """
    mean = values.mean()
    ordered = np.sort(values) - mean  # sums of squares far from zero would be all rounding
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    squares = np.concatenate([[0.0], np.cumsum(ordered**2)])
    found: list[Doubles] = [np.empty(0)]
    for _ in range(most):
        start = _split_largest(ordered, sums, squares, found[-1])
        found.append(_lloyd(ordered, sums, start))
    return [thresholds + mean for thresholds in found]


def _edges(ordered: Doubles, thresholds: Doubles) -> np.ndarray:
    """Positions in the sorted values where regions begin and end: ``(regions + 1,)``."""
    inner = np.searchsorted(ordered, thresholds, side="right")
    return np.concatenate([[0], inner, [len(ordered)]])


def _split_largest(
    ordered: Doubles, sums: Doubles, squares: Doubles, thresholds: Doubles
) -> Doubles:
    """One more threshold, at the mean of the region with the largest sum of squares."""
    edges = _edges(ordered, thresholds)
    count = np.maximum(np.diff(edges), 1)
    mean = np.diff(sums[edges]) / count
    spread = np.diff(squares[edges]) - count * mean**2
    return np.sort(np.append(thresholds, mean[np.argmax(spread)]))


def _lloyd(ordered: Doubles, sums: Doubles, thresholds: Doubles) -> Doubles:
    """Thresholds halfway between the means of their regions, until few values change sides."""
    edges = _edges(ordered, thresholds)
    for _ in range(ITERATIONS):
        count = np.diff(edges)
        if not count.all():  # fewer different values than regions: nothing left to move
            break
        mean = np.diff(sums[edges]) / count
        thresholds = (mean[:-1] + mean[1:]) / 2
        moved = _edges(ordered, thresholds)
        if np.array_equal(moved, edges):
            break
        edges = moved
    return thresholds
