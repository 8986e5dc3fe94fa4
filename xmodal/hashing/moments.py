"""What any number of rows sum to, and a sample of them: all that most hashers need to know."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.chunks import RowNumbers, float_rows, in_order, slices
from xmodal.hashing.rotation import Doubles


class Moments:
    """Count, mean ``(d,)`` and scatter ``(d, d)`` of rows, the scatter about their mean.

    Products are taken in the rows' own precision about the chunk's own mean, and added up in
    float64: features far from zero lose nothing to cancellation. Rows may have weights, of which
    ``weight`` is the sum; without any it is their count.
    """

    def __init__(self, dim: int) -> None:
        self.rows = 0
        self.weight = 0.0
        self.mean = np.zeros(dim)
        self.scatter = np.zeros((dim, dim))

    @classmethod
    def of(cls, rows: NDArray[np.floating], weights: Doubles | None = None) -> "Moments":
        """Of one chunk ``(n, d)``, weights ``(n,)``."""
        found = cls(rows.shape[1])
        if not len(rows):
            return found
        origin = rows.mean(axis=0, dtype=np.float64).astype(rows.dtype)
        centred = rows - origin
        found.rows, found.weight = len(rows), float(len(rows))
        if weights is not None:
            found.weight = float(weights.sum())
            centred *= np.sqrt(weights)[:, None]
            if not found.weight:
                return found
            rest = np.sqrt(weights) @ centred / found.weight
        else:
            rest = centred.mean(axis=0, dtype=np.float64)
        found.mean = origin + rest
        found.scatter = (centred.T @ centred).astype(np.float64)
        found.scatter -= found.weight * np.outer(rest, rest)
        return found

    def merge(self, other: "Moments") -> None:
        """Add the rows of another (Chan, Golub & LeVeque, 1983)."""
        self.rows += other.rows
        if not other.weight:
            return
        weight = self.weight + other.weight
        apart = other.mean - self.mean
        self.scatter += other.scatter
        self.scatter += self.weight * other.weight / weight * np.outer(apart, apart)
        self.mean += other.weight / weight * apart
        self.weight = weight

    def add(self, numbers: RowNumbers, moments: Callable[[RowNumbers], "Moments"]) -> None:
        """Add rows by their numbers; ``moments`` gives those of a chunk."""
        for found in in_order(moments, (numbers[part] for part in slices(len(numbers)))):
            self.merge(found)

    def about(self, point: NDArray[np.floating]) -> Doubles:
        """The scatter ``(d, d)`` about another point than the mean."""
        apart = self.mean - point
        return self.scatter + self.weight * np.outer(apart, apart)


class Reservoir:
    """A random sample of at most ``size`` rows, the same however the rows are divided into calls.

    Every row draws a key when it comes, and those with the smallest keys are kept.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._rng = np.random.default_rng([seed, size])
        self._keys = np.empty(0)
        self.arrays: list[NDArray[np.float32]] = []

    def add(self, numbers: RowNumbers, *values: NDArray[Any]) -> None:
        """Consider rows, by their numbers, of arrays that belong together."""
        keys = np.concatenate([self._keys, self._rng.random(len(numbers))])
        kept = np.arange(len(keys))
        if len(keys) > self.size:
            kept = np.sort(np.argpartition(keys, self.size)[: self.size])
        before = len(self._keys)
        old, new = kept[kept < before], numbers[kept[kept >= before] - before]
        taken = [float_rows(array, new) for array in values]
        if self.arrays:
            taken = [np.concatenate([a[old], b]) for a, b in zip(self.arrays, taken, strict=True)]
        self._keys, self.arrays = keys[kept], taken
