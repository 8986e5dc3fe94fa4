"""What only SQLite knows: its file header, connections, pragmas, copies and error codes.

The one place with SQLite's own SQL, but for ``salvage.py``. Everything else uses portable
SQLAlchemy expressions on the sessions of :class:`~xmodal.store.database.Database`.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    NullPool,
    QueuePool,
    cast,
    create_engine,
    event,
    func,
    text,
)
from sqlalchemy.exc import DBAPIError

from xmodal.errors import DiskFullError, LibraryBusyError, LibraryError

APPLICATION_ID = 0x786D6F64  # "xmod", in the file's header: tells a library from other databases
_SMALLEST_FILE = 512  # bytes: one page of the smallest size
_BUSY_SECONDS = 30
# Address space, not memory: pages are mapped as they are read, so that blobs need no copy.
_MMAP_BYTES = 1 << 40
_PIECE_BYTES = 1 << 16
# Mistakes of ours, not of the file: they stay what they are, with their traceback.
_OUR_FAULT = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)


class DamagedBlobError(Exception):
    """The pages of a blob are damaged; other rows may be whole."""


def is_there(path: Path) -> bool:
    """Whether a library has been started at ``path``; an empty file is none yet.

    A file that is refused is left as it is, to the byte. Raises LibraryError for a folder, for what
    is not SQLite, and for the database of another program.

    The file is looked at through SQLite and never with ``open``: on POSIX, closing a file drops
    every lock that the process has on it, also those of SQLite connections. Another process would
    then remove the log under them, and with it what they commit.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LibraryError(f"{path}: cannot be read: {error.strerror}") from error
    if path.is_dir():
        raise LibraryError(f"{path}: a folder, not a library file; add a file name, as library.db")
    if not size:
        return False
    if not os.access(path, os.R_OK):
        raise LibraryError(f"{path}: cannot be read: permission denied")
    refusal = LibraryError(
        f"{path}: not a library file, or its first bytes are damaged; it was not touched, "
        "choose another --library FILE or restore a backup"
    )
    if size < _SMALLEST_FILE:
        raise refusal  # SQLite would take a file of one byte for an empty one
    try:
        # Immutable: without locks and logs, so that nothing is made beside the file.
        with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
            (owner,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname != "SQLITE_NOTADB":
            raise _explain(path, error) from error
        raise refusal from error
    if owner != APPLICATION_ID:
        raise LibraryError(
            f"{path}: the database of another program, not an xmodal library; it was not touched, "
            "choose another --library FILE"
        )
    return True


def is_writable(path: Path) -> bool:
    """Whether this user may write the file and, for the log beside it, its folder."""
    return os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK)


def start_file(path: Path) -> None:
    """Make the file, or go on where a killed process stopped: still without tables."""
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        # Before the log is switched on, so that the header names its owner from the first byte.
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")


