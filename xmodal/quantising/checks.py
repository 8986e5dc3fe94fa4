"""What values a quantiser accepts; every message names the argument, the expected and the found."""

from numbers import Integral
from typing import Any

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.checks import Floats


def check_values(values: Any) -> Floats:
    """Projected values as float32 ``(n, dims)``, all of them finite."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise HasherError(f"values: expected an array of real numbers, found dtype {array.dtype}")
    if array.ndim != 2:
        raise HasherError(f"values: expected shape (rows, columns), found shape {array.shape}")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf and is reported as such
        reals = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.argwhere(~np.isfinite(reals))
    if len(bad):
        row, column = bad[0]
        raise HasherError(
            f"values: expected finite values, found {reals[row, column]} in row {row}"
        )
    return reals


def check_fitting_values(values: Any, dims: int, what: str) -> Floats:
    """Values to learn from: at least ``dims`` columns for ``what``, and rows that differ."""
    reals = check_values(values)
    if reals.shape[1] < dims:
        raise HasherError(
            f"values: expected at least {dims} columns for {what}, found {reals.shape[1]}"
        )
    if len(reals) < 2:
        raise HasherError(f"values: expected at least 2 rows, found {len(reals)}")
    if not np.ptp(reals, axis=0).any():
        raise HasherError(f"values: expected rows that differ, found {len(reals)} equal rows")
    return reals


def check_count(value: Any, name: str, least: int) -> int:
    """A parameter that counts something."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise HasherError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return int(value)
