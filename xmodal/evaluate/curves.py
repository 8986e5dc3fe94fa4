"""Measures along a scale: precision and recall by cut-off, and by Hamming radius.

A lookup within radius r finds every item whose code differs in at most r bits; its size is what the
codes make of it, so that precision and recall by radius describe the code without any ranking, and
ties do not matter.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.metrics import Values, check_rows, cut_off, divide


def precision_curve(relevant: ArrayLike, cut_offs: Sequence[int]) -> NDArray[np.float64]:
    """Precision at each of the cut-offs ``(q, len(cut_offs))``, of relevance in ranked order.

    >>> precision_curve([[True, False, True, True]], [1, 2, 4])
    array([[1.  , 0.5 , 0.75]])
    """
    hits = check_rows(relevant, "relevant") > 0
    cuts = np.array([cut_off(k, hits.shape[1]) for k in cut_offs])
    return np.asarray(hits.cumsum(axis=1)[:, cuts - 1] / cuts)


def recall_curve(relevant: ArrayLike, cut_offs: Sequence[int]) -> NDArray[np.float64]:
    """Recall at each of the cut-offs ``(q, len(cut_offs))``; NaN without any relevant item.

    >>> recall_curve([[True, False, True, True]], [1, 4])
    array([[0.33333333, 1.        ]])
    """
    hits = check_rows(relevant, "relevant") > 0
    cuts = np.array([cut_off(k, hits.shape[1]) for k in cut_offs])
    found = hits.cumsum(axis=1)[:, cuts - 1]
    return divide(found, np.broadcast_to(hits.sum(axis=1, keepdims=True), found.shape))


def precision_recall_by_radius(
    distances: ArrayLike, relevant: ArrayLike, bits: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of the lookups within radius 0, 1, … ``bits``: two ``(q, bits + 1)``.

    Parameters
    ----------
    distances: int ``(q, n)``, Hamming distances from 0 to ``bits``.
    relevant: bool ``(q, n)``.

    Precision is NaN where a lookup finds nothing, recall where nothing is relevant.

    >>> precision, recall = precision_recall_by_radius([[0, 1, 1]], [[True, False, True]], 1)
    >>> precision, recall
    (array([[1.        , 0.66666667]]), array([[0.5, 1. ]]))
    """
    values, hits = _looked_up(distances, relevant)
    if values.size and not 0 <= values.min() <= values.max() <= bits:
        raise UsageError(
            f"distances: expected 0 to {bits} bits, found {values.min()} to {values.max()}"
        )
    queries = len(values)
    cells = values + (bits + 1) * np.arange(queries)[:, None]
    shape = (queries, bits + 1)
    found = np.bincount(cells.ravel(), minlength=queries * (bits + 1)).reshape(shape)
    good = np.bincount(cells[hits], minlength=queries * (bits + 1)).reshape(shape)
    found, good = found.cumsum(axis=1), good.cumsum(axis=1)
    return divide(good, found), divide(good, np.broadcast_to(good[:, -1:], shape))


def precision_within(distances: ArrayLike, relevant: ArrayLike, radius: int = 2) -> Values:
    """Precision of the lookup within ``radius``; a lookup that finds nothing counts 0.

    The literature's "precision within Hamming radius 2": a code whose buckets are empty fails.
    NaN for a query without any relevant item.

    >>> precision_within([[0, 1, 3], [5, 5, 5]], [[True, False, True], [True, True, True]])
    array([0.5, 0. ])
    """
    values, hits = _looked_up(distances, relevant)
    near = values <= radius
    found = near.sum(axis=1)
    precision = np.nan_to_num(divide((near & hits).sum(axis=1), found))
    return np.where(hits.any(axis=1), precision, np.nan)


def recall_within(distances: ArrayLike, relevant: ArrayLike, radius: int = 2) -> Values:
    """Share of a query's relevant items that the lookup within ``radius`` finds.

    >>> recall_within([[0, 1, 3]], [[True, False, True]])
    array([0.5])
    """
    values, hits = _looked_up(distances, relevant)
    return divide(((values <= radius) & hits).sum(axis=1), hits.sum(axis=1))


def _looked_up(
    distances: ArrayLike, relevant: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    values, hits = check_rows(distances, "distances"), check_rows(relevant, "relevant") > 0
    if values.dtype.kind not in "iu":
        raise UsageError(
            f"distances: expected whole Hamming distances, found dtype {values.dtype}; a radius "
            "belongs to codes, not to asymmetric scores"
        )
    if values.shape != hits.shape:
        raise UsageError(f"relevant: expected shape {values.shape}, found {hits.shape}")
    return values.astype(np.int64), hits
