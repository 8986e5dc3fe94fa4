"""What cannot be used is refused in one clear line, and never touched."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError

from xmodal.errors import LibraryError
from xmodal.store.database import Database
from xmodal.store.models import Volume


def volumes(database: Database) -> list[str]:
    with database.session() as session:
        return list(session.scalars(select(Volume.path).order_by(Volume.id)))


def add_volume(database: Database, path: str) -> None:
    with database.transaction() as session:
        session.add(Volume(path=path))


def refusal(path: Path, create: bool = True) -> str:
    with pytest.raises(LibraryError) as caught:
        Database.open(path, create=create)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_missing_library_says_how_to_make_one(path):
    assert "xmodal index" in refusal(path, create=False)
    assert not path.exists()


def test_what_is_not_sqlite_is_refused_and_not_touched(path):
    path.write_bytes(b"PK\x03\x04 something else" * 100)
    before = path.read_bytes()
    assert "not a library file" in refusal(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("start", [b"S", b"hello", b"SQLite format 3\0", b"SQLite format 3\0" * 6])
def test_a_file_shorter_than_a_header_is_refused(path, start):
    path.write_bytes(start)
    assert "not a library file" in refusal(path)
    assert path.read_bytes() == start


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_the_database_of_another_program_is_refused_and_not_touched(path, journal):
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA journal_mode = {journal}")
    other.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    other.execute("INSERT INTO alembic_version VALUES ('0001')")
    other.commit()
    other.close()
    before = path.read_bytes()
    assert "another program" in refusal(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_library_asks_for_an_upgrade_and_is_not_touched(path, database):
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    # A process that had it open notices before it writes.
    with pytest.raises(LibraryError, match="newer xmodal"), database.writer():
        pass
    database.close()
    before = path.read_bytes()
    message = refusal(path)
    assert "9999" in message
    assert "pip install --upgrade xmodal" in message
    assert path.read_bytes() == before


def test_a_library_without_its_record_of_migrations_is_refused(path, database):
    with database.transaction() as session:
        session.execute(text("DROP TABLE alembic_version"))
    database.close()
    assert "record of migrations" in refusal(path)


def test_a_folder_is_refused(tmp_path):
    assert "folder" in refusal(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "library.db" in refusal(tmp_path / "file" / "library.db")


def test_a_truncated_library_is_called_damaged(path, database):
    with database.transaction() as session:
        session.add_all(Volume(path=f"/photos/{i:0500}") for i in range(200))
    database.close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def open_and_read() -> None:
        volumes(Database.open(path))

    with pytest.raises(LibraryError, match="damaged"):
        open_and_read()


def test_every_overwritten_page_gives_a_library_error_or_a_finding(path, database):
    with database.transaction() as session:
        session.add_all(Volume(path=f"/photos/{i:0500}") for i in range(40))
    database.close()
    whole = path.read_bytes()
    for start in range(0, len(whole), 4096):
        broken = bytearray(whole)
        broken[max(start, 100) : start + 2048] = b"\xa5" * (start + 2048 - max(start, 100))
        path.write_bytes(broken)
        try:
            database = Database.open(path)
        except LibraryError:
            continue
        assert database.check(), f"page at {start}"
        database.close()


def test_a_full_disk_is_named_and_loses_nothing_committed(path, database):
    add_volume(database, "/photos")

    @event.listens_for(database._engine, "checkout")
    def shrink(connection, record, proxy):
        connection.execute("PRAGMA max_page_count = 40")

    with pytest.raises(LibraryError, match="disk is full"), database.transaction() as session:
        session.add_all(Volume(path=f"/photos/{i:01000}") for i in range(500))
    assert volumes(database) == ["/photos"]
    assert database.check() == []


def test_a_mistake_of_the_program_stays_what_it_is(database):
    add_volume(database, "/photos")
    with pytest.raises(IntegrityError):
        add_volume(database, "/photos")


def test_a_library_deleted_while_open_does_not_come_back_empty(path, database):
    database.close()
    path.unlink()
    with pytest.raises(LibraryError, match="still there"):
        volumes(database)
    assert not path.exists()


def test_a_read_only_file_can_be_searched_but_not_written(unprivileged_folder):
    path = unprivileged_folder / "library.db"
    database = Database.open(path)
    add_volume(database, "/photos")
    database.close()
    (unprivileged_folder / "library.db.lock").unlink()
    path.chmod(0o444)
    unprivileged_folder.chmod(0o555)
    before = path.read_bytes()
    database = Database.open(path)
    assert volumes(database) == ["/photos"]
    assert database.check() == []
    with pytest.raises(LibraryError, match="cannot be written"), database.transaction():
        pass
    with pytest.raises(LibraryError, match="cannot be written"), database.writer():
        pass
    database.close()
    assert [file.name for file in unprivileged_folder.iterdir()] == ["library.db"]
    assert path.read_bytes() == before


def test_a_read_only_copy_with_an_unread_log_is_refused(unprivileged_folder):
    original = unprivileged_folder / "library.db"
    database = Database.open(original)
    add_volume(database, "/photos")
    copy = unprivileged_folder / "copy" / "library.db"
    copy.parent.mkdir()
    for name in ("library.db", "library.db-wal"):  # as a copy of a library in use
        copy.with_name(name).write_bytes(original.with_name(name).read_bytes())
    copy.parent.chmod(0o555)
    try:
        assert "library.db-wal" in refusal(copy)
    finally:
        copy.parent.chmod(0o755)
    copied = Database.open(copy)  # writable again: the log is read
    assert volumes(copied) == ["/photos"]
    copied.close()
    database.close()


def test_no_permission_is_said_for_the_file_and_for_its_folder(unprivileged_folder):
    path = unprivileged_folder / "library.db"
    Database.open(path).close()
    path.chmod(0)
    assert "permission denied" in refusal(path)
    path.chmod(0o644)
    unprivileged_folder.chmod(0o555)
    assert "cannot be written" in refusal(unprivileged_folder / "new.db")
    assert "cannot be made" in refusal(unprivileged_folder / "new" / "library.db")
