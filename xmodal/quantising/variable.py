"""``variable-bit``: as many thresholds for a dimension as it is worth."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.anchors import squared_distances
from xmodal.hashing.rotation import Doubles
from xmodal.quantising.checks import check_count
from xmodal.quantising.regions import regions_of
from xmodal.quantising.thresholds import ThresholdQuantiser

# Rows whose neighbours judge the thresholds.
JUDGES = 2_000
# Share of the judges that are a judge's neighbours.
NEAR = 0.01


class VariableBitQuantiser(ThresholdQuantiser):
    """A thermometer code with a different number of thresholds in each dimension.

    Variable-bit quantisation (Moran, Lavrenko & Osborne, ACL 2013). For each dimension and each
    number of thresholds, F1 says how well "in the same region" tells pairs of near rows from other
    pairs; a knapsack then gives the dimensions the thresholds, ``bits`` in all, whose F1 sum up
    to the most. Near are the nearest hundredth of at most 2,000 rows by Euclidean distance. The
    regions are those of k-means, and a region is stored as a thermometer (see ``manhattan``).

    Parameters
    ----------
    most: thresholds of one dimension.
    """

    name = "variable-bit"
    description = "thermometer code with more bits for informative dimensions"

    def __init__(self, bits: int = 128, seed: int = 0, most: int = 7) -> None:
        super().__init__(bits, seed)
        self.most = most

    def needed_dims(self, bits: int) -> int:
        return -(-bits // check_count(self.most, "most", 1))

    def wanted_dims(self, bits: int) -> int:
        return bits

    def _place(self, values: Doubles, rng: np.random.Generator) -> list[Doubles]:
        judges = values
        if len(values) > JUDGES:
            judges = values[np.sort(rng.choice(len(values), JUDGES, replace=False))]
        near = near_pairs(judges)
        choices = [regions_of(column, self.most) for column in values.T]
        worth = np.array(
            [
                [same_region_f1(column, thresholds, near) for thresholds in options]
                for column, options in zip(judges.T, choices, strict=True)
            ]
        )
        counts = spend(worth, self.bits)
        return [options[count] for options, count in zip(choices, counts, strict=True)]


def near_pairs(values: Doubles) -> NDArray[np.intp]:
    """Pairs of rows ``(pairs, 2)``: each row with its nearest hundredth, at least one."""
    distances = squared_distances(values, values)
    np.fill_diagonal(distances, np.inf)
    count = max(1, int(NEAR * len(values)))
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    return np.stack([np.repeat(np.arange(len(values)), count), nearest.ravel()], axis=1)


def same_region_f1(column: Doubles, thresholds: Doubles, near: NDArray[np.intp]) -> float:
    """F1 of "in the same region" as the test of being near, over all ordered pairs of rows.

    With TP the near pairs in one region, 2·TP / (pairs in one region + near pairs).
    """
    region = np.searchsorted(thresholds, column, side="left")
    together = int((region[near[:, 0]] == region[near[:, 1]]).sum())
    sizes = np.bincount(region)
    return 2 * together / (int((sizes * (sizes - 1)).sum()) + len(near))


def spend(worth: Doubles, budget: int) -> NDArray[np.intp]:
    """How many bits each dimension gets, ``budget`` in all, so that their worth is the most.

    The knapsack of ``worth`` ``(dims, most + 1)``, of 0 to ``most`` bits each, by dynamic
    programming. Where choices are worth the same, the earlier dimensions get the bits.

    >>> spend(np.array([[0.0, 3.0, 5.0], [0.0, 1.0, 1.5]]), 3)
    array([2, 1])
    """
    dims, options = worth.shape
    best = np.full(budget + 1, -np.inf)
    best[0] = 0.0
    chosen = np.zeros((dims, budget + 1), np.intp)
    for dim in range(dims - 1, -1, -1):
        totals = np.full((options, budget + 1), -np.inf)
        for count in range(min(options, budget + 1)):
            totals[count, count:] = best[: budget + 1 - count] + worth[dim, count]
        chosen[dim] = options - 1 - np.argmax(totals[::-1], axis=0)
        best = totals.max(axis=0)
    counts = np.zeros(dims, np.intp)
    left = budget
    for dim in range(dims):
        counts[dim] = chosen[dim, left]
        left -= counts[dim]
    return counts
