"""A search from end to end: a query that was understood, in one feature space, to its results."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from math import isnan
from pathlib import Path

import numpy as np

from xmodal.encoders.base import Features
from xmodal.query.explaining import explain
from xmodal.query.folding import Folding, best_folded
from xmodal.query.order import Order
from xmodal.query.ranking import Term
from xmodal.query.search import CHANCE_DEPTH, Ids, PictureSearch
from xmodal.query.terms import Clause, Meaning
from xmodal.query.written import written_about
from xmodal.results import SearchResult
from xmodal.spaces.opened import OpenSpace


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
) -> list[SearchResult]:
    """What ``Library.search`` returns; ``also`` is asked for beside each of the clauses."""
    searching = _searching(space, use_features, explained)
    folding = Folding(space.session, space.features, space.code.hasher.image_mean_, fold)
    found = best_folded(lambda n: searching.find(clauses, n, also, order), folding, k, order)
    written = written_about(space.session, [each.best.id for each in found])
    told = explain(space.session, [each.best for each in found]) if explained else {}
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
    searching = _searching(space, use_features=True, explained=False)
    folding = Folding(space.session, space.features, space.code.hasher.image_mean_, near=False)
    ranked = searching.find(clauses, CHANCE_DEPTH, also).ranked
    sure = [each.best.id for each in folding.fold(ranked) if each.sure]
    return np.union1d(searching.certain(clauses, also), np.array(sure, dtype=np.int64))


def _searching(space: OpenSpace, use_features: bool, explained: bool) -> PictureSearch:
    def feature(meaning: Meaning) -> Features:
        if meaning.modality == "image":
            return space.picture(Path(meaning.source).expanduser())
        return space.text(meaning.source)

    return PictureSearch(
        space.session,
        space.code.hasher,
        # Once a search: asked again, a large index would be loaded instead of streamed.
        index=cache(lambda: space.index("image")),
        feature=feature,
        features=space.features,
        rank_features=use_features,
        background=space.background,
        calibration=cache(space.calibration),
        explain=explained,
    )
