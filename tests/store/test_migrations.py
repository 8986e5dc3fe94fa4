"""Migrations: the same tables by every way, a copy first, and all or nothing when killed."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, inspect, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from xmodal.errors import DiskFullError, LibraryError
from xmodal.resources import resource_path
from xmodal.store import schema
from xmodal.store.database import Database
from xmodal.store.layout import pack_segment
from xmodal.store.loading import load_codes
from xmodal.store.models import (
    Base,
    EncoderRecord,
    File,
    HasherRecord,
    Item,
    Segment,
    Volume,
)
from xmodal.store.sqlite import start_file

LAST = schema.REVISIONS[-1]
# What a later xmodal might do: change a table that others refer to, which SQLite does by a copy.
NEXT = '''
"""An item remembers whether it is upright."""

import os, signal
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "LAST", None, None


def upgrade() -> None:
    with op.batch_alter_table("item") as table:
        table.add_column(sa.Column("upright", sa.Boolean(), nullable=True))
        table.alter_column("kind", type_=sa.String(length=32))
    if os.environ.get("XMODAL_TEST") == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("XMODAL_TEST") == "orphan":
        op.execute("DELETE FROM volume")
    if os.environ.get("XMODAL_TEST") == "fail":
        op.execute("INSERT INTO no_such_table VALUES (1)")
'''
OPEN = """
import sys
from pathlib import Path
from xmodal.store import schema
from xmodal.store.database import Database
schema.REVISIONS = (*schema.REVISIONS, "9999")
schema.resource_path = lambda name: Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.read()
Database.open(sys.argv[1]).close()
"""


@pytest.fixture
def old(path: Path) -> Path:
    """A library of this xmodal with a picture in it."""
    database = Database.open(path)
    with database.transaction() as session:
        session.add(Volume(id=1, path="/photos"))
        session.add(Item(id=7, kind="image", content_hash=b"7" * 16))
        session.flush()
        session.add(File(volume_id=1, relative_path="a.jpg", size=1, mtime_ns=1, item_id=7))
    database.close()
    return path


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """The migrations and one more, as the next xmodal would have them."""
    folder = tmp_path / "50 % more"
    shutil.copytree(resource_path("migrations"), folder)
    script = NEXT.replace("LAST", LAST)
    (folder / "versions" / "9999_upright.py").write_text(script)
    return folder


@pytest.fixture
def next_version(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is of the next xmodal."""
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    monkeypatch.setattr(schema, "resource_path", lambda name: scripts)


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("library.backup-*"))


