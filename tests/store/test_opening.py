"""Opening and making libraries: by many processes at once, and killed at any moment."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from xmodal.errors import LibraryError
from xmodal.store.database import Database
from xmodal.store.models import Volume
from xmodal.store.sqlite import APPLICATION_ID


def volumes(database: Database) -> list[str]:
    with database.session() as session:
        return list(session.scalars(select(Volume.path).order_by(Volume.id)))


def add_volume(database: Database, path: str) -> None:
    with database.transaction() as session:
        session.add(Volume(path=path))


def test_what_is_committed_is_there_after_reopening(path):
    first = Database.open(path)
    add_volume(first, "/photos")
    first.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["library.db", "library.db.lock"]
    second = Database.open(path, create=False)
    assert volumes(second) == ["/photos"]
    second.close()


def test_an_exception_rolls_the_transaction_back(database):
    def fail() -> None:
        with database.transaction() as session:
            session.add(Volume(path="/photos"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert volumes(database) == []


def test_missing_folders_are_made(tmp_path):
    Database.open(tmp_path / "a" / "b" / "library.db").close()
    assert (tmp_path / "a" / "b" / "library.db").is_file()


def test_an_empty_file_becomes_a_library(path):
    path.touch()
    Database.open(path).close()
    assert path.stat().st_size > 0


def test_a_library_that_was_killed_while_it_was_made_is_finished(path):
    unfinished = sqlite3.connect(path)
    unfinished.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    unfinished.execute("PRAGMA journal_mode = WAL")
    unfinished.close()
    with pytest.raises(LibraryError, match="xmodal index"):
        Database.open(path, create=False)
    database = Database.open(path)
    assert database.check() == []
    database.close()


@pytest.mark.parametrize("name", ["50 % of it?#.db", "Bücher.db", os.fsdecode(b"caf\xe9.db")])
def test_any_file_name_will_do(tmp_path, name):
    database = Database.open(tmp_path / name)
    add_volume(database, "/photos")
    database.close()
    assert (tmp_path / name).stat().st_size > 0
    assert Database.open(tmp_path / name, create=False).check() == []


def test_pragmas_hold_for_every_connection(database):
    expected = {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1}
    with database.session() as one, database.session() as two:
        for session in (one, two):
            for pragma, value in expected.items():
                assert session.scalar(text(f"PRAGMA {pragma}")) == value
            assert session.scalar(text("PRAGMA mmap_size")) > 0


def test_processes_that_make_one_library_at_once_all_get_it(path, start_python):
    program = """
import sys
from xmodal.store.database import Database
from xmodal.store.models import Volume
sys.stdin.read()
database = Database.open(sys.argv[1])
with database.transaction() as session:
    session.add(Volume(path=sys.argv[2]))
"""

    children = [start_python(program, path, f"/{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        errors = list(pool.map(lambda child: child.communicate("")[1], children))
    assert errors == [""] * 6
    database = Database.open(path, create=False)
    assert sorted(volumes(database)) == [f"/{number}" for number in range(6)]
    assert database.check() == []
    database.close()


def test_a_library_killed_at_any_moment_of_its_making_opens(tmp_path, start_python):
    program = """
import sys
from xmodal.store.database import Database
print("ready", flush=True)
for number in range(1000):
    Database.open(f"{sys.argv[1]}/{number}.db").close()
"""
    child = start_python(program, tmp_path)
    child.stdout.readline()
    for _ in range(2):
        child.kill()
        child.wait()
        child = start_python(program, tmp_path)
        child.stdout.readline()
    child.kill()
    child.wait()
    for path in sorted(tmp_path.glob("*.db")):
        database = Database.open(path)
        assert database.check() == []
        database.close()


def test_opening_imports_no_alembic_and_no_torch(path, database):
    program = """
import sys
from xmodal.store.database import Database
Database.open(sys.argv[1], create=False).close()
Database.open(sys.argv[1] + ".new").close()
print(sorted({"alembic", "torch", "open_clip"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
