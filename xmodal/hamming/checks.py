"""What the index refuses: ids, numbers and planes of the wrong kind, each named in the error."""

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import CodesError


def check_ids(ids: Any, name: str = "ids") -> NDArray[np.int64]:
    """Ids as contiguous int64 ``(n,)``; CodesError for another type or shape, or a negative id."""
    if not isinstance(ids, np.ndarray):
        raise CodesError(f"expected {name} as a NumPy array, found {type(ids).__name__}")
    if ids.dtype.kind not in "iu" or not np.can_cast(ids.dtype, np.int64):
        raise CodesError(f"expected {name} of dtype int64, found {ids.dtype}")
    if ids.ndim != 1:
        raise CodesError(f"expected {name} of shape (n,), found {ids.shape}")
    if len(ids) and ids.min() < 0:
        raise CodesError(f"expected {name} of 0 or greater, found {ids.min()}")
    return np.ascontiguousarray(ids, dtype=np.int64)


def check_run(ids: range) -> range:
    """A range of ids; CodesError unless its step is 1 and none is negative."""
    if ids.step != 1 or ids.start < 0:
        raise CodesError(f"expected ids as a range of step 1 from 0 or greater, found {ids}")
    return ids


def as_bitmap(allowed: Any) -> NDArray[np.bool_] | None:
    """The filter if it is a bitmap, None if it is not; CodesError for one of another shape."""
    if not isinstance(allowed, np.ndarray) or allowed.dtype != np.bool_:
        return None
    if allowed.ndim != 1:
        raise CodesError(f"expected allowed of shape (m,), found {allowed.shape}")
    return allowed


def check_number(value: Any, name: str, least: int) -> int:
    """An integer of at least ``least``; CodesError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        raise CodesError(f"expected {name} as an integer, found {value!r}") from None
    if number < least:
        raise CodesError(f"{name} must be at least {least}, not {number}")
    return number


def refuse(ids: NDArray[np.int64], reason: str) -> None:
    """Raise CodesError that names ``ids``, unless there are none."""
    if len(ids):
        more = f" (and {len(ids) - 3:,} more)" if len(ids) > 3 else ""
        raise CodesError(f"id {', '.join(map(str, ids[:3].tolist()))}{more}: {reason}")
