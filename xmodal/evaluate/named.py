"""Measures by name: what ``map@50`` or ``own_recall@10`` asks of the answers to some queries."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.curves import precision_within, recall_within
from xmodal.evaluate.metrics import (
    Values,
    average_precision,
    in_ranked_order,
    ndcg_at,
    own_item_recall,
    precision_at,
    rank_items,
    recall_at,
)
from xmodal.evaluate.ties import (
    expected_average_precision,
    expected_ndcg_at,
    expected_precision_at,
    expected_recall_at,
)


@dataclass(frozen=True)
class Answers:
    """What a batch of queries got.

    ``distances`` ``(q, n)``, the first ``database`` columns the database, behind them the queries'
    own partners; ``gains`` ``(q, database)``, above 0 where relevant; ``own`` bool ``(q, n)``,
    the items that belong to the query.
    """

    distances: NDArray[Any]
    gains: NDArray[np.float32]
    own: NDArray[np.bool_]

    @property
    def found(self) -> NDArray[Any]:
        return self.distances[:, : self.gains.shape[1]]

    @cached_property
    def ranked(self) -> NDArray[np.float64]:
        """Gains in ranked order: sorting is the dear part, so it is done once for all measures."""
        return in_ranked_order(self.gains, rank_items(self.found))


Judge = Callable[[Answers, int | None], Values]

_JUDGES: dict[str, Judge] = {
    "map": lambda a, k: average_precision(a.ranked, k),
    "precision": lambda a, k: _defined(precision_at(a.ranked, _all(a, k)), a),
    "recall": lambda a, k: recall_at(a.ranked, _all(a, k)),
    "ndcg": lambda a, k: ndcg_at(a.ranked, k),
    "expected_map": lambda a, k: expected_average_precision(a.found, a.gains > 0, k),
    "expected_precision": lambda a, k: _defined(
        expected_precision_at(a.found, a.gains > 0, _all(a, k)), a
    ),
    "expected_recall": lambda a, k: expected_recall_at(a.found, a.gains > 0, _all(a, k)),
    "expected_ndcg": lambda a, k: expected_ndcg_at(a.found, a.gains, k),
    "own_recall": lambda a, k: own_item_recall(a.distances, a.own, _all(a, k)),
    "precision_within": lambda a, k: _within(precision_within, a, k),
    "recall_within": lambda a, k: _within(recall_within, a, k),
}
MEASURES = tuple(_JUDGES)
"""Their names; each may be followed by ``@K``, a cut-off (a radius for ``…_within``)."""


def judge_named(name: str) -> Callable[[Answers], Values]:
    """The measure of that name, ``map`` or ``map@50``; UsageError lists them if there is none."""
    parts = re.fullmatch(r"(\w+?)(?:@(\d+))?", name)
    if parts is None or parts[1] not in _JUDGES:
        raise UsageError(
            f"measures: there is no {name!r}; there are {', '.join(MEASURES)}, each with or "
            "without a cut-off such as @10"
        )
    judge, k = _JUDGES[parts[1]], None if parts[2] is None else int(parts[2])
    if k == 0 and not parts[1].endswith("_within"):
        raise UsageError(f"measures: expected a cut-off from 1, found {name!r}")
    return lambda answers: judge(answers, k)


def _within(lookup: Callable[..., Values], answers: Answers, radius: int | None) -> Values:
    """NaN for a ranking by real scores: only codes have a radius."""
    if answers.found.dtype.kind not in "iu":
        return np.full(len(answers.gains), np.nan)
    return lookup(answers.found, answers.gains > 0, *(() if radius is None else (radius,)))


def _all(answers: Answers, k: int | None) -> int:
    return answers.distances.shape[1] if k is None else k


def _defined(values: Values, answers: Answers) -> Values:
    """NaN for a query that nothing could answer, as in the other measures."""
    return np.where((answers.gains > 0).any(axis=1), values, np.nan)
