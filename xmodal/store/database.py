"""The library file: opening it, bringing it up to date, one writer and any number of readers."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from xmodal.errors import LibraryBusyError, LibraryError
from xmodal.store import schema, sqlite
from xmodal.store.sqlite import translated

if TYPE_CHECKING:
    from filelock import BaseFileLock

# How long opening waits for another process that is making or migrating the same library.
_PATIENCE_SECONDS = 30
_WRITE = {"xmodal_write": True}


class Database:
    """An open library file; make one with :meth:`open`.

    Safe to use from several threads, each with sessions of its own.

    >>> database = Database.open("photos.db")                    # doctest: +SKIP
    >>> with database.writer(), database.transaction() as session:   # doctest: +SKIP
    ...     session.add(Volume(path="/photos"))
    """

    def __init__(self, path: Path, engine: Engine, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._engine = engine
        self._lock: BaseFileLock | None = None
        self._making_lock = Lock()
        self._watching: Connection | None = None

    @classmethod
    def open(cls, path: str | Path, create: bool = True) -> Self:
        """Open the library at ``path``, applying migrations that it lacks.

        A missing or empty file becomes a library, its folder too, unless ``create`` is false. An
        existing library is copied to ``NAME.backup-REVISION-TIME.db`` before a migration changes
        it. One that cannot be written is opened for reading.

        Raises LibraryError when the file is missing (with ``create=False``), is not a library, is
        damaged or is from a newer xmodal; such a file is never written to. LibraryBusyError when
        another process keeps writing to a library that must be migrated.
        """
        path = Path(os.path.abspath(path))
        started = sqlite.is_there(path)
        if not started:
            if not create:
                raise _missing(path)
            _check_folder(path)
        writable = not started or sqlite.is_writable(path)
        database = cls(path, sqlite.connect_engine(path, writable=writable), writable=writable)
        try:
            with translated(path):
                database._bring_up_to_date(create)
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close all connections; open sessions end with them."""
        if self._watching is not None:
            self._watching.close()
            self._watching = None
        self._engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that reads one consistent snapshot, whatever a writer does meanwhile."""
        with (
            translated(self.path),
            Session(self._engine, expire_on_commit=False, info={"library": self.path}) as session,
        ):
            yield session

    def version(self) -> int:
        """A number that changes when the file has: by this process, or by another."""
        with translated(self.path), self._making_lock:
            # A connection of its own, that never writes: only changes by others are counted.
            if self._watching is None:
                self._watching = self._engine.connect()
            version = sqlite.data_version(self._watching)
            self._watching.rollback()
            return version

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end of the block, or rolls back on any exception.

        Transactions of several threads or processes follow one another; what belongs together in
        more than one of them belongs into :meth:`writer`.
        """
        if not self.writable:
            raise self._read_only()
        engine = self._engine.execution_options(**_WRITE)
        with (
            translated(self.path),
            Session(engine, expire_on_commit=False, info={"library": self.path}) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def writer(self) -> Iterator[Self]:
        """Be the only writing process for the length of the block; readers are not affected.

        The lock is the operating system's, on ``NAME.lock`` beside the library: it vanishes with
        the process that holds it. A thread that has it may take it again. Raises LibraryBusyError
        at once when another process or thread has it.
        """
        with self._locked():
            with translated(self.path):
                # A process that runs for long may find that a newer xmodal migrated meanwhile.
                self._revision()
            yield self

    def back_up(self, label: str) -> Path:
        """Copy the library to ``NAME.backup-LABEL-TIME.db`` beside it; returns where that is."""
        target = self.beside(f"backup-{label}")
        sqlite.copy_file(self.path, target)
        return target

    def beside(self, label: str) -> Path:
        """A name beside the library that nothing has: ``NAME.LABEL-TIME.db``, UTC time."""
        start = f"{self.path.stem}.{label}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        names = (f"{start}{'' if n == 1 else f'-{n}'}.db" for n in count(1))
        return next(p for p in map(self.path.with_name, names) if not p.exists())

    def compact(self) -> int:
        """Make the file as small as what it holds; returns how many bytes it became smaller.

        The caller holds :meth:`writer`. Raises LibraryError when the disk has not the space for a
        second copy; the library is as it was then.
        """
        before = self.path.stat().st_size
        with translated(self.path):
            sqlite.compact_file(self.path)
        return max(0, before - self.path.stat().st_size)

    def check(self) -> list[str]:
        """What is wrong with the file, one sentence each; an empty list when nothing is."""
        from xmodal.store.features import check_features
        from xmodal.store.segments import check_segments

        problems: list[str] = []
        try:
            with self.session() as session:
                for check in (sqlite.check_integrity, sqlite.check_references):
                    problems += [f"{self.path}: {found}" for found in check(session.connection())]
                problems += check_segments(session)
                problems += check_features(session)
        except LibraryError as error:  # damage that stops reading is a finding, too
            problems.append(str(error))
        return problems

    def _revision(self) -> str | None:
        with self._engine.connect() as connection:
            return schema.current_revision(connection, self.path)

    def _bring_up_to_date(self, create: bool) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            revision = self._revision() if sqlite.is_there(self.path) else None
            if revision == schema.REVISIONS[-1]:
                return
            if revision is None and not create:
                raise _missing(self.path)
            if not self.writable:
                raise LibraryError(
                    f"{self.path}: its format ({revision}) is older than this xmodal's and it "
                    "cannot be written; copy it to a folder of yours and name that --library"
                )
            try:
                with translated(self.path), self._locked():
                    self._create_or_migrate()
            except LibraryBusyError:
                # Perhaps a process that does just this: then nothing will be left to do.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _create_or_migrate(self) -> None:
        if not sqlite.is_there(self.path) or self._revision() is None:
            sqlite.start_file(self.path)
        engine = sqlite.connect_engine(self.path, writable=True, foreign_keys=False)
        try:
            # One transaction from the first look to the last record: a killed process leaves the
            # old tables, and no other can change them in between.
            with engine.execution_options(**_WRITE).begin() as connection:
                revision = schema.current_revision(connection, self.path)
                if revision is None:
                    schema.create_tables(connection)
                elif revision != schema.REVISIONS[-1]:
                    name = self.back_up(revision).name
                    schema.migrate_tables(connection)
                    for finding in sqlite.check_references(connection):
                        raise LibraryError(
                            f"{self.path}: migrating it would leave it damaged ({finding}), so it "
                            f"was left as it is; a copy is in {name}"
                        )
        finally:
            engine.dispose()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import SoftFileLock, Timeout

        if not self.writable:
            raise self._read_only()
        lock = self._file_lock()
        holder = _holder(lock.lock_file)  # read first: some versions empty the file
        try:
            lock.acquire()
        except Timeout:
            raise LibraryBusyError(
                f"{self.path}: another xmodal process{holder} is writing to this library (lock "
                f"{lock.lock_file}); wait until it is done, searches work meanwhile"
            ) from None
        except OSError as error:
            raise LibraryError(
                f"{self.path}: cannot be written: {lock.lock_file}: {error.strerror}; check "
                "the permissions of the folder, and whether its disk is full"
            ) from error
        try:
            # A soft lock, of file systems that have no other, keeps its own notes in the file.
            if not isinstance(lock, SoftFileLock):
                with suppress(OSError):  # only for the message above; the lock holds without it
                    Path(lock.lock_file).write_text(f"{os.getpid()}\n", encoding="ascii")
            yield
        finally:
            lock.release()

    def _file_lock(self) -> "BaseFileLock":
        from filelock import FileLock  # imports asyncio, which a search need not wait for

        with self._making_lock:
            if self._lock is None:
                # Beside the file itself: a symbolic link must not have a lock of its own.
                self._lock = FileLock(f"{self.path.resolve()}.lock", timeout=0)
            return self._lock

    def _read_only(self) -> LibraryError:
        return LibraryError(
            f"{self.path}: cannot be written (read-only file, folder or disk); copy it to a folder "
            "of yours, or search it as it is"
        )


def _missing(path: Path) -> LibraryError:
    return LibraryError(f"{path}: no library there; make one with `xmodal index FOLDER`")


def _check_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryError(
            f"{path}: its folder cannot be made ({error.strerror}); choose another --library FILE"
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise LibraryError(f"{path}: its folder cannot be written; choose another --library FILE")


def _holder(lock_file: str) -> str:
    with suppress(OSError, ValueError, IndexError):
        return f" (number {int(Path(lock_file).read_text(encoding='ascii').split()[0])})"
    return ""
