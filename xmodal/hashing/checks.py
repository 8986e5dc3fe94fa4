"""What arrays a hasher accepts; every message names the argument, the expected and the found."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError

Floats = NDArray[np.float32]
MIN_BITS, MAX_BITS = 8, 1024


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
    features = _matrix(values, name)
    if features.shape[1] < 1:
        raise HasherError(f"{name}: expected at least 1 column, found 0")
    if dim is not None and features.shape[1] != dim:
        raise HasherError(
            f"{name}: expected {dim} columns, as when the hasher was fitted, "
            f"found {features.shape[1]}"
        )
    unusable = ~np.isfinite(features)
    if missing:
        unusable &= ~np.isnan(features).all(axis=1, keepdims=True)
    bad = np.flatnonzero(unusable.any(axis=1))
    if len(bad):
        value = features[bad[0]][unusable[bad[0]]][0]
        allowed = " (a missing row is NaN in every column)" if missing else ""
        raise HasherError(
            f"{name}: expected finite values{allowed}, found {value} in row {bad[0]}"
            + (f" and {len(bad) - 1} more rows" if len(bad) > 1 else "")
        )
    return features


def check_fitting_features(values: Any, name: str, min_rows: int, missing: bool) -> Floats:
    """Features to learn from: enough rows that are present, and not all of them the same."""
    features = check_features(values, name, missing=missing)
    present = features[~np.isnan(features[:, 0])]
    if len(present) < min_rows:
        raise HasherError(f"{name}: expected at least {min_rows} rows, found {len(present)}")
    if not np.ptp(present, axis=0).any():
        raise HasherError(f"{name}: expected features that differ, found {len(present)} equal rows")
    return features


def check_labels(values: Any, name: str, rows: int, classes: int | None = None) -> Floats:
    """Labels as float32 ``(rows, classes)`` in [0, 1]; a row of NaN is unlabelled."""
    labels = _matrix(values, name)
    if len(labels) != rows:
        raise HasherError(f"{name}: expected {rows} rows, one per feature row, found {len(labels)}")
    if not labels.shape[1] or (classes is not None and labels.shape[1] != classes):
        raise HasherError(
            f"{name}: expected {classes or 'at least 1'} columns, found {labels.shape[1]}"
        )
    known = labels[~np.isnan(labels).all(axis=1)]
    outside = ~((known >= 0) & (known <= 1))
    if outside.any():
        raise HasherError(
            f"{name}: expected values from 0 to 1 (an unlabelled row is NaN in every column), "
            f"found {known[outside][0]}"
        )
    return labels


def check_fitting_labels(values: Any, name: str, rows: int, min_rows: int) -> Floats:
    """Labels to learn from: enough rows that are labelled, and not all of them the same."""
    labels = check_labels(values, name, rows)
    known = labels[~np.isnan(labels[:, 0])]
    if len(known) < min_rows:
        raise HasherError(f"{name}: expected at least {min_rows} labelled rows, found {len(known)}")
    if not np.ptp(known, axis=0).any():
        raise HasherError(
            f"{name}: expected rows with different labels, found {len(known)} equal rows"
        )
    return labels


def complete_rows(images: Floats, texts: Floats, labels: Floats, bits: int) -> NDArray[np.bool_]:
    """Which rows have both modalities and labels: bool ``(n,)``; more than ``bits`` must."""
    present = [~np.isnan(values[:, 0]) for values in (images, texts, labels)]
    complete: NDArray[np.bool_] = np.logical_and.reduce(present)
    if complete.sum() <= bits:
        raise HasherError(
            f"labels: expected more labelled rows than the {bits} bits, with both modalities, "
            f"found {int(complete.sum())}"
        )
    return complete


def present_mean(features: Floats) -> Floats:
    """Mean ``(dim,)`` of the rows that are not missing."""
    present = features[~np.isnan(features[:, 0])]
    return present.mean(axis=0, dtype=np.float64).astype(np.float32)


def _matrix(values: Any, name: str) -> Floats:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise HasherError(f"{name}: expected an array of real numbers, found dtype {array.dtype}")
    if array.ndim != 2:
        raise HasherError(f"{name}: expected shape (rows, columns), found shape {array.shape}")
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf and is reported as such
        return np.ascontiguousarray(array, dtype=np.float32)
