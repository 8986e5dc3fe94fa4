"""Measures of a ranking: mAP, precision, recall and NDCG, one value per query.

Every function takes rows already ranked, best first, as :func:`rank_items` orders them, and returns
one value a query, NaN where the measure is not defined for it (a query without any relevant item).
``mean_of`` averages what is defined. Ties are broken by the item's column, as the Hamming engine
breaks them by id: the order is (distance, id), the same on every machine. A measure of tied
distances therefore depends on the order of the items; :mod:`xmodal.evaluate.ties` has the means
over all orders of the tied.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import UsageError

Values = NDArray[np.float64]


def rank_items(distances: ArrayLike) -> NDArray[np.int64]:
    """Columns from nearest to farthest, ties by column: int64 ``(q, n)`` of ``(q, n)`` distances.

    Pass negated scores where higher is better.

    >>> rank_items([[2, 0, 2, 1]])
    array([[1, 3, 0, 2]])
    """
    values = check_rows(distances, "distances")
    return np.argsort(values, axis=1, kind="stable")


def in_ranked_order(relevance: ArrayLike, ranking: NDArray[np.int64]) -> NDArray[np.float64]:
    """Relevance ``(q, n)`` of items, reordered as they were ranked."""
    values = check_rows(relevance, "relevance")
    if values.shape != ranking.shape:
        raise UsageError(
            f"relevance: expected shape {ranking.shape}, as was ranked, found {values.shape}"
        )
    return np.take_along_axis(values, ranking, axis=1)


def average_precision(relevant: ArrayLike, k: int | None = None) -> Values:
    """Average precision of each query; their mean is mAP@all, or mAP@k.

    Parameters
    ----------
    relevant: bool ``(q, n)`` in ranked order, over the whole database.
    k: cut-off. AP@k sums the precisions at the relevant items within the first ``k`` and divides
        by the number that could stand there, ``min(k, relevant items)``: a perfect ranking has 1.

    >>> average_precision([[True, False, True, False]])
    array([0.83333333])
    """
    hits = check_rows(relevant, "relevant") > 0
    total = hits.sum(axis=1)
    shown = hits[:, : cut_off(k, hits.shape[1])]
    precision = np.cumsum(shown, axis=1) / np.arange(1, shown.shape[1] + 1)
    best = np.minimum(total, shown.shape[1])
    return divide((precision * shown).sum(axis=1), best)


def precision_at(relevant: ArrayLike, k: int) -> Values:
    """Share of relevant items among the first ``k``; among all if there are fewer than ``k``."""
    hits = check_rows(relevant, "relevant") > 0
    cut = cut_off(k, hits.shape[1])
    return np.asarray(hits[:, :cut].sum(axis=1) / cut)


def recall_at(relevant: ArrayLike, k: int) -> Values:
    """Share of a query's relevant items that stand among the first ``k``.

    With one relevant item, a picture's own caption, it is 1 or 0, and its mean the share of
    queries that find their own item.
    """
    hits = check_rows(relevant, "relevant") > 0
    return divide(hits[:, : cut_off(k, hits.shape[1])].sum(axis=1), hits.sum(axis=1))


def own_item_recall(distances: ArrayLike, own: ArrayLike, k: int) -> Values:
    """1 where one of the query's own items stands among the first ``k``, else 0.

    Parameters
    ----------
    distances: ``(q, n)``.
    own: int ``(q,)`` or ``(q, m)``, columns of the item(s) that belong to each query; or bool
        ``(q, n)``, where their number may differ from query to query. NaN for a query with none.
    """
    values = check_rows(distances, "distances")
    mask = _own_mask(np.asarray(own), values.shape)
    # Only the nearest own item matters, and counting what stands before it needs no sorting.
    infinite = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else np.inf
    distance = np.where(mask, values, infinite)
    column = distance.argmin(axis=1)
    nearest = np.take_along_axis(values, column[:, None], axis=1)
    before = (values < nearest) | (
        (values == nearest) & (np.arange(values.shape[1]) < column[:, None])
    )
    found = before.sum(axis=1) < cut_off(k, values.shape[1])
    return np.where(mask.any(axis=1), found, np.nan)


def _own_mask(own: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.bool_]:
    if own.dtype == np.bool_ and own.shape == shape:
        return own
    columns = own.reshape(shape[0], -1)
    if columns.size and not 0 <= columns.min() <= columns.max() < shape[1]:
        raise UsageError(
            f"own: expected columns from 0 to {shape[1] - 1}, "
            f"found {columns.min()} to {columns.max()}"
        )
    mask = np.zeros(shape, bool)
    np.put_along_axis(mask, columns, True, axis=1)
    return mask


def ndcg_at(gains: ArrayLike, k: int | None = None) -> Values:
    """Normalised discounted cumulative gain with graded relevance.

    Gains ``(q, n)`` in ranked order, at least 0, discounted by log2(rank + 1) and divided by what
    the best order would have (Järvelin & Kekäläinen, TOIS 2002, with linear gains; pass
    ``2**grade - 1`` for the exponential form).
    """
    return ndcg_of_expected(gains, gains, k)


def ndcg_of_expected(expected: ArrayLike, gains: ArrayLike, k: int | None) -> Values:
    """NDCG of the gain that each rank expects, beside the best order of the gains themselves."""
    values, got = check_rows(gains, "gains"), np.asarray(expected)
    if values.size and values.min() < 0:
        raise UsageError(f"gains: expected values from 0, found {values.min()}")
    cut = cut_off(k, values.shape[1])
    discount = 1 / np.log2(np.arange(2, cut + 2))
    best = -np.sort(-values, axis=1)[:, :cut]
    return divide(got[:, :cut] @ discount, best @ discount)


def mean_of(values: Values) -> float:
    """Mean over the queries for which the measure is defined; NaN if there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def check_rows(values: ArrayLike, name: str) -> NDArray[Any]:
    """An array of shape (queries, items) without NaN, or UsageError."""
    array = np.asarray(values)
    if array.ndim != 2 or not array.shape[1]:
        raise UsageError(f"{name}: expected shape (queries, items), found shape {array.shape}")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise UsageError(f"{name}: expected numbers, found NaN")
    return array


def cut_off(k: int | None, items: int) -> int:
    """How many ranks ``k`` leaves of that many items; all if it is None."""
    if k is None:
        return items
    if k < 1:
        raise UsageError(f"k must be at least 1, not {k}")
    return min(k, items)


def divide(part: NDArray[Any], whole: NDArray[Any]) -> Values:
    """Element by element; NaN where the whole is zero."""
    out = np.full(np.shape(part), np.nan)
    return np.divide(part, whole, out=out, where=whole > 0)
