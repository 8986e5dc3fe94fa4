"""From item ids to what a user knows: paths, captions, keywords, and what a library holds."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from xmodal.results import LibraryInfo
from xmodal.store.database import Database
from xmodal.store.models import (
    LIVE,
    Caption,
    Capture,
    EncoderRecord,
    File,
    HasherRecord,
    Item,
    ItemKeyword,
    Keyword,
    Segment,
)
from xmodal.store.volumes import volume_places

TextSource = Literal["caption", "keyword", "vocabulary"]


class Place(NamedTuple):
    """The path of a picture, and whether it was there at the last look."""

    path: Path
    available: bool


def places_of(session: Session, ids: NDArray[np.int64]) -> dict[int, Place]:
    """Where each picture is: of copies that share its content, the first that is available."""
    volumes = volume_places(session)
    rows = session.execute(
        select(File.item_id, File.volume_id, File.relative_path, File.state).where(
            File.item_id.in_([int(i) for i in ids]), File.state.in_(LIVE)
        )
    )
    found: dict[int, Place] = {}
    for item, volume, relative, state in rows:
        place = Place(volumes[volume] / relative, state == "present")
        best = found.setdefault(cast(int, item), place)
        if (not place.available, place.path) < (not best.available, best.path):
            found[cast(int, item)] = place
    return found


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
        return LibraryInfo(
            path=database.path,
            bytes=database.path.stat().st_size,
            volumes=list(volume_places(session).values()),
            pictures=session.scalar(
                select(func.count(func.distinct(File.item_id))).where(File.state.in_(LIVE))
            )
            or 0,
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
