"""What measures expect when equal distances are shuffled: exact means over all orders of the tied.

Short codes tie often, and a measure of one order depends on how the items happened to be stored.
These functions average over every order of the tied items instead (McSherry & Najork, "Computing
information retrieval performance measures efficiently in the presence of tied scores", ECIR 2008).
Without ties they equal the measures in :mod:`xmodal.evaluate.metrics`. All of them take ``(q, n)``
distances and relevance in the items' own order and return one value a query, NaN where a query has
no relevant item.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.evaluate.metrics import (
    Values,
    cut_off,
    divide,
    in_ranked_order,
    ndcg_of_expected,
    rank_items,
)


@dataclass(frozen=True)
class _Groups:
    """For each rank ``(q, n)``: what its group of tied items holds and what stands before it."""

    start: NDArray[np.int64]
    size: NDArray[np.int64]
    total: NDArray[np.float64]
    before: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Relevance that each rank expects."""
        return self.total / self.size


def expected_average_precision(
    distances: ArrayLike, relevant: ArrayLike, k: int | None = None
) -> Values:
    """Expected AP@all or AP@k.

    >>> expected_average_precision([[1, 1]], [[True, False]])  # first or second: (1 + 1/2) / 2
    array([0.75])
    """
    relevant = np.asarray(relevant) > 0
    groups = _tied(distances, relevant)
    cut = cut_off(k, relevant.shape[1])
    rank = np.arange(1, cut + 1)
    place = rank - groups.start[:, :cut]  # 1 for the first of its group
    # A relevant item at this rank sees, of its own group, this share of the places before it.
    others = np.maximum(groups.size - 1, 1)[:, :cut]
    seen = groups.before[:, :cut] + 1 + (place - 1) * (groups.total[:, :cut] - 1) / others
    expected = groups.mean[:, :cut] * seen / rank
    return divide(expected.sum(axis=1), np.minimum(relevant.sum(axis=1), cut))


def expected_precision_at(distances: ArrayLike, relevant: ArrayLike, k: int) -> Values:
    """Expected share of relevant items among the first ``k``.

    >>> expected_precision_at([[1, 1, 1, 2]], [[True, False, False, True]], 1)
    array([0.33333333])
    """
    relevant = np.asarray(relevant) > 0
    cut = cut_off(k, relevant.shape[1])
    return np.asarray(_tied(distances, relevant).mean[:, :cut].sum(axis=1) / cut)


def expected_recall_at(distances: ArrayLike, relevant: ArrayLike, k: int) -> Values:
    """Expected share of a query's relevant items that stand among the first ``k``."""
    relevant = np.asarray(relevant) > 0
    cut = cut_off(k, relevant.shape[1])
    return divide(_tied(distances, relevant).mean[:, :cut].sum(axis=1), relevant.sum(axis=1))


def expected_ndcg_at(distances: ArrayLike, gains: ArrayLike, k: int | None = None) -> Values:
    """Expected NDCG of graded relevance: every tied item counts the mean gain of its group."""
    return ndcg_of_expected(_tied(distances, gains).mean, gains, k)


def _tied(distances: ArrayLike, relevance: ArrayLike) -> _Groups:
    ranking = rank_items(distances)
    ranked = np.take_along_axis(np.asarray(distances), ranking, axis=1)
    relevance = in_ranked_order(relevance, ranking).astype(np.float64)
    queries, items = ranked.shape
    first = np.ones((queries, items), bool)
    first[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    place = np.arange(items)
    start = np.maximum.accumulate(np.where(first, place, 0), axis=1)
    last = np.ones((queries, items), bool)
    last[:, :-1] = first[:, 1:]
    backwards = np.where(last, place + 1, items)[:, ::-1]
    end = np.minimum.accumulate(backwards, axis=1)[:, ::-1]
    summed = np.zeros((queries, items + 1))
    np.cumsum(relevance, axis=1, out=summed[:, 1:])
    before = np.take_along_axis(summed, start, axis=1)
    total = np.take_along_axis(summed, end, axis=1) - before
    return _Groups(start, end - start, total, before)
