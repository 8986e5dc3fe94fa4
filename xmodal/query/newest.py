"""The order of pictures that were asked for without a meaning: the newest first, then by path."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from xmodal.store.chunks import chunks
from xmodal.store.models import LIVE, Capture, File, Volume

Ids = NDArray[np.int64]
# Below it, all that is needed to sort them is read.
_FEW = 10_000


def newest(session: Session, ids: Ids, k: int) -> Ids:
    """The first ``k`` of pictures by the time they were taken, the latest first, then by path.

    ``ids`` ascend. Pictures without a time come last. Of many pictures only as many are looked at
    as are needed.
    """
    if len(ids) > _FEW:
        ids = _first(session, ids, k)
    times: dict[int, datetime] = {}
    paths: dict[int, tuple[str, str]] = {}
    for chunk in chunks(ids.tolist()):
        taken = select(Capture.item_id, Capture.taken_at).where(
            Capture.item_id.in_(chunk), Capture.taken_at.is_not(None)
        )
        times |= {item: cast(datetime, time) for item, time in session.execute(taken)}
        places = _files().where(File.item_id.in_(chunk))
        for item, root, path in session.execute(places):
            paths[item] = min(paths.get(item, (root, path)), (root, path))
    order = sorted(ids.tolist(), key=lambda item: paths.get(item, ("", "")))
    order.sort(key=lambda item: times.get(item, datetime.min), reverse=True)
    return np.array(order[:k], dtype=np.int64)


def _first(session: Session, ids: Ids, k: int) -> Ids:
    """At least the first ``k`` of many pictures, and those of the same time as the last of them."""
    taken = (
        select(Capture.taken_at, Capture.item_id)
        .where(Capture.taken_at.is_not(None))
        .order_by(Capture.taken_at.desc())
        .execution_options(yield_per=1_000)
    )
    is_among = _membership(ids)
    found: list[int] = []
    with session.execute(taken) as dated:
        time: datetime | None = None
        for taken_at, item in dated:
            if len(found) >= k and taken_at != time:
                return np.array(found, dtype=np.int64)
            if is_among(item):
                found.append(item)
                time = taken_at
    is_dated = exists().where(Capture.item_id == File.item_id, Capture.taken_at.is_not(None))
    files = (
        _files()
        .where(~is_dated)
        .order_by(Volume.path, File.relative_path)
        .execution_options(yield_per=1_000)
    )
    others: dict[int, None] = {}  # a picture may lie in several files
    with session.execute(files) as undated:
        for item, *_ in undated:
            if len(found) + len(others) >= k:
                break
            if is_among(item):
                others[item] = None
    return np.array([*found, *others], dtype=np.int64)


def _membership(ids: Ids) -> Callable[[int], bool]:
    """Whether an item is among ascending ids; faster than NumPy for one at a time."""
    bitmap = np.zeros(int(ids[-1]) + 1, dtype=bool)
    bitmap[ids] = True
    flags, last = bitmap.tobytes(), len(bitmap)
    return lambda item: item < last and flags[item] > 0


def _files() -> Any:
    """Picture, folder and path of each file that is present or offline."""
    return (
        select(File.item_id, Volume.path, File.relative_path)
        .join(Volume, Volume.id == File.volume_id)
        .where(File.state.in_(LIVE))
    )
