"""One writer at a time, found at once; readers are never kept waiting."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from xmodal.errors import LibraryBusyError
from xmodal.store.database import Database
from xmodal.store.models import Volume

WRITE = """
import sys
from xmodal.store.database import Database
from xmodal.store.models import Volume
database = Database.open(sys.argv[1], create=False)
with database.writer():
    with database.transaction() as session:
        session.add_all(Volume(path=f"/{n}") for n in range(2000))
        session.flush()
        print("writing", flush=True)
        sys.stdin.readline()
    print("committed", flush=True)
    sys.stdin.readline()
"""


COUNT = """
import sys
from sqlalchemy import func, select
from xmodal.store.database import Database
from xmodal.store.models import Volume
database = Database.open(sys.argv[1], create=False)
with database.session() as session:
    print(session.scalar(select(func.count(Volume.id))))
database.close()
"""


def count(database: Database) -> int:
    with database.session() as session:
        return session.scalar(select(func.count(Volume.id))) or 0


def test_a_second_writer_is_told_at_once_who_has_the_lock(database, start_python):
    child = start_python(WRITE, database.path)
    child.stdout.readline()
    started = time.monotonic()
    with pytest.raises(LibraryBusyError) as caught, database.writer():
        pass
    assert time.monotonic() - started < 1
    assert f"number {child.pid}" in str(caught.value)
    assert "library.db.lock" in str(caught.value)
    with pytest.raises(LibraryBusyError), database.writer():  # asking took nothing away
        pass
    child.communicate("\n\n")
    with database.writer():
        pass


def test_the_lock_goes_with_a_killed_writer_and_so_does_its_work(database, start_python):
    child = start_python(WRITE, database.path)
    child.stdout.readline()
    child.kill()
    child.wait()
    with database.writer(), database.transaction() as session:
        session.add(Volume(path="/0"))
    assert count(database) == 1
    assert database.check() == []


def test_readers_see_the_last_commit_while_a_writer_writes(database, start_python):
    child = start_python(WRITE, database.path)
    child.stdout.readline()
    started = time.monotonic()
    other = Database.open(database.path, create=False)
    assert count(other) == count(database) == 0
    assert time.monotonic() - started < 2
    with database.session() as session:
        assert session.scalar(select(func.count(Volume.id))) == 0
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "committed\n"
        # A session keeps its snapshot; the next one sees what was committed.
        assert session.scalar(select(func.count(Volume.id))) == 0
    assert count(other) == count(database) == 2000
    other.close()


def test_a_link_to_a_library_has_the_same_lock(database):
    link = database.path.with_name("link.db")
    try:
        link.symlink_to(database.path)
    except OSError:
        pytest.skip("no symbolic links here")
    other = Database.open(link)
    with database.writer(), pytest.raises(LibraryBusyError), other.writer():
        pass
    other.close()


def test_a_writer_may_take_its_own_lock_again_but_another_thread_may_not(database):
    def write() -> None:
        with database.writer():
            pass

    with database.writer():
        write()
        with ThreadPoolExecutor(1) as pool, pytest.raises(LibraryBusyError):
            pool.submit(write).result()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(write).result()


def test_transactions_of_threads_follow_one_another(database):
    def add(number: int) -> None:
        with database.transaction() as session:
            session.add(Volume(path=f"/{session.scalar(select(func.count(Volume.id)))}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(40)))
    assert count(database) == 40


def test_opening_a_library_twice_in_one_process_loses_no_commit(database, start_python):
    # Where the second look at the file drops the locks of the first connection, a process that
    # comes and goes removes the log, and the next commit goes into a file without a name.
    Database.open(database.path).close()
    for number in range(2):
        with database.transaction() as session:
            session.add(Volume(path=f"/{number}"))
        out, error = start_python(COUNT, database.path).communicate()
        assert (out, error) == (f"{number + 1}\n", "")
