"""Ascending ids: an array, or a range where they have no gaps, which takes no memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64] | range


def as_run(ids: NDArray[np.int64]) -> Ids:
    """Ascending ids as a range, which takes no memory, where they have no gaps."""
    if not len(ids):
        return range(0)
    first, last = int(ids[0]), int(ids[-1])
    return range(first, last + 1) if last - first + 1 == len(ids) else ids


def listed(ids: Ids) -> NDArray[np.int64]:
    """The ids as an array."""
    return np.arange(ids.start, ids.stop) if isinstance(ids, range) else ids


def take(ids: Ids, places: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The ids at ``places``."""
    if isinstance(ids, range):
        return places.astype(np.int64) + ids.start
    return ids[places]
