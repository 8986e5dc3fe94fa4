"""From ranked pictures to results: the frames of one video are one result, its best frame."""

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.ingest.scope import chunks
from xmodal.query.catalog import paths_of
from xmodal.query.ranking import SHORTLIST, SHORTLIST_PER_RESULT
from xmodal.results import SearchResult
from xmodal.store.models import Frame

# Where a few videos take all places, so many times as many are asked for.
_MORE = 10

Row = tuple[int, int, float]
"""Item id, distance and score."""


class Moment(NamedTuple):
    """Which video a frame belongs to, by its content hash, and when it is shown."""

    video: bytes
    seconds: float


def nearest_pictures(
    session: Session, find: Callable[[int], Iterable[Row]], k: int
) -> list[SearchResult]:
    """The ``k`` best pictures and videos.

    ``find(n)`` gives the ``n`` best pictures and frames, best first, and fewer only where there
    are no more.
    """
    asked = max(k, SHORTLIST // SHORTLIST_PER_RESULT)  # so many cost no more than one
    while True:
        rows = list(find(asked))
        moments = _moments(session, [item for item, _, _ in rows])
        best: dict[int | bytes, Row] = {}
        for row in rows:
            item = row[0]
            best.setdefault(moments[item].video if item in moments else item, row)
        if len(best) >= k or len(rows) < asked:
            break
        asked *= _MORE
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
