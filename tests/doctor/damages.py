"""Every way to damage a library through SQL: what is done, and what the doctor calls it."""

import random
import sqlite3
from collections.abc import Callable
from typing import NamedTuple


class Harm(NamedTuple):
    """``answers_stay``: a repair alone, without indexing again, brings back all answers."""

    kind: str
    inflict: Callable[[sqlite3.Connection, random.Random], object]
    answers_stay: bool = True


def _blob(
    sql: sqlite3.Connection, table: str, column: str, row: int, at: float, value: int
) -> None:
    (blob,) = sql.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()
    changed = bytearray(blob)
    changed[int(at * len(changed))] ^= value
    sql.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(changed), row))


def _some_row(sql: sqlite3.Connection, table: str, chance: random.Random) -> int:
    rows = [row for (row,) in sql.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
    return chance.choice(rows)


def _flip(table: str, column: str) -> Callable[[sqlite3.Connection, random.Random], object]:
    def flip(sql: sqlite3.Connection, chance: random.Random) -> None:
        row = _some_row(sql, table, chance)
        _blob(sql, table, column, row, chance.random(), 1 << chance.randrange(8))

    return flip


def _run(*statements: str) -> Callable[[sqlite3.Connection, random.Random], object]:
    """Statements with ``:one``, ``:two`` random ids of the pictures, and ``:text`` of a text."""

    def run(sql: sqlite3.Connection, chance: random.Random) -> None:
        ids = {"image": [], "text": []}
        for kind, item in sql.execute("SELECT kind, id FROM item ORDER BY id"):
            ids[kind].append(item)
        one, two = chance.sample(ids["image"], 2)
        values = {"one": one, "two": two, "text": chance.choice(ids["text"])}
        for statement in statements:
            names = [name for name in values if f":{name}" in statement]
            sql.execute(statement, {name: values[name] for name in names})

    return run


def _delete_code(sql: sqlite3.Connection, chance: random.Random) -> None:
    """One code less, as if its writer had forgotten it: by a segment without it."""
    import numpy as np

    from xmodal.store.layout import pack_deleted, unpack_live

    row = _some_row(sql, "segment", chance)
    count, deleted = sql.execute(
        "SELECT count, deleted FROM segment WHERE id = ?", (row,)
    ).fetchone()
    live = unpack_live(count, deleted)
    live[chance.choice(np.flatnonzero(live).tolist())] = False
    sql.execute("UPDATE segment SET deleted = ? WHERE id = ?", (pack_deleted(live), row))


_COPY_SEGMENT = """
    INSERT INTO segment (hasher_id, modality, count, first_id, last_id, checksum, ids, codes)
    SELECT hasher_id, {}, count, first_id, last_id, checksum, ids, codes FROM segment
    WHERE modality = 'image' ORDER BY id LIMIT 1
"""
_BUILDING = """
    INSERT INTO hasher (encoder_id, name, bits, blob, trained_on, quality, state, created_at)
    SELECT encoder_id, name, bits, blob, trained_on, quality, {}, created_at FROM hasher LIMIT 1
"""

HARMS: dict[str, Harm] = {
    "codes flipped": Harm("segment", _flip("segment", "codes")),
    "checksum flipped": Harm("segment", _flip("segment", "checksum")),
    "codes cut": Harm("segment", _run("UPDATE segment SET codes = substr(codes, 1, 100)")),
    "codes gone": Harm("segment", _run("UPDATE segment SET codes = zeroblob(0)")),
    "deletions scribbled": Harm("segment", _run("UPDATE segment SET deleted = zeroblob(20)")),
    "count wrong": Harm("segment", _run("UPDATE segment SET count = count - 1")),
    "segments lost": Harm("item without code", _run("DELETE FROM segment")),
    "code forgotten": Harm("item without code", _delete_code),
    "codes twice": Harm("two codes of an item", _run(_COPY_SEGMENT.format("'image'"))),
    "codes of the wrong kind": Harm("orphan code", _run(_COPY_SEGMENT.format("'text'"))),
    "file missing, code left": Harm(
        "orphan code", _run("UPDATE file SET state = 'missing' WHERE item_id = :one"), False
    ),
    "feature zero": Harm(
        "feature", _run("UPDATE feature SET vector = zeroblob(96) WHERE item_id = :one"), False
    ),
    "feature cut": Harm(
        "feature", _run("UPDATE feature SET vector = x'0102' WHERE item_id = :one"), False
    ),
    "feature NaN": Harm(
        "feature",
        _run(
            "UPDATE feature SET vector = CAST(x'00FE' || substr(vector, 3) AS BLOB) "
            "WHERE item_id = :text"
        ),
        False,
    ),
    "file without picture": Harm(
        "file record", _run("UPDATE file SET item_id = NULL WHERE item_id = :one")
    ),
    "file with another picture": Harm(
        "file record", _run("UPDATE file SET item_id = :two WHERE item_id = :one")
    ),
    "file with a text": Harm(
        "file record", _run("UPDATE file SET item_id = :text WHERE item_id = :one")
    ),
    "file of unknown content": Harm(
        "file record", _run("UPDATE file SET content_hash = NULL WHERE item_id = :one")
    ),
    "file of other content": Harm(
        "file record", _run("UPDATE file SET content_hash = zeroblob(16) WHERE item_id = :one")
    ),
    "picture lost": Harm("reference", _run("DELETE FROM item WHERE id = :one"), False),
    "text lost": Harm("reference", _run("DELETE FROM item WHERE id = :text"), False),
    "keyword lost": Harm("reference", _run("DELETE FROM keyword WHERE name = 'cool'"), False),
    "volume lost": Harm("reference", _run("DELETE FROM volume"), False),
    "keyword of no picture": Harm(
        "unused keyword",
        _run("DELETE FROM item_keyword WHERE keyword_id = (SELECT min(id) FROM keyword)"),
        False,
    ),
    "no default encoder": Harm("default encoder", _run("UPDATE encoder SET is_default = 0")),
    "dimensions wrong": Harm("dimensions", _run("UPDATE encoder SET dim = 47")),
    "calibration flipped": Harm(
        "calibration", _run("UPDATE calibration SET blob = CAST(x'00' || substr(blob, 2) AS BLOB)")
    ),
    "bits wrong": Harm("numbers of a code", _run("UPDATE hasher SET bits = 64")),
    "hasher flipped": Harm(
        "hasher", _run("UPDATE hasher SET blob = CAST(x'00' || substr(blob, 2) AS BLOB)")
    ),
    "hasher lost": Harm("hasher", _run("DELETE FROM hasher", "DELETE FROM segment")),
    "killed replacement": Harm("unfinished code", _run(_BUILDING.format("'building'"))),
    "two active codes": Harm("two codes", _run(_BUILDING.format("'active'"))),
    "text that is no UTF-8": Harm(
        "value",
        _run("UPDATE item SET text = CAST(x'61FF62' AS TEXT) WHERE id = :text"),
        False,
    ),
    "path that is no UTF-8": Harm(
        "value",
        _run("UPDATE file SET relative_path = CAST(x'61FF62' AS TEXT) WHERE item_id = :one"),
        False,
    ),
    "bytes that became a text": Harm(
        "value", _run("UPDATE feature SET vector = CAST(vector AS TEXT) WHERE item_id = :one")
    ),
    "text that became bytes": Harm(
        "value", _run("UPDATE file SET state = CAST(state AS BLOB) WHERE item_id = :one")
    ),
    "sidecars that are no JSON": Harm(
        "value", _run("UPDATE file SET sidecars = '[[' WHERE item_id = :one")
    ),
    "quality that is no JSON": Harm("value", _run("UPDATE hasher SET quality = '{]'")),
    "time that is none": Harm("value", _run("UPDATE volume SET created_at = 'long ago'")),
    "keyword renamed": Harm(
        "keyword", _run("UPDATE keyword SET name = 'qqq' WHERE id = (SELECT min(id) FROM keyword)")
    ),
    "text of a keyword changed": Harm(
        "text",
        _run(
            "UPDATE item SET text = 'qqq' WHERE id = (SELECT max(text_item_id) FROM keyword)",
        ),
    ),
    "text of a caption changed": Harm(
        "text",
        _run(
            "UPDATE item SET text = 'a red shoot' WHERE id ="
            "(SELECT min(text_item_id) FROM caption)",
        ),
        False,
    ),
    "text of a caption gone": Harm(
        "text",
        _run("UPDATE item SET text = NULL WHERE id = (SELECT min(text_item_id) FROM caption)"),
        False,
    ),
}
