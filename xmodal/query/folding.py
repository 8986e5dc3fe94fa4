"""From ranked pictures to results: the frames of one video are one result, its best frame."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.ingest.scope import chunks
from xmodal.query.catalog import paths_of
from xmodal.query.ranking import Ranking, shortlist
from xmodal.results import SearchResult
from xmodal.store.models import Frame

# A shortlist that a few videos fill is made so many times longer.
_LONGER = 10


class Moment(NamedTuple):
    """Which video a frame belongs to, by its content hash, and when it is shown."""

    video: bytes
    seconds: float


def nearest_pictures(
    session: Session, rank: Callable[[int], Ranking], k: int
) -> list[SearchResult]:
    """The ``k`` best pictures and videos; ``rank(k)`` gives the whole shortlist for ``k`` results.

    There are fewer only where all that the library holds was looked at.
    """
    looked_at = k
    while True:
        ranking = rank(looked_at)
        moments = _moments(session, ranking.ids.tolist())
        best: dict[int | bytes, tuple[int, int, float]] = {}
        for item, distance, score in ranking.rows():
            which = moments[item].video if item in moments else item
            best.setdefault(which, (item, distance, score))
        if len(best) >= k or len(ranking.ids) < shortlist(looked_at):
            break
        looked_at *= _LONGER
    found = list(best.values())[:k]
    paths = paths_of(session, [item for item, _, _ in found])
    shown = [row for row in found if row[0] in paths]
    return [
        SearchResult(place, paths[item], distance, score, _seconds(moments.get(item)))
        for place, (item, distance, score) in enumerate(shown, start=1)
    ]


def _seconds(moment: Moment | None) -> float | None:
    return None if moment is None else moment.seconds


def _moments(session: Session, ids: Collection[int]) -> dict[int, Moment]:
    """The video and the time of those pictures that are frames of videos."""
    found: dict[int, Moment] = {}
    for chunk in chunks(ids):
        columns = Frame.item_id, Frame.content_hash, Frame.seconds
        rows = session.execute(select(*columns).where(Frame.item_id.in_(chunk)))
        found |= {item: Moment(video, seconds) for item, video, seconds in rows}
    return found