def connect_engine(path: Path, *, writable: bool, foreign_keys: bool = True) -> Engine:
    """An engine on an existing file. ``xmodal_write`` among its execution options locks at begin.

    Migrations switch ``foreign_keys`` off: they copy and drop tables, and a drop would cascade.
    """

    def connect() -> sqlite3.Connection:
        if not writable:
            return _connect_read_only(path)
        # mode=rw: a library deleted meanwhile must not come back as an empty file.
        uri = f"{path.as_uri()}?mode=rw"
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)

    # "sqlite://" alone would mean one connection a thread: a reader and a writer need two. On media
    # that cannot be written each session looks anew how the file can be read.
    pool = QueuePool if writable else NullPool
    engine = create_engine("sqlite://", creator=connect, poolclass=pool)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        # Transactions are begun by `begin` below; sqlite3's own would miss DDL and reads.
        connection.isolation_level = None
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
        try:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        except UnicodeDecodeError as error:  # the message itself quotes damaged bytes
            damaged = sqlite3.DatabaseError("the description of its tables is no text")
            damaged.sqlite_errorname = "SQLITE_CORRUPT"
            raise damaged from error
        # With a write-ahead log, power loss can undo the last commits but never damage the file.
        # Some network disks have no such log; there only FULL is safe.
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer locks at once: upgrading a read lock later can fail where waiting cannot.
        write = connection.get_execution_options().get("xmodal_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def copy_file(path: Path, target: Path) -> None:
    """Copy the library to ``target``, whole or not at all, while others read and write it.

    Raises DiskFullError before it begins where there is no room for the copy.
    """
    needed, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if needed > free:
        raise DiskFullError(
            f"{path}: the disk is too full for the copy that is made before it is changed: "
            f"{needed / 1e6:,.1f} MB needed, {_free_space(path)}; free some space and run again"
        )
    partial = target.with_name(f"{target.name}.partial")
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def compact_file(path: Path) -> None:
    """Give the space of deleted rows back to the disk, which must hold a second copy meanwhile."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    with closing(connection):
        connection.execute("VACUUM")
        # The file itself shrinks when the log is read back, which a reader may put off.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def indexed(connection: Connection, *columns: tuple[str, str]) -> Iterator[None]:
    """Indexes of (table, column) for the length of a block within a transaction.

    For each row deleted, SQLite looks for those that refer to it. Without an index on the column
    that is a walk over the whole table, which is too long for many and too rare to keep one.
    """
    for table, column in columns:
        connection.exec_driver_sql(f"CREATE INDEX for_a_while_{table} ON {table} ({column})")
    yield
    for table, _ in columns:
        connection.exec_driver_sql(f"DROP INDEX for_a_while_{table}")


def read_blob(
    connection: Connection, table: str, column: str, row: int, memory: bytearray | None = None
) -> memoryview:
    """One blob by the number of its row, read into ``memory`` if it fits there.

    Piece by piece: new memory for each large blob would cost more than the reading. Raises
    DamagedBlobError where SQLite finds its pages damaged.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    try:
        with driver.blobopen(table, column, row, readonly=True) as blob:
            size = len(blob)
            if memory is None or len(memory) < size:
                memory = bytearray(size)
            found = memoryview(memory)[:size]
            for start in range(0, size, _PIECE_BYTES):
                piece = blob.read(_PIECE_BYTES)
                found[start : start + len(piece)] = piece
            return found
    except sqlite3.DatabaseError as error:
        if (error.sqlite_errorname or "").startswith("SQLITE_CORRUPT"):
            raise DamagedBlobError(str(error)) from error
        raise


def read_words(
    connection: Connection, table: str, column: str, row: int, places: NDArray[np.intp]
) -> NDArray[np.uint64]:
    """Single little-endian 64-bit words of a blob; of the others only their page is read."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    found = bytearray()
    with driver.blobopen(table, column, row, readonly=True) as blob:
        for place in places.tolist():
            blob.seek(8 * place)
            found += blob.read(8)
    return np.frombuffer(found, "<u8").astype(np.uint64, copy=False)


def data_version(connection: Connection) -> int:
    """A number that changes when another connection, of any process, has changed the file."""
    return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def is_ascii(column: Any) -> ColumnElement[bool]:
    """The condition that a text has ASCII characters only, and no zero among them."""
    return func.length(cast(column, LargeBinary)) == func.length(column)


def is_like(column: Any, pattern: str) -> ColumnElement[bool]:
    """LIKE with ``\\`` before what is meant as itself; ASCII letters of either case are alike.

    Elsewhere LIKE knows the two cases apart, and would need ``lower``, which costs as much again.
    """
    condition: ColumnElement[bool] = column.like(pattern, escape="\\")
    return condition


def check_integrity(connection: Connection) -> Iterator[str]:
    """What is wrong with pages, indexes and constraints."""
    for (finding,) in connection.execute(text("PRAGMA integrity_check(20)")):
        if finding != "ok":
            yield finding


def check_references(connection: Connection) -> Iterator[str]:
    """Rows whose foreign keys lead nowhere."""
    for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row} of {table} refers to a row of {parent} that is not there"


def stored_values(
    connection: Connection, table: str, expected: Mapping[str, str]
) -> Iterator[tuple[int, list[tuple[str, bytes | None]]]]:
    """Row numbers, and storage class and content of the ``expected`` columns of each row.

    ``expected`` has the class of each column. Contents are bytes of texts and of what is of another
    class; None for what is as expected, and for NULL. Rows with nothing but None are left out.
    """
    cells, doubtful = [], []
    for column, storage in expected.items():
        fine = "'null'" if storage == "text" else f"'null', '{storage}'"
        odd = f"typeof({column}) NOT IN ({fine})"
        cells.append(f"typeof({column}), CASE WHEN {odd} THEN CAST({column} AS BLOB) END")
        doubtful.append(odd)
    query = f"SELECT rowid, {', '.join(cells)} FROM {table} WHERE {' OR '.join(doubtful)}"
    for row, *found in connection.exec_driver_sql(f"{query} ORDER BY rowid"):
        yield row, list(zip(found[::2], found[1::2], strict=True))


def write_value(connection: Connection, table: str, column: str, row: int, value: object) -> None:
    """Put ``value`` into one place, by the number of its row."""
    statement = f'UPDATE "{table}" SET "{column}" = :value WHERE rowid = :row'
    connection.execute(text(statement), {"value": value, "row": row})


def remove_row(connection: Connection, table: str, row: int) -> None:
    """Delete a row by its number."""
    connection.execute(text(f'DELETE FROM "{table}" WHERE rowid = :row'), {"row": row})


def rebuild_indexes(connection: Connection) -> None:
    """Make all indexes anew from their tables, which must be whole."""
    connection.execute(text("REINDEX"))


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn a database error inside the block into a LibraryError that says what to do."""
    try:
        yield
    except DBAPIError as error:
        if error.orig is None or isinstance(error.orig, _OUR_FAULT):
            raise
        raise _explain(path, error.orig) from error
    except _OUR_FAULT:
        raise
    except sqlite3.Error as error:
        raise _explain(path, error) from error


def _free_space(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free / 1e6:,.1f} MB free there"
    except OSError:
        return "free space unknown"


def _explain(path: Path, error: BaseException) -> LibraryError:
    code = getattr(error, "sqlite_errorname", None) or ""
    if code.startswith("SQLITE_FULL"):
        return DiskFullError(
            f"{path}: the disk is full ({_free_space(path)}); nothing committed is lost, free some "
            "space and run the same command again"
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return LibraryError(
            f"{path}: cannot be written ({error}); check the permissions of the file and its folder"
        )
    if code.startswith("SQLITE_CANTOPEN"):
        return LibraryError(
            f"{path}: cannot be opened ({error}); check that the file and its folder are still "
            "there, and their permissions"
        )
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryBusyError(f"{path}: another process holds the library; try again in a moment")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LibraryError(
            f"{path}: the file is damaged ({error}); restore a backup, or save what can be read "
            "with `xmodal doctor --repair`"
        )
    if code.startswith("SQLITE_IOERR"):
        return LibraryError(
            f"{path}: the disk cannot be read or written ({error}, {_free_space(path)}); check it, "
            "also for a quota, then run again: nothing committed is lost"
        )
    return LibraryError(f"{path}: {error}; `xmodal info` checks the file")


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that works on read-only media, where a write-ahead log cannot be opened."""
    uri = path.as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
        return connection
    except sqlite3.OperationalError:
        connection.close()
    log = path.resolve().with_name(f"{path.resolve().name}-wal")
    if log.exists() and log.stat().st_size:
        # Ignoring the log would show an old state, or a broken one.
        raise LibraryError(
            f"{path}: changes in {log.name} are not yet part of it, and its folder cannot be "
            "written; copy both files to a folder of yours and name that --library"
        )
    return sqlite3.connect(f"{uri}?immutable=1", uri=True, check_same_thread=False)
