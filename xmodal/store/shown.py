"""Which pictures files show: a picture its own item, a video the items of all of its frames."""

from typing import Any, NamedTuple

from sqlalchemy import Select, select

from xmodal.store.models import File, Frame


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
