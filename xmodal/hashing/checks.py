"""What arrays a hasher accepts; every message names the argument, the expected and the found.

``check_`` gives float32 copies. ``scan_`` looks at an array a chunk at a time and hands it on as it
came: one that lies in a file is never copied whole.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.chunks import float_rows, in_order, rows_with_all, slices

Floats = NDArray[np.float32]
# An array of any real dtype, as it was given; rows are taken from it as float32.
Reals = NDArray[Any]
MIN_BITS, MAX_BITS = 8, 1024


@dataclass(frozen=True)
class Total:
    """How many rows there are that are not missing, and their sum float64 ``(dim,)``."""

    rows: int = 0
    values: Any = 0.0

    def __add__(self, other: "Total") -> "Total":
        return Total(self.rows + other.rows, self.values + other.values)

    def mean(self) -> Floats:
        mean: Floats = (self.values / max(1, self.rows)).astype(np.float32)
        return mean


def check_bits(bits: Any, name: str = "bits") -> int:
    """``bits`` as an int; a code is whole bytes, 8 to 1024 bits."""
    whole = isinstance(bits, int | np.integer) and not isinstance(bits, bool)
    if not whole or not MIN_BITS <= bits <= MAX_BITS or bits % 8:
        raise HasherError(
            f"{name}: expected a multiple of 8 from {MIN_BITS} to {MAX_BITS}, found {bits!r}"
        )
    return int(bits)


def check_features(
    values: Any, name: str, *, dim: int | None = None, missing: bool = False
) -> Floats:
    """Features as C-contiguous float32 ``(n, dim)``.

    ``missing`` allows rows that are NaN throughout, the mark of an absent modality; NaN anywhere
    else, and infinity everywhere, is an error.
    """
    return float_rows(scan_features(values, name, dim=dim, missing=missing)[0], slice(None))


def scan_features(
    values: Any, name: str, *, dim: int | None = None, missing: bool = False
) -> tuple[Reals, Total]:
    """The same without a copy: features ``(n, dim)`` as they came, and the total of their rows."""
    features = _matrix(values, name)
    if features.shape[1] < 1:
        raise HasherError(f"{name}: expected at least 1 column, found 0")
    if dim is not None and features.shape[1] != dim:
        raise HasherError(
            f"{name}: expected {dim} columns, as when the hasher was fitted, "
            f"found {features.shape[1]}"
        )
    total, bad, first = Total(0, np.zeros(features.shape[1])), 0, ""

    def look(part: slice) -> tuple[Total, int, str]:
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, reported as such
            rows = float_rows(features, part)
        return _look(rows, part.start, missing)

    for found, unusable, where in in_order(look, slices(len(features))):
        total, bad, first = total + found, bad + unusable, first or where
    if bad:
        allowed = " (a missing row is NaN in every column)" if missing else ""
        raise HasherError(
            f"{name}: expected finite values{allowed}, found {first}"
            + (f" and {bad - 1} more rows" if bad > 1 else "")
        )
    return features, total


def _look(rows: Floats, start: int, missing: bool) -> tuple[Total, int, str]:
    """The total of a chunk, how many of its rows are unusable, and which value the first holds."""
    values = rows.sum(axis=0, dtype=np.float64)
    if np.isfinite(values).all():  # float32 values do not overflow float64: all are finite
        return Total(len(rows), values), 0, ""
    unusable = ~np.isfinite(rows)
    present = ~np.logical_and(np.isnan(rows).all(axis=1), missing)
    unusable &= present[:, None]
    bad = np.flatnonzero(unusable.any(axis=1))
    where = ""
    if len(bad):
        where = f"{rows[bad[0]][unusable[bad[0]]][0]} in row {start + bad[0]}"
    return Total(int(present.sum()), rows[present].sum(axis=0, dtype=np.float64)), len(bad), where


def check_fitting_features(values: Any, name: str, min_rows: int, missing: bool) -> Floats:
    """Features to learn from: enough rows that are present, and not all of them the same."""
    return float_rows(scan_fitting_features(values, name, min_rows, missing)[0], slice(None))


def scan_fitting_features(
    values: Any, name: str, min_rows: int, missing: bool
) -> tuple[Reals, Total]:
    """The same without a copy, and the total of the rows."""
    features, total = scan_features(values, name, missing=missing)
    if total.rows < min_rows:
        raise HasherError(f"{name}: expected at least {min_rows} rows, found {total.rows}")
    if not _differ(features):
        raise HasherError(f"{name}: expected features that differ, found {total.rows} equal rows")
    return features, total


def check_pairs(images: Reals, texts: Reals) -> None:
    """Row i of the images belongs to row i of the texts."""
    if len(images) != len(texts):
        raise HasherError(f"texts: expected {len(images)} rows, one per image, found {len(texts)}")


def check_labels(values: Any, name: str, rows: int, classes: int | None = None) -> Floats:
    """Labels as float32 ``(rows, classes)`` in [0, 1]; a row of NaN is unlabelled."""
    return float_rows(scan_labels(values, name, rows, classes), slice(None))


def scan_labels(values: Any, name: str, rows: int, classes: int | None = None) -> Reals:
    """The same without a copy: labels ``(rows, classes)`` as they came."""
    labels = _matrix(values, name)
    if len(labels) != rows:
        raise HasherError(f"{name}: expected {rows} rows, one per feature row, found {len(labels)}")
    if not labels.shape[1] or (classes is not None and labels.shape[1] != classes):
        raise HasherError(
            f"{name}: expected {classes or 'at least 1'} columns, found {labels.shape[1]}"
        )
    for part in slices(len(labels)):
        known = float_rows(labels, part)
        known = known[~np.isnan(known).all(axis=1)]
        outside = ~((known >= 0) & (known <= 1))
        if outside.any():
            raise HasherError(
                f"{name}: expected values from 0 to 1 (an unlabelled row is NaN in every column), "
                f"found {known[outside][0]}"
            )
    return labels


def scan_fitting_labels(values: Any, name: str, rows: int, min_rows: int) -> Reals:
    """Labels to learn from: enough rows that are labelled, and not all of them the same."""
    labels = scan_labels(values, name, rows)
    known = int(np.count_nonzero(~np.isnan(labels[:, 0])))
    if known < min_rows:
        raise HasherError(f"{name}: expected at least {min_rows} labelled rows, found {known}")
    if not _differ(labels):
        raise HasherError(f"{name}: expected rows with different labels, found {known} equal rows")
    return labels


def check_ridge(ridge: Any, *, none: bool = False) -> None:
    """Refuse a ridge that is not a number above 0, or None where the hasher may choose."""
    number = isinstance(ridge, int | float | np.number) and not isinstance(ridge, bool)
    if (ridge is None and none) or (number and 0 < ridge < np.inf):
        return
    allowed = "None or a number above 0" if none else "a number above 0"
    raise HasherError(f"ridge: expected {allowed}, found {ridge!r}")


def check_enough_labelled(images: Reals, texts: Reals, labels: Reals, bits: int) -> None:
    """Refuse fewer labelled rows than bits in either modality."""
    for name, features in (("images", images), ("texts", texts)):
        found = len(rows_with_all(labels, features))
        if found <= bits:
            raise HasherError(
                f"{name}: expected more labelled rows than the {bits} bits, found {found}"
            )


def check_more_than_bits(rows: int, bits: int) -> None:
    """More rows with both modalities and labels than bits, or their codes mean nothing."""
    if rows <= bits:
        raise HasherError(
            f"labels: expected more labelled rows than the {bits} bits, with both modalities, "
            f"found {rows}"
        )


def _differ(values: Reals) -> bool:
    """Whether any two rows that are not missing differ."""
    first = None
    for part in slices(len(values)):
        rows = float_rows(values, part)
        rows = rows[~np.isnan(rows[:, 0])]
        if len(rows):
            first = rows[0] if first is None else first
            if (rows != first).any():
                return True
    return False


def _matrix(values: Any, name: str) -> Reals:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise HasherError(f"{name}: expected an array of real numbers, found dtype {array.dtype}")
    if array.ndim != 2:
        raise HasherError(f"{name}: expected shape (rows, columns), found shape {array.shape}")
    return array
