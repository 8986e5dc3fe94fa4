"""From ranked pictures to results: what shows one thing is one result, its best picture.

The frames of a video are one result, and so are near duplicates. What chance explains is judged by
these, not by pictures: ten frames that are all fair are no better than one.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.encoders.base import Features
from xmodal.query.alike import Looks, Shot
from xmodal.query.catalog import Facts, facts_of
from xmodal.query.confidence import better_than_chance
from xmodal.query.order import Order, together
from xmodal.query.ranking import SHORTLIST, SHORTLIST_PER_RESULT, ReadFeatures
from xmodal.query.search import Answers, Found
from xmodal.store.chunks import chunks
from xmodal.store.models import Frame

# Where a few videos or series take all places, so many times as many are asked for.
_MORE = 10


class Moment(NamedTuple):
    """Which video a frame belongs to, by its content hash, and when it is shown."""

    video: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Folded:
    """A picture that stands for itself and for what is folded into it.

    ``similar`` are the near duplicates, best first, without the frames of its own video. ``sure``
    says whether chance does not explain it.
    """

    best: Found
    facts: Facts
    seconds: float | None
    similar: list[int]
    sure: bool

    @property
    def items(self) -> list[int]:
        """The pictures that it stands for, itself first."""
        return [self.best.id, *self.similar]


@dataclass(frozen=True)
class Folding:
    """What folds near duplicates: features as they are kept, and the mean of those of pictures.

    Without ``near`` only the frames of videos are folded.
    """

    session: Session
    features: ReadFeatures
    mean: Features
    near: bool = True

    def fold(self, answers: Sequence[Found]) -> list[Folded]:
        """The answers as results, in their order, but for those of which no file is present."""
        facts = facts_of(self.session, [found.id for found in answers])
        moments = _moments(self.session, list(facts))
        shown: dict[int | bytes, Found] = {}
        for found in answers:
            if found.id in facts:
                moment = moments.get(found.id)
                shown.setdefault(found.id if moment is None else moment.video, found)
        groups = self._near(list(shown.values()), facts, moments)
        best = [members[0] for members in groups]
        sure = _sure(best)
        return [
            Folded(
                members[0],
                facts[members[0].id],
                moments[members[0].id].seconds if members[0].id in moments else None,
                [found.id for found in members[1:]],
                sure[members[0].id],
            )
            for members in groups
        ]

    def _near(
        self, rows: list[Found], facts: dict[int, Facts], moments: Collection[int]
    ) -> list[list[Found]]:
        """Near duplicates side by side; videos are never near duplicates."""
        pictures = [found for found in rows if found.id not in moments]
        leaders: dict[int, int] = {}
        if self.near and len(pictures) > 1:
            ids = [found.id for found in pictures]
            shots = [shot_of(facts[item]) for item in ids]
            looks = Looks.of(self.features(np.array(ids, dtype=np.int64)), self.mean, shots)
            leaders = {item: ids[leader] for item, leader in zip(ids, looks.leaders(), strict=True)}
        groups: dict[int, list[Found]] = {}
        for found in rows:
            groups.setdefault(leaders.get(found.id, found.id), []).append(found)
        return list(groups.values())


def best_folded(
    find: Callable[[int], Answers], folding: Folding, k: int, order: Order
) -> list[Folded]:
    """The first ``k`` results in an order, from ``find(n)``, the ``n`` best pictures or more.

    Sorted are those that chance does not explain, down to the depth that ``find`` looks to; behind
    them come the others.
    """
    asked = max(k, SHORTLIST // SHORTLIST_PER_RESULT)  # so many cost no more than one
    while True:
        answers = find(asked)
        folded = folding.fold([*answers.certain, *answers.ranked])
        certain = sum(each.best.certain for each in folded)
        enough = len(folded) >= k or (answers.all_ranked and answers.all_certain)
        if enough and (answers.all_certain or certain >= k):
            break
        asked *= _MORE
    sortable = [each for each in folded if each.sure or order.everything]
    others = [each for each in folded if not (each.sure or order.everything)]
    if order.by_relevance:
        sortable, others = folded, []
    first = [*order.sorted(sortable, lambda each: each.facts), *others][:k]
    if order.reverse and order.by_relevance:
        first.reverse()
    return together(first, lambda each: order.heading(each.facts))


def shot_of(facts: Facts) -> Shot | None:
    """When and with what a picture was taken, None where no time is known."""
    return None if facts.taken is None else Shot(facts.camera, facts.taken)


def _sure(rows: Sequence[Found]) -> dict[int, bool]:
    """Which results chance does not explain; what answers for certain is sure."""
    ranked = [found for found in rows if not found.certain]
    chances = np.array([found.chance for found in ranked], dtype=np.float64)
    sure = dict.fromkeys((found.id for found in rows), True)
    known = better_than_chance(chances).tolist()
    return sure | {found.id: each for found, each in zip(ranked, known, strict=True)}


def _moments(session: Session, ids: Collection[int]) -> dict[int, Moment]:
    """The video and the time of those pictures that are frames of videos."""
    found: dict[int, Moment] = {}
    for chunk in chunks(ids):
        columns = Frame.item_id, Frame.content_hash, Frame.seconds
        rows = session.execute(select(*columns).where(Frame.item_id.in_(chunk)))
        found |= {item: Moment(video, seconds) for item, video, seconds in rows}
    return found