def columns(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    found = {row[1] for row in connection.execute("PRAGMA table_info(item)")}
    connection.close()
    return found


def check_picture(path: Path) -> None:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT relative_path, item_id FROM file").fetchall()
    connection.close()
    assert rows == [("a.jpg", 7)]


def described(engine) -> dict:
    """Everything SQLAlchemy can tell of the tables, in an order of its own."""
    found = inspect(engine)
    return {
        table: (
            [{**column, "type": str(column["type"])} for column in found.get_columns(table)],
            found.get_pk_constraint(table),
            sorted(map(str, found.get_foreign_keys(table))),
            sorted(map(str, found.get_unique_constraints(table))),
            sorted(map(str, found.get_indexes(table))),
        )
        for table in found.get_table_names()
    }


def test_the_list_of_revisions_is_that_of_the_scripts():
    scripts = ScriptDirectory(str(resource_path("migrations"))).walk_revisions()
    assert tuple(script.revision for script in scripts)[::-1] == schema.REVISIONS


def test_a_new_library_has_the_tables_that_the_migrations_make():
    created, migrated = create_engine("sqlite://"), create_engine("sqlite://")
    with created.begin() as connection:
        schema.create_tables(connection)
    with migrated.begin() as connection:
        schema.migrate_tables(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert schema.current_revision(connection, Path("memory")) == schema.REVISIONS[-1]
    assert described(created) == described(migrated)
    assert "alembic_version" in described(created)


def test_the_tables_can_be_made_in_postgresql():
    for table in Base.metadata.sorted_tables:
        ddl = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for index in table.indexes:
            ddl += str(CreateIndex(index).compile(dialect=postgresql.dialect()))
        assert f"CREATE TABLE {table.name}" in ddl
        if "id" in table.c:
            assert "id BIGSERIAL" in ddl


def test_a_migration_keeps_rows_that_refer_to_a_copied_table(old, next_version):
    Database.open(old).close()
    assert "upright" in columns(old)
    check_picture(old)
    database = Database.open(old)
    assert database.check() == []
    database.close()


def test_the_library_is_copied_before_a_migration(old, next_version, monkeypatch):
    Database.open(old).close()
    (copy,) = backups(old)
    assert copy.name.startswith(f"library.backup-{LAST}-")
    assert "upright" not in columns(copy)
    check_picture(copy)
    # An older xmodal, or this one after a second thought, can use the copy in place of the library.
    monkeypatch.undo()
    shutil.copy(copy, old)
    database = Database.open(old, create=False)
    assert database.check() == []
    with database.session() as session:
        assert session.scalars(select(Volume.path)).all() == ["/photos"]
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


def test_an_up_to_date_library_is_not_copied(old):
    Database.open(old).close()
    assert backups(old) == []


@pytest.mark.parametrize("trouble", ["fail", "orphan"])
def test_a_migration_that_goes_wrong_changes_nothing(old, next_version, monkeypatch, trouble):
    monkeypatch.setenv("XMODAL_TEST", trouble)
    with pytest.raises(LibraryError, match=r"library\.db"):
        Database.open(old)
    assert "upright" not in columns(old)
    check_picture(old)
    assert len(backups(old)) == 1


def test_a_migration_that_is_killed_leaves_the_old_tables_and_can_be_repeated(old, scripts):
    killed = subprocess.run(
        [sys.executable, "-c", OPEN, str(old), str(scripts)], input="", text=True,
        env={**os.environ, "XMODAL_TEST": "kill"}, capture_output=True,
    )  # fmt: skip
    assert killed.returncode < 0
    Database.open(old, create=False).close()  # this xmodal knows its own only
    assert "upright" not in columns(old)
    check_picture(old)
    again = subprocess.run(
        [sys.executable, "-c", OPEN, str(old), str(scripts)], input="", text=True,
        capture_output=True,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "upright" in columns(old)
    check_picture(old)


def test_processes_that_open_an_old_library_at_once_migrate_it_once(old, scripts, start_python):
    children = [start_python(OPEN, old, scripts) for _ in range(4)]
    for child in children:
        child.stdout.readline()
    with ThreadPoolExecutor(4) as pool:
        errors = list(pool.map(lambda child: child.communicate("")[1], children))
    assert errors == [""] * 4
    assert len(backups(old)) == 1
    check_picture(old)


def test_a_read_only_library_that_needs_a_migration_says_so(unprivileged_folder, monkeypatch):
    path = unprivileged_folder / "library.db"
    Database.open(path).close()
    unprivileged_folder.chmod(0o555)
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, "9999"))
    with pytest.raises(LibraryError, match="older than this xmodal"):
        Database.open(path)


def test_codes_of_the_first_format_are_found_again_and_damaged_ones_stay_so(path, monkeypatch):
    """A library of revision 0001 with two whole segments and a damaged one."""
    ids = [np.array([1, 5]), np.arange(10, 5000), np.array([9000])]
    engine = create_engine(f"sqlite:///{path}")
    start_file(path)
    with engine.begin() as connection, monkeypatch.context() as old_version:
        old_version.setattr(schema, "REVISIONS", ("0001",))
        schema.migrate_tables(connection)
        connection.execute(
            insert(EncoderRecord).values(id=1, identifier="toy:1", spec="toy", dim=8)
        )
        connection.execute(
            insert(HasherRecord).values(id=1, encoder_id=1, name="itq", bits=64, blob=b"")
        )
        for some in ids:
            planes = some.astype(np.uint64)[None, :] * 3
            segment = pack_segment(some, planes)
            head = np.array([len(some), some[0], some[-1]], "<i8").tobytes()
            whole = head + (segment.ids or b"") + segment.codes
            checksum = hashlib.blake2b(whole, digest_size=16).digest()
            values = {**asdict(segment), "checksum": checksum}
            connection.execute(insert(Segment).values(hasher_id=1, modality="image", **values))
        connection.execute(update(Segment).where(Segment.first_id == 9000).values(codes=bytes(8)))
    engine.dispose()
    database = Database.open(path)
    with database.session() as session:
        loaded = load_codes(session, 1, "image")
    assert [int(i) for found, _ in loaded.batches for i in found] == [*ids[0], *ids[1]]
    for found, planes in loaded.batches:
        assert planes[0].tolist() == [3 * i for i in found]
    (problem,) = loaded.problems
    assert "9000" in problem
    database.close()


def test_a_migration_without_room_for_the_copy_changes_nothing(old, next_version, monkeypatch):
    usage = shutil.disk_usage(old.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DiskFullError, match=r"MB needed, 0\.0 MB free there"):
        Database.open(old)
    assert "upright" not in columns(old)
    assert backups(old) == []
    check_picture(old)


def test_a_copy_replaces_no_other(tmp_path):
    database = Database.open(tmp_path / "library.db")
    first = database.back_up("repair")
    copies = {first, *(database.back_up("repair") for _ in range(3))}
    assert len(copies) == 4
    assert all(Database.open(copy, create=False).check() == [] for copy in copies)
