"""The library file: opening, migrating, locking, and what only SQLite knows.

This is the one place with SQLite's own SQL (pragmas, the backup API, error codes). Everything else
in the project uses portable SQLAlchemy expressions on the sessions handed out here.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout
from sqlalchemy import Engine, QueuePool, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from xmodal.errors import LibraryBusyError, LibraryError
from xmodal.resources import resource_path
from xmodal.store.models import Base

# The migrations, oldest first. Kept here so that opening a library need not import Alembic;
# a test compares it with the scripts.
REVISIONS = ("0001",)

APPLICATION_ID = 0x786D6F64  # "xmod" in the file's header: `file` and we can tell it from others
_MAGIC = b"SQLite format 3\x00"
_BUSY_SECONDS = 30
# Address space, not memory: pages are mapped as they are read, so that blobs need no copy.
_MMAP_BYTES = 1 << 40


class Database:
    """An open library file; make one with :meth:`open`."""

    def __init__(self, path: Path, engine: Engine, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._engine = engine
        self._lock = FileLock(f"{path}.lock", timeout=0)

    @classmethod
    def open(cls, path: str | Path, create: bool = True) -> Self:
        """Open the library at ``path``, applying migrations that it lacks.

        An existing library is copied to ``NAME.backup-REVISION-TIME.db`` before a migration changes
        it. Raises LibraryError when the file is missing (with ``create=False``), is not a library,
        is damaged or is from a newer xmodal; such a file is never written to.
        """
        path = Path(os.path.abspath(path))
        fresh = not path.exists() or (path.is_file() and path.stat().st_size == 0)
        if fresh and not create:
            raise LibraryError(f"{path}: no library there; make one with `xmodal index FOLDER`")
        if fresh:
            _make_parent(path)
        else:
            _check_is_sqlite(path)
        writable = fresh or _is_writable(path)
        database = cls(path, _engine(path, writable), writable=writable)
        try:
            with translated(path):
                if fresh:
                    with database.writer():
                        database._create()
                else:
                    database._bring_up_to_date()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close all connections; open sessions end with them."""
        self._engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that reads one consistent snapshot, whatever a writer does meanwhile."""
        with translated(self.path), Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end of the block, or rolls back on any exception."""
        if not self.writable:
            raise LibraryError(
                f"{self.path}: cannot be written (read-only file, folder or disk); copy it to a "
                "folder of yours, or search it as it is"
            )
        with translated(self.path):
            engine = self._engine.execution_options(xmodal_write=True)
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session

    @contextmanager
    def writer(self) -> Iterator[Self]:
        """Be the only writing process for the length of the block; readers are not affected.

        The lock is the operating system's, on ``NAME.lock`` beside the library: it vanishes with
        the process that holds it. Raises LibraryBusyError at once when another process has it.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise LibraryBusyError(
                f"{self.path}: another xmodal process{_holder(self._lock.lock_file)} is writing to "
                "this library; wait until it is done (searches work meanwhile)"
            ) from None
        except OSError as error:
            raise LibraryError(
                f"{self.path}: cannot be written: {self._lock.lock_file}: {error.strerror}"
            ) from error
        try:
            with suppress(OSError):  # only for the message above; the lock itself holds without it
                Path(self._lock.lock_file).write_text(f"{os.getpid()}\n", encoding="ascii")
            yield self
        finally:
            self._lock.release()

    def check(self) -> list[str]:
        """What is wrong with the file, one sentence each; an empty list when nothing is."""
        from xmodal.store.segments import check_segments

        problems: list[str] = []
        with self.session() as session:
            for (finding,) in session.execute(text("PRAGMA integrity_check(20)")):
                if finding != "ok":
                    problems.append(f"{self.path}: {finding}")
            for table, row, parent, _ in session.execute(text("PRAGMA foreign_key_check")):
                problems.append(f"{self.path}: row {row} of {table} refers to no row of {parent}")
            problems += check_segments(session)
        return problems

    def revision(self) -> str | None:
        """The migration the file is at; None where there is no record of any."""
        with self._engine.connect() as connection:
            if not _tables(connection) & {"alembic_version"}:
                return None
            return connection.scalar(text("SELECT version_num FROM alembic_version"))

    def _create(self) -> None:
        # The models are the newest schema, and a test proves that the migrations lead to the same:
        # so a new library is made without importing Alembic.
        with self._engine.execution_options(xmodal_write=True).begin() as connection:
            if _tables(connection):
                return  # another process made it while this one waited for the lock
            Base.metadata.create_all(connection)
            connection.execute(
                text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
            )
            connection.execute(
                text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": REVISIONS[-1]}
            )
            connection.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))

    def _bring_up_to_date(self) -> None:
        revision = self.revision()
        if revision == REVISIONS[-1]:
            return
        if revision is None:
            raise LibraryError(
                f"{self.path}: a database, but not an xmodal library; name another --library file"
            )
        if revision not in REVISIONS:
            raise LibraryError(
                f"{self.path}: made by a newer xmodal (format {revision}, this one knows up to "
                f"{REVISIONS[-1]}); upgrade with `pip install --upgrade xmodal`"
            )
        if not self.writable:
            raise LibraryError(
                f"{self.path}: has an older format ({revision}) and must be migrated, but cannot "
                "be written; copy it to a folder of yours first"
            )
        with self.writer():
            if self.revision() == revision:  # else another process did it meanwhile
                self._back_up(revision)
                self._migrate()

    def _back_up(self, revision: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = self.path.with_name(f"{self.path.stem}.backup-{revision}-{stamp}.db")
        partial = target.with_name(target.name + ".partial")
        source = sqlite3.connect(self.path)
        copy = sqlite3.connect(partial)
        try:
            source.backup(copy)
        finally:
            copy.close()
            source.close()
        partial.replace(target)

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(resource_path("migrations")))
        # One transaction for all steps and their record: a killed migration leaves the old schema.
        with self._engine.execution_options(xmodal_write=True).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn a database error inside the block into a LibraryError that says what to do."""
    try:
        yield
    except DBAPIError as error:
        raise _explain(path, error.orig or error) from error
    except sqlite3.Error as error:
        raise _explain(path, error) from error


