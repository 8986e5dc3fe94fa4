"""Which tables a library has: making them, and migrating those of an older xmodal.

Alembic is imported only where a library is migrated: importing it takes longer than a search.
"""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    select,
)

from xmodal.errors import LibraryError
from xmodal.resources import resource_path
from xmodal.store.models import Base

# The migrations, oldest first; a test compares them with the scripts.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")

# As Alembic makes it, so that a new library needs no Alembic.
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def current_revision(connection: Connection, path: Path) -> str | None:
    """The migration the file is at; None while it has no tables.

    Raises LibraryError for tables without a record of migrations, and for a migration that this
    xmodal does not know.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    found = connection.scalar(select(_VERSION.c.version_num)) if _VERSION.name in tables else None
    if found is None:
        raise LibraryError(
            f"{path}: its record of migrations is missing; restore a backup, or move it away and "
            "index again"
        )
    if found not in REVISIONS:
        raise LibraryError(
            f"{path}: made by a newer xmodal (format {found}, this one knows {REVISIONS[-1]}); "
            "upgrade with `pip install --upgrade xmodal`"
        )
    return found


def create_tables(connection: Connection) -> None:
    """Make the newest tables; a test proves that the migrations lead to the same."""
    Base.metadata.create_all(connection)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION).values(version_num=REVISIONS[-1]))


def differences(connection: Connection) -> Iterator[str]:
    """Where the description of the tables in the file is not the one that it must have."""
    found = inspect(connection)
    names = set(found.get_table_names())
    for table in Base.metadata.sorted_tables:
        if table.name not in names:
            yield f"no table {table.name}"
            continue
        columns = {column["name"] for column in found.get_columns(table.name)}
        keys = {
            (*key["constrained_columns"], key["referred_table"], *key["referred_columns"])
            for key in found.get_foreign_keys(table.name)
        }
        expected = {
            (*key.column_keys, key.referred_table.name, *(e.column.name for e in key.elements))
            for key in table.foreign_key_constraints
        }
        indexes = {index["name"] for index in found.get_indexes(table.name)}
        if columns != set(table.columns.keys()):
            yield f"the columns of {table.name} have other names"
        if keys != expected:
            yield f"the references of {table.name} lead elsewhere"
        if not {index.name for index in table.indexes} <= indexes:
            yield f"an index of {table.name} is missing"


def migrate_tables(connection: Connection, scripts: Path | None = None) -> None:
    """Run all migrations that are missing, within the transaction of ``connection``."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = scripts or resource_path("migrations")
    # Alembic's options are ConfigParser's, where a % of the path must be doubled.
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISIONS[-1])
