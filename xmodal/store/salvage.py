"""What can still be read of a library file that SQLite finds damaged, row by row."""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

# Up to where rows are looked for when no page tells the highest number.
_GUESSED_ROWS = 1 << 20
_TABLES = """
    SELECT name FROM sqlite_master
    WHERE type = 'table' AND name <> 'alembic_version' AND name NOT LIKE 'sqlite%'
"""
_COLUMNS = "SELECT name FROM pragma_table_info(?)"


class Salvaged(NamedTuple):
    """How many rows of a table were read, and how many were not; None where nothing can tell."""

    kept: int
    lost: int | None


def salvage(path: Path, target: Path, tables: Mapping[str, Sequence[str]]) -> dict[str, Salvaged]:
    """Copy the rows of ``tables`` (their columns by name) that can still be read to ``target``.

    ``target`` has the tables, empty; references between them are not checked. ``path`` is only
    read. Rows come one by one: those on damaged pages are left out, the others are kept.
    """
    found: dict[str, Salvaged] = {}
    with (
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        there = _first_column(source, _TABLES)
        renamed = _matched(tables, there)
        for table, columns in tables.items():
            name = renamed.get(table, table)
            if name not in there:
                found[table] = Salvaged(0, None)
                continue
            stored_columns = _first_column(source, _COLUMNS, name)
            known = _matched(columns, stored_columns)
            # By their places: a damaged name may not even be text.
            kept_at = [stored_columns.index(known.get(column, column)) + 1 for column in columns]
            names, places = ", ".join(columns), ", ".join("?" * len(columns))
            insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})"
            copy.execute("BEGIN")
            last = _last_row(source, name)
            for row in _readable_rows(source, f"SELECT rowid, * FROM [{name}]", 1, last):
                copy.execute(insert, [row[place] for place in kept_at])
            copy.execute("COMMIT")
            (kept,) = copy.execute(f"SELECT count(*) FROM {table}").fetchone()
            stored = _first_answer(source, f"SELECT count(*) FROM [{name}]")
            found[table] = Salvaged(kept, None if stored is None else max(0, stored - kept))
    return found


def _first_column(connection: sqlite3.Connection, query: str, *values: str) -> list[str]:
    """The names that a query gives; bytes that are no text are replaced."""
    connection.text_factory = lambda name: name.decode("utf-8", "replace")
    try:
        return [row[0] for row in connection.execute(query, values)]
    finally:
        connection.text_factory = str


def _matched(expected: Iterable[str], found: Collection[str]) -> dict[str, str]:
    """What the expected names are called, where the name of one of them is damaged."""
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in set(expected)]
    return dict(zip(missing, unknown, strict=True)) if len(missing) == len(unknown) == 1 else {}


def _last_row(connection: sqlite3.Connection, table: str) -> int:
    """The highest row number; where its page is damaged, what an index knows of it, or a guess."""
    for expression in ("max(rowid)", "max(+rowid)"):  # the second reads an index where there is one
        last = _first_answer(connection, f"SELECT coalesce({expression}, 0) FROM [{table}]")
        if last is not None:
            return last
    return _GUESSED_ROWS


def _first_answer(connection: sqlite3.Connection, query: str) -> int | None:
    try:
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.DatabaseError:
        return None


def _readable_rows(
    connection: sqlite3.Connection, query: str, first: int, last: int
) -> Iterator[tuple[Any, ...]]:
    """The rows numbered ``first`` to ``last`` that can be read, found by halving what cannot."""
    where = f"{query} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
    try:
        for row in connection.execute(where, (first, last)):
            yield row
            first = row[0] + 1
    except (sqlite3.DatabaseError, UnicodeError):
        if first < last:
            middle = (first + last) // 2
            yield from _readable_rows(connection, query, first, middle)
            yield from _readable_rows(connection, query, middle + 1, last)
