"""From ranked pictures to results: the frames of one video are one result, its best frame."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.ingest.scope import chunks
from xmodal.query.catalog import places_of
from xmodal.query.ranking import SHORTLIST, SHORTLIST_PER_RESULT
from xmodal.query.search import Found
from xmodal.query.written import written_about
from xmodal.results import SearchResult
from xmodal.store.models import Frame

# Where a few videos take all places, so many times as many are asked for.
_MORE = 10


class Moment(NamedTuple):
    """Which video a frame belongs to, by its content hash, and when it is shown."""

    video: bytes
    seconds: float


def nearest_pictures(
    session: Session, find: Callable[[int], Sequence[Found]], k: int
) -> list[SearchResult]:
    """The ``k`` best pictures and videos.

    ``find(n)`` gives the ``n`` best pictures and frames, best first, and fewer only where there
    are no more.
    """
    asked = max(k, SHORTLIST // SHORTLIST_PER_RESULT)  # so many cost no more than one
    while True:
        rows = find(asked)
        moments = _moments(session, [found.id for found in rows])
        best: dict[int | bytes, Found] = {}
        for found in rows:
            item = found.id
            best.setdefault(moments[item].video if item in moments else item, found)
        if len(best) >= k or len(rows) < asked:
            break
        asked *= _MORE
    first = list(best.values())[:k]
    places = places_of(session, [found.id for found in first])
    shown = [found for found in first if found.id in places]
    written = written_about(session, [found.id for found in shown])
    return [
        SearchResult(
            place,
            places[found.id].path,
            found.distance,
            found.score,
            found.chance,
            found.sure,
            _seconds(moments.get(found.id)),
            places[found.id].available,
            **asdict(written[found.id]),
        )
        for place, found in enumerate(shown, start=1)
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
