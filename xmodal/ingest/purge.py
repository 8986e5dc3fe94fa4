"""Taking records out of a library for good: of files that were deleted, or of whole folders."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from xmodal.errors import LibraryError, UsageError
from xmodal.ingest.coding import item_ids
from xmodal.ingest.describing import read_copies_again
from xmodal.ingest.report import PurgeReport
from xmodal.ingest.saving import live_pictures
from xmodal.ingest.scope import Scope, scopes_of
from xmodal.ingest.words import in_use
from xmodal.store.chunks import chunks
from xmodal.store.database import Database
from xmodal.store.models import (
    Caption,
    File,
    Frame,
    HasherRecord,
    Item,
    ItemKeyword,
    Keyword,
    Volume,
)
from xmodal.store.segments import delete_codes, merge_segments
from xmodal.store.sqlite import indexed


def purge(
    database: Database,
    folders: Sequence[str | Path],
    *,
    dry_run: bool,
    notify: Callable[[str], None],
) -> PurgeReport:
    """Remove the records of missing files, or without regard to state all those in ``folders``.

    What no other file of the library has goes with them: pictures, their features, codes, captions
    and keywords. Pictures that no file shows any more, because they were edited, and texts that
    nothing uses go, too. Files on disk are not touched. ``dry_run`` only counts.

    Raises UsageError for a folder that the library does not know. A file that cannot be made
    smaller afterwards, for want of space on the disk, is a note to ``notify`` and no error.
    """
    if dry_run:
        with database.session() as session:
            return _count_all(session, _chosen(_scopes(session, folders)))
    with database.writer():
        with database.transaction() as session:
            scopes = _scopes(session, folders)
            chosen = _chosen(scopes)
            report = _count_all(session, chosen)
            _remove(session, chosen)
            for scope in scopes:
                empty = ~exists().where(File.volume_id == scope.volume_id)
                session.execute(delete(Volume).where(Volume.id == scope.volume_id, empty))
        try:
            return replace(report, freed=database.compact())
        except LibraryError as error:
            notify(f"what was purged is gone, but the file has not become smaller: {error}")
            return report


def _scopes(session: Session, folders: Sequence[str | Path]) -> list[Scope]:
    scopes: list[Scope] = []
    for folder in folders:
        path = Path(os.path.realpath(Path(folder).expanduser()))
        found = scopes_of(session, path)
        if not any(_count(session, select(File.id).where(scope.files())) for scope in found):
            raise UsageError(f"{path}: the library knows no pictures there; see `xmodal info`")
        scopes += found
    return scopes


def _chosen(scopes: Sequence[Scope]) -> ColumnElement[bool]:
    return or_(*(scope.files() for scope in scopes)) if scopes else File.state == "missing"


def _pictures(chosen: ColumnElement[bool]) -> Any:
    """The pictures, and frames of videos, that no file shows but those ``chosen``."""
    other = exists().where(File.item_id == Item.id, ~chosen)
    video = exists().where(
        Frame.item_id == Item.id, Frame.content_hash == File.content_hash, ~chosen
    )
    return select(Item.id).where(Item.kind == "image", ~other, ~video)


def _count_all(session: Session, chosen: ColumnElement[bool]) -> PurgeReport:
    pictures = _pictures(chosen)
    states = select(File.state, func.count()).where(chosen).group_by(File.state)
    words = select(ItemKeyword.item_id).where(ItemKeyword.item_id.in_(pictures))
    return PurgeReport(
        files={str(state): int(count) for state, count in session.execute(states)},
        pictures=_count(session, pictures),
        captions=_count(session, select(Caption.id).where(Caption.item_id.in_(pictures))),
        keywords=_count(session, words),
    )


def _count(session: Session, query: Any) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def _remove(session: Session, chosen: ColumnElement[bool]) -> None:
    pictures = list(session.scalars(_pictures(chosen)))
    shown = {i for i in session.scalars(select(File.item_id).where(chosen)) if i is not None}
    read_copies_again(session, dict.fromkeys(session.scalars(select(File.id).where(chosen))))
    _delete(session, File, chosen)
    # A picture that a missing file still names keeps its record, but no code.
    _delete_codes(session, "image", (shown - live_pictures(session, shown)) | set(pictures))
    with indexed(session.connection(), ("feature", "item_id"), ("keyword", "text_item_id")):
        _delete_items(session, pictures)
        _delete(session, Keyword, ~exists().where(ItemKeyword.keyword_id == Keyword.id))
        idle = select(Item.id).where(Item.kind == "text", ~in_use(Item.id))
        texts = list(session.scalars(idle))
        _delete_codes(session, "text", set(texts))
        _delete_items(session, texts)


def _delete(session: Session, table: Any, condition: ColumnElement[bool]) -> None:
    session.execute(delete(table).where(condition).execution_options(synchronize_session=False))


def _delete_items(session: Session, items: Sequence[int]) -> None:
    """Delete items; what refers to them goes with them, by the tables' own rules."""
    for chunk in chunks(items):
        _delete(session, Item, Item.id.in_(chunk))


def _delete_codes(session: Session, modality: str, items: set[int]) -> None:
    """Delete codes of every hasher, also of other feature spaces."""
    for hasher_id in session.scalars(select(HasherRecord.id)).all():
        if delete_codes(session, hasher_id, modality, item_ids(items)):
            merge_segments(session, hasher_id, modality)
