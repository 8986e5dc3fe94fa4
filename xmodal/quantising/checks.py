"""What values a quantiser accepts; every message names the argument, the expected and the found."""

from numbers import Integral
from typing import Any

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.checks import Floats, Reals, scan_features
from xmodal.hashing.chunks import float_rows


def check_values(values: Any, columns: int | None, name: str) -> Reals:
    """Projected values ``(n, columns)``, all finite, for the quantiser of that name."""
    checked, _ = scan_features(values, "values")
    if columns is not None and checked.shape[1] != columns:
        raise HasherError(
            f"values: expected {columns} columns, as when {name} was fitted, "
            f"found {checked.shape[1]}"
        )
    return checked


def sample_values(values: Any, columns: int, what: str, rows: int, seed: int) -> Floats:
    """At most ``rows`` of the values to learn from, at least ``columns`` wide for ``what``."""
    checked, _ = scan_features(values, "values")
    if checked.shape[1] < columns:
        raise HasherError(
            f"values: expected at least {columns} columns for {what}, found {checked.shape[1]}"
        )
    if len(checked) < 2:
        raise HasherError(f"values: expected at least 2 rows, found {len(checked)}")
    chosen = np.arange(len(checked))
    if len(checked) > rows:
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(len(checked), rows, replace=False))
    sample = float_rows(checked, chosen)
    if not np.ptp(sample, axis=0).any():
        raise HasherError(f"values: expected rows that differ, found {len(sample)} equal rows")
    return sample


def check_count(value: Any, name: str, least: int) -> int:
    """A parameter that counts something."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise HasherError(f"{name}: expected a whole number of at least {least}, found {value!r}")
    return int(value)