def _explain(path: Path, error: BaseException) -> LibraryError:
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL"):
        return LibraryError(
            f"{path}: the disk is full; free some space and run again, nothing committed is lost"
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return LibraryError(f"{path}: cannot be written or opened ({error}); check its permissions")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LibraryBusyError(f"{path}: another process holds the library; try again in a moment")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LibraryError(
            f"{path}: the file is damaged ({error}); restore a backup, or move it away and index "
            "again"
        )
    if code.startswith("SQLITE_IOERR"):
        return LibraryError(f"{path}: the disk cannot be read or written ({error})")
    return LibraryError(f"{path}: {error}")


def _engine(path: Path, writable: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        if writable:
            return sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
        return _connect_read_only(path)

    # "sqlite://" alone would mean one connection a thread: a reader and a writer need two.
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        # Transactions are begun by `begin` below; sqlite3's own would miss DDL and reads.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
        if writable:
            connection.execute("PRAGMA journal_mode = WAL")
            # Safe with a write-ahead log: power loss can undo the last commits, never damage.
            connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A writer locks at once: upgrading a read lock later can fail where waiting cannot.
        write = connection.get_execution_options().get("xmodal_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that works on read-only media, where a write-ahead log cannot be opened."""
    uri = path.as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        connection = sqlite3.connect(f"{uri}?immutable=1", uri=True, check_same_thread=False)
    return connection


def _tables(connection: Any) -> set[str]:
    return set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))


def _is_writable(path: Path) -> bool:
    # The log and its index are made beside the file, so the folder must be writable too.
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(
            f"{path}: its folder cannot be made ({error.strerror}); choose another --library FILE"
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise LibraryError(f"{path}: its folder cannot be written; choose another --library FILE")


def _check_is_sqlite(path: Path) -> None:
    if path.is_dir():
        raise LibraryError(f"{path}: a folder, not a library file; add a file name, as library.db")
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise LibraryError(f"{path}: cannot be read: {error.strerror}") from error
    if start != _MAGIC:
        raise LibraryError(
            f"{path}: not a library file (it does not start as SQLite files do); it was not "
            "touched, name another --library file"
        )


def _holder(lock_file: str) -> str:
    with suppress(OSError, ValueError):
        return f" (number {int(Path(lock_file).read_text(encoding='ascii'))})"
    return ""
