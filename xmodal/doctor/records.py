"""Rows that contradict one another: references, files, keywords, the default encoder."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ForeignKeyConstraint, and_, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from xmodal.doctor.checks import Damage, some
from xmodal.ingest.words import no_picture_has
from xmodal.spaces.space import make_default, spaces
from xmodal.store.database import Database
from xmodal.store.models import Base, EncoderRecord, File, Item, Keyword

# The size of a file whose record must not be trusted: no file has it, so the next run reads it.
UNREAD = -1


def dangling_references(session: Session) -> Iterator[Damage]:
    """Rows that refer to rows which are not there; the table that is referred to comes first."""
    for key in _foreign_keys():
        table, target = key.table.name, key.referred_table.name
        count = session.scalar(select(func.count()).select_from(key.table).where(_dangles(key)))
        if count:
            cleared = key.ondelete == "SET NULL"
            yield Damage(
                "reference",
                count,
                f"{some(count, 'row')} of {table} "
                f"{'refers' if count == 1 else 'refer'} to a row of {target} that is not there",
                "the reference is cleared" if cleared else "such rows mean nothing and are removed",
                _mend_references,
            )


def default_encoders(session: Session) -> Iterator[Damage]:
    """Exactly one feature space is the one that searches use."""
    known = spaces(session)
    count = session.scalar(select(func.count()).where(EncoderRecord.is_default)) or 0
    if known and count != 1:
        first = known[0]
        yield Damage(
            "default encoder",
            1,
            f"{count or 'no'} encoders are the default one; searches use {first.identifier}",
            f"{first.identifier} becomes the only default, so that searches answer as before",
            lambda database: make_default(database, first),
        )


def file_records(session: Session) -> Iterator[Damage]:
    """A present file shows the picture of its content hash."""
    count = session.scalar(select(func.count()).select_from(File).where(_contradicts()))
    if count:
        yield Damage(
            "file record",
            count,
            f"{some(count, 'file')} in the library {'has' if count == 1 else 'have'} no picture, "
            "or another one than that of the content hash",
            "a picture with that content is taken; other files are read by the next `xmodal index`",
            _mend_file_records,
        )


def unused_keywords(session: Session) -> Iterator[Damage]:
    """A keyword is there because a picture has it."""
    count = session.scalar(select(func.count()).select_from(Keyword).where(no_picture_has()))
    if count:
        yield Damage(
            "unused keyword",
            count,
            f"{some(count, 'keyword')} that no picture has would still answer `xmodal annotate`",
            "removed",
            _remove_unused_keywords,
        )


def unread_files() -> Any:
    """The condition that a file waits to be read, whatever its record says."""
    return and_(File.state == "present", File.size == UNREAD)


def _foreign_keys() -> Iterator[ForeignKeyConstraint]:
    for table in Base.metadata.sorted_tables:
        yield from sorted(table.foreign_key_constraints, key=lambda key: str(key.column_keys))


def _dangles(key: ForeignKeyConstraint) -> Any:
    (element,) = key.elements
    found = exists().where(element.column == element.parent)
    return element.parent.is_not(None) & ~found.correlate(key.table)


def _mend_references(database: Database) -> None:
    with database.transaction() as session:
        # Parents first: what is removed there takes its own children with it.
        for key in _foreign_keys():
            if key.ondelete == "SET NULL":
                cleared = dict.fromkeys(key.column_keys)
                session.execute(update(key.table).where(_dangles(key)).values(cleared))
            else:
                session.execute(delete(key.table).where(_dangles(key)))


def _contradicts() -> Any:
    shown = aliased(Item)
    right = exists().where(
        shown.id == File.item_id, shown.kind == "image", shown.content_hash == File.content_hash
    )
    return and_(File.state == "present", File.size != UNREAD, ~right)


def _mend_file_records(database: Database) -> None:
    picture = aliased(Item)
    same = (picture.kind == "image", picture.content_hash == File.content_hash)
    is_picture = exists().where(picture.id == File.item_id, picture.kind == "image")
    quiet = {"synchronize_session": False}
    with database.transaction() as session:
        session.execute(
            update(File)
            .where(_contradicts(), exists().where(*same))
            .values(item_id=select(picture.id).where(*same).scalar_subquery())
            .execution_options(**quiet)
        )
        # What such a file shows stays searchable until the next run has read it.
        session.execute(
            update(File)
            .where(_contradicts(), or_(File.item_id.is_(None), ~is_picture))
            .values(item_id=None)
            .execution_options(**quiet)
        )
        session.execute(
            update(File)
            .where(_contradicts())
            .values(content_hash=None, size=UNREAD)
            .execution_options(**quiet)
        )


def _remove_unused_keywords(database: Database) -> None:
    with database.transaction() as session:
        session.execute(
            delete(Keyword).where(no_picture_has()).execution_options(synchronize_session=False)
        )
