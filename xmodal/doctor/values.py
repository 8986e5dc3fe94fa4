"""Values that cannot be read as what their column holds; one flipped bit makes such a value."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import JSON, Column, Dialect, Table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from xmodal.doctor.checks import Damage, some
from xmodal.ingest.describing import read_again
from xmodal.store.database import Database
from xmodal.store.models import Base, Capture, File
from xmodal.store.sqlite import remove_row, stored_values, write_value

_LONG_AGO = "1970-01-01 00:00:00.000000"
_NAMED = 3


class _Wrong(NamedTuple):
    """A value that cannot be read: its place, and the value that is to replace it."""

    table: Table
    row: int
    column: Column[Any]
    instead: Any


def values(session: Session) -> Iterator[Damage]:
    """Every value is of the type of its column, and texts, times and JSON can be read."""
    wrong = [each for table in Base.metadata.sorted_tables for each in _unreadable(session, table)]
    if wrong:
        places = [f"{each.table.name}.{each.column.name} of row {each.row}" for each in wrong]
        yield Damage(
            "value",
            len(wrong),
            f"{some(len(wrong), 'value')} that cannot be read: {', '.join(places[:_NAMED])}"
            + (" and others" if len(wrong) > _NAMED else ""),
            "what is left of it is kept; the next `xmodal index` reads again what files tell",
            partial(_replace, wrong=wrong),
        )


def _unreadable(session: Session, table: Table) -> Iterator[_Wrong]:
    connection = session.connection()
    columns = list(table.columns)
    expected = {column.name: _storage(column) for column in columns}
    readers = [_reader(column, connection.dialect) for column in columns]
    for row, found in stored_values(connection, table.name, expected):
        for column, read, (storage, content) in zip(columns, readers, found, strict=True):
            if content is None or (storage == "text" and read(content)):
                continue
            yield _Wrong(table, row, column, _instead(column, storage, content, read))


def _storage(column: Column[Any]) -> str:
    """The storage class that SQLite gives to the values of a column."""
    classes = {bytes: "blob", int: "integer", bool: "integer", float: "real"}
    return classes.get(column.type.python_type, "text")


def _reader(column: Column[Any], dialect: Dialect) -> Callable[[bytes], bool]:
    """What tells whether the bytes of a text can be read as what the column holds."""
    process = column.type.dialect_impl(dialect).result_processor(dialect, None)
    is_text = _storage(column) == "text"

    def reads(content: bytes) -> bool:
        try:
            words = content.decode()
            if process is not None:
                process(words)
        except (ValueError, TypeError):  # errors of UTF-8 and JSON are such, too
            return False
        return is_text

    return reads


def _instead(
    column: Column[Any], storage: str, content: bytes, read: Callable[[bytes], bool]
) -> Any:
    """What is left of a value, and of the type of its column."""
    expected = _storage(column)
    if expected == "blob":
        return content if storage == "text" else None if column.nullable else b""
    if expected != "text":
        return None if column.nullable else 0
    words = content.decode(errors="replace")
    if read(words.encode()):
        return words
    return None if column.nullable else "{}" if isinstance(column.type, JSON) else _LONG_AGO


def _replace(database: Database, wrong: Sequence[_Wrong]) -> None:
    with database.transaction() as session:
        for table, row, column, instead in wrong:
            try:
                with session.begin_nested():
                    write_value(session.connection(), table.name, column.name, row, instead)
            except IntegrityError:  # a reference that leads nowhere, or a second one of its name
                remove_row(session.connection(), table.name, row)
        captures = [each.row for each in wrong if each.table.name == Capture.__tablename__]
        read_again(session, File.item_id, captures)
        read_again(session, File.id, [e.row for e in wrong if e.column.name == "sidecars"])
