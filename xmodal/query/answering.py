"""A search from end to end: a query that was understood, in one feature space, to its results."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from math import isnan
from pathlib import Path

import numpy as np

from xmodal.encoders.base import Features
from xmodal.query.batch import AT_ONCE, ScannedTogether
from xmodal.query.explaining import explain
from xmodal.query.folding import Folding, best_folded
from xmodal.query.order import Order
from xmodal.query.ranking import Term
from xmodal.query.search import BEST, CHANCE_DEPTH, Ids, PictureSearch
from xmodal.query.terms import Clause, Meaning
from xmodal.query.written import written_about
from xmodal.results import SearchResult
from xmodal.spaces.opened import OpenSpace
from xmodal.stopwatch import OFF, Stopwatch


def answer(
    space: OpenSpace,
    clauses: Sequence[Clause],
    also: Sequence[Term],
    k: int,
    order: Order,
    *,
    use_features: bool = True,
    fold: bool = True,
    explained: bool = False,
    watch: Stopwatch = OFF,
) -> list[SearchResult]:
    """What ``Library.search`` returns; ``also`` is asked for beside each of the clauses."""
    searching = _searching(space, use_features, explained, watch)
    return _results(space, searching, clauses, also, k, order, fold)


def answer_many(
    space: OpenSpace,
    queries: Sequence[Sequence[Clause]],
    k: int,
    *,
    use_features: bool = True,
    watch: Stopwatch = OFF,
) -> list[list[SearchResult]]:
    """What :func:`answer` returns for each of the queries, their texts encoded together."""
    answers = []
    for start in range(0, len(queries), AT_ONCE):
        batch = queries[start : start + AT_ONCE]
        searching = _searching(space, use_features, explained=False, watch=watch)
        searching.prepare(batch, k, space.texts)
        answers += [
            _results(space, searching, clauses, (), k, BEST, fold=True) for clauses in batch
        ]
    return answers


def _results(
    space: OpenSpace,
    searching: PictureSearch,
    clauses: Sequence[Clause],
    also: Sequence[Term],
    k: int,
    order: Order,
    fold: bool,
) -> list[SearchResult]:
    folding = Folding(space.session, space.features, space.code.hasher.image_mean_, fold)
    found = best_folded(lambda n: searching.find(clauses, n, also, order), folding, k, order)
    best = [each.best for each in found]
    written = written_about(space.session, [each.id for each in best])
    told = explain(space.session, best) if searching.explain else {}
    return [
        SearchResult(
            rank=place,
            path=each.facts.path,
            distance=each.best.distance,
            score=each.best.score,
            chance=_known(each.best.chance),
            sure=each.sure,
            seconds=each.seconds,
            available=each.facts.available,
            **asdict(written[each.best.id]),
            copies=each.facts.copies,
            similar=len(each.similar),
            group=order.heading(each.facts),
            explanation=told.get(each.best.id),
        )
        for place, each in enumerate(found, start=1)
    ]


def _known(chance: float | None) -> float | None:
    return None if chance is None or isnan(chance) else chance


def sure_answers(space: OpenSpace, clauses: Sequence[Clause], also: Sequence[Term]) -> Ids:
    """All pictures that answer for certain, and those of the ranked that chance does not explain,
    as far down as it is looked at."""
    searching = _searching(space, use_features=True, explained=False, watch=OFF)
    folding = Folding(space.session, space.features, space.code.hasher.image_mean_, near=False)
    ranked = searching.find(clauses, CHANCE_DEPTH, also).ranked
    sure = [each.best.id for each in folding.fold(ranked) if each.sure]
    return np.union1d(searching.certain(clauses, also), np.array(sure, dtype=np.int64))


def _searching(
    space: OpenSpace, use_features: bool, explained: bool, watch: Stopwatch
) -> PictureSearch:
    def feature(meaning: Meaning) -> Features:
        if meaning.modality == "image":
            return space.picture(Path(meaning.source).expanduser())
        return space.texts([meaning.source])[0]

    return PictureSearch(
        space.session,
        space.code.hasher,
        # Once a search: asked again, a large index would be loaded instead of streamed.
        index=cache(lambda: ScannedTogether(space.index("image"))),
        feature=feature,
        features=space.features,
        rank_features=use_features,
        background=space.background,
        calibration=cache(space.calibration),
        explain=explained,
        watch=watch,
    )
