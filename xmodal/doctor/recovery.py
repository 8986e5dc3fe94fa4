"""A file that SQLite itself finds damaged: indexes made anew, or all that can be read saved."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from xmodal.doctor.checks import Damage
from xmodal.errors import LibraryError
from xmodal.store import schema, sqlite
from xmodal.store.database import Database
from xmodal.store.models import Base
from xmodal.store.salvage import salvage


def integrity(session: Session) -> Iterator[Damage]:
    """SQLite's own check of pages, indexes and constraints."""
    found = list(sqlite.check_integrity(session.connection()))
    if found:
        yield Damage(
            "file",
            len(found),
            f"SQLite finds the file damaged: {found[0]}"
            + (f" and {len(found) - 1} more" if len(found) > 1 else ""),
            "indexes are made anew; where that is not enough, all that can be read is saved in a "
            "new library beside this one",
            rebuild_indexes,
        )


def descriptions(session: Session) -> Iterator[Damage]:
    """The file describes its tables as it must."""
    found = list(schema.differences(session.connection()))
    if found:
        yield Damage(
            "file",
            len(found),
            f"its description of the tables is damaged: {', '.join(found)}",
            "all that can be read is saved in a new library beside this one",
        )


def rebuild_indexes(database: Database) -> None:
    """Make all indexes anew; LibraryError, and nothing is changed, where more is damaged."""
    with database.transaction() as session:
        sqlite.rebuild_indexes(session.connection())
        for finding in sqlite.check_integrity(session.connection()):
            raise LibraryError(f"{database.path}: more than indexes is damaged: {finding}")


def recover(database: Database) -> tuple[Path, str]:
    """Save what can be read in a new library; returns where it is, and what is in it.

    The damaged file is only read. The new one may still hold rows that contradict one another,
    because others were lost.
    """
    target = database.beside("recovered")
    Database.open(target).close()
    tables = {
        table.name: [column.name for column in table.columns]
        for table in Base.metadata.sorted_tables
    }
    found = salvage(database.path, target, tables)
    told = [
        f"{table} {count.kept:,}" + (f" (lost: {_lost(count.lost)})" if count.lost != 0 else "")
        for table, count in found.items()
        if count.kept or count.lost != 0
    ]
    return target, ", ".join(told)


def _lost(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"
