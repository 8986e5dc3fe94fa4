"""Which pictures files show: a picture its own item, a video the items of all of its frames."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from xmodal.store.models import File, Frame, Item

# Of more ids the videos are not looked up one by one: all frames are read.
_FEW = 10_000
_CHUNK = 900


class Shown(NamedTuple):
    """A query over items and the files that show them, and its column of item ids."""

    item_id: Any
    query: Select[Any]


def shown(*columns: Any) -> tuple[Shown, Shown]:
    """The item ids, and ``columns`` of the files: of all files, then of the frames of videos.

    The caller narrows both by the same conditions and reads one after the other: one query over
    both would not find its way by the indexes of either. An item may come more than once.

    >>> [str(item_id) for item_id, _ in shown()]
    ['File.item_id', 'Frame.item_id']
    """
    frames = select(Frame.item_id, *columns).join(File, File.content_hash == Frame.content_hash)
    return (
        Shown(File.item_id, select(File.item_id, *columns).where(File.item_id.is_not(None))),
        Shown(Frame.item_id, frames),
    )


def with_frames(session: Session, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """What files show, from the items that files have: ``ids``, int64 ``(n,)``, and all frames of
    the videos whose first frame is among them, ascending.

    Facts (times, places, words, names of files) are kept for these items alone, and hold for all
    frames: whoever filters by facts and then searches needs this in between.
    """
    # Without videos the join below would look at every picture for nothing.
    if session.scalar(select(Frame.item_id).limit(1)) is None:
        return np.unique(ids)
    query = (
        select(Item.id, Frame.item_id)
        .join(Frame, Frame.content_hash == Item.content_hash)
        .where(Item.kind == "image")
    )
    queries = [query]
    if len(ids) <= _FEW:
        starts = range(0, len(ids), _CHUNK)
        queries = [query.where(Item.id.in_(ids[s : s + _CHUNK].tolist())) for s in starts]
    pairs = [tuple(row) for each in queries for row in session.execute(each)]
    first, frame = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return np.union1d(ids, frame[np.isin(first, ids)])
