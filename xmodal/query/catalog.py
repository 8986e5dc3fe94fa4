"""From item ids to what a user knows: paths, captions, keywords, and what a library holds."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from xmodal.query.terms import folded
from xmodal.results import LibraryInfo
from xmodal.store.chunks import chunks
from xmodal.store.database import Database
from xmodal.store.models import (
    LIVE,
    Caption,
    Capture,
    EncoderRecord,
    File,
    Frame,
    HasherRecord,
    Item,
    ItemKeyword,
    Keyword,
    Segment,
)
from xmodal.store.shown import shown
from xmodal.store.volumes import volume_places

TextSource = Literal["caption", "keyword", "vocabulary"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Facts:
    """What files say of a picture, or of the video whose frame it is.

    ``path`` is the first in order of ``copies``, the others that hold the same, those that are
    ``available`` before those on drives that are away. ``taken`` is the capture time, a wall
    clock, and ``written`` the earliest time of the files by this computer's.
    """

    path: Path
    available: bool
    copies: list[Path]
    taken: datetime | None
    written: datetime
    camera: str | None

    @property
    def time(self) -> datetime:
        """When it was taken, or else written."""
        return self.taken or self.written


def facts_of(session: Session, ids: Collection[int]) -> dict[int, Facts]:
    """The facts of pictures and frames of which a file is there, or on a drive that is away."""
    volumes = volume_places(session)
    found: dict[int, Facts] = {}
    columns = File.volume_id, File.relative_path, File.state, File.mtime_ns
    for chunk in chunks(ids):
        for item_id, query in shown(*columns, Capture.taken_at, Capture.camera):
            rows = session.execute(
                query.outerjoin(Capture, Capture.item_id == File.item_id).where(
                    item_id.in_(chunk), File.state.in_(LIVE)
                )
            )
            files = sorted(
                (state != "present", volumes[volume] / relative, item, *rest)
                for item, volume, relative, state, *rest in rows
            )
            for away, path, item, mtime, taken, camera in files:
                written = _wall_clock(mtime)
                if (known := found.get(item)) is not None:
                    known.copies.append(path)
                    found[item] = replace(known, written=min(known.written, written))
                else:
                    found[item] = Facts(path, not away, [], taken, written, camera)
    return found


def _wall_clock(nanoseconds: int) -> datetime:
    """A time in nanoseconds since 1970, as the clock of this computer showed it."""
    return (_EPOCH + timedelta(microseconds=nanoseconds // 1000)).astimezone().replace(tzinfo=None)


def texts_of(
    session: Session, ids: NDArray[np.int64], sources: Collection[str]
) -> dict[int, tuple[str, TextSource]]:
    """Text and source of those text items that belong to a picture which searches find.

    A text that is both is a keyword where keywords are among ``sources``.
    """
    wanted = [int(i) for i in ids]
    live = exists().where(File.item_id == Caption.item_id, File.state.in_(LIVE))
    found: dict[int, tuple[str, TextSource]] = {}
    if "caption" in sources:
        rows = session.execute(
            select(Item.id, Item.text)
            .where(Item.id.in_(wanted))
            .where(exists().where(Caption.text_item_id == Item.id, live))
        )
        found |= {i: (cast(str, text), "caption") for i, text in rows}
    if "keyword" in sources:
        live = exists().where(File.item_id == ItemKeyword.item_id, File.state.in_(LIVE))
        used = exists().where(ItemKeyword.keyword_id == Keyword.id, live)
        rows = session.execute(
            select(Keyword.text_item_id, Keyword.name).where(Keyword.text_item_id.in_(wanted), used)
        )
        found |= {i: (cast(str, name), "keyword") for i, name in rows}
    return found


def names_of(session: Session, kind: str, start: str, most: int) -> list[str]:
    """The first names of a kind (``keyword``, ``person`` or ``place``) that begin with ``start``.

    Upper and lower case are alike; a keyword may be of any kind.
    """
    used = select(ItemKeyword.keyword_id)
    if kind != "keyword":
        used = used.where(ItemKeyword.kind == kind)
    names = session.scalars(select(Keyword.name).where(Keyword.id.in_(used)).order_by(Keyword.name))
    begin = folded(start)
    return list(islice((name for name in names if folded(name).startswith(begin)), most))


def describe(database: Database, check: bool) -> LibraryInfo:
    """The counts that ``xmodal info`` prints; with ``check`` also what is damaged."""
    with database.session() as session:

        def count(column: object, *where: object) -> int:
            return session.scalar(select(func.count(column)).where(*where)) or 0  # type: ignore[arg-type]

        files = session.execute(select(File.state, func.count()).group_by(File.state)).all()
        code = session.scalar(
            select(HasherRecord)
            .join(EncoderRecord, EncoderRecord.id == HasherRecord.encoder_id)
            .where(HasherRecord.state == "active")
            .order_by(EncoderRecord.is_default.desc())
            .limit(1)
        )
        code_bytes = session.scalar(
            select(func.sum(Segment.count)).where(
                Segment.hasher_id == (code.id if code else None), Segment.modality == "image"
            )
        )
        # From the side of the frames: there may be a hundred million files, and no video.
        present = exists().where(File.content_hash == Frame.content_hash, File.state.in_(LIVE))
        videos = count(Frame.content_hash.distinct(), present)
        return LibraryInfo(
            path=database.path,
            bytes=database.path.stat().st_size,
            volumes=list(volume_places(session).values()),
            pictures=count(File.item_id.distinct(), File.state.in_(LIVE)) - videos,
            videos=videos,
            frames=count(Frame.item_id, present),
            files={str(state): int(number) for state, number in files},
            captions=count(Caption.id),
            keywords=count(Keyword.id),
            people=count(ItemKeyword.keyword_id.distinct(), ItemKeyword.kind == "person"),
            places=count(ItemKeyword.keyword_id.distinct(), ItemKeyword.kind == "place"),
            dated=count(Capture.taken_at),
            located=count(Capture.latitude),
            rated=count(Capture.rating),
            encoders=_specs(session),
            hasher=code.name if code else None,
            bits=code.bits if code else None,
            trained_on=dict(code.trained_on) if code else {},
            quality=dict(code.quality) if code else {},
            code_bytes=int(code_bytes or 0) * (code.bits // 8 if code else 0),
            problems=database.check() if check else [],
        )


def _specs(session: Session) -> list[str]:
    return list(
        session.scalars(
            select(EncoderRecord.identifier).order_by(
                EncoderRecord.is_default.desc(), EncoderRecord.id
            )
        )
    )
