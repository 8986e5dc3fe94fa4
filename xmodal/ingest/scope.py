"""Which part of the library an index run is about: the volume, the folder, what is known there."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    Select,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from xmodal.errors import UsageError
from xmodal.metadata import READER
from xmodal.store.models import Feature, File, Item, PathText, Volume

T = TypeVar("T")
# Values in one IN (…): far below what any database takes, large enough to be worth the query.
CHUNK = 500
ROWS = 500  # fetched at once


@dataclass(frozen=True, slots=True)
class Scope:
    """A folder of a volume. ``prefix`` leads from the volume to it: empty, or ends in ``/``.

    ``absorbed`` are the prefixes, inside the volume, of volumes that became part of it.
    """

    volume_id: int
    volume: Path
    prefix: str
    absorbed: tuple[str, ...] = ()

    def path(self, relative_path: str) -> Path:
        return self.volume / relative_path


class KnownFile(NamedTuple):
    """The record of a file; ``encoded`` says whether its picture has a feature in this space."""

    id: int
    relative_path: str
    size: int
    mtime_ns: int
    content_hash: bytes | None
    state: str
    reason: str | None
    decoder: str | None
    sidecars: list[list[Any]] | None
    metadata_reader: int | None
    encoded: bool


# What an unchanged file is compared with: size, mtime_ns, sidecars (JSON, or None), and how the
# record stands. A plain tuple: there are as many as files, and of these Python's garbage collector
# need not look at each one again and again.
Standing = tuple[int, int, str | None, int]
# A settled record shows a picture that has a feature in the space, and its metadata was read as it
# is today; a present one shows a picture.
OTHER, MISSING, PRESENT, SETTLED = range(4)


def chunks(values: Collection[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """The values in lists of at most ``size``."""
    listed = list(values)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]


def open_scope(session: Session, root: Path) -> Scope:
    """The scope of ``root`` (absolute, links resolved), in the volume that it belongs to.

    A folder inside a known volume is a part of that volume. A folder around known volumes
    becomes their common volume, and their files get paths relative to it; otherwise a new
    volume begins.
    """
    known = {Path(volume.path): volume.id for volume in session.scalars(select(Volume))}
    for path, volume_id in known.items():
        if root.is_relative_to(path):
            return Scope(volume_id, path, _prefix(root, path))
    volume = Volume(path=str(root))
    session.add(volume)
    session.flush()
    absorbed = []
    for path, volume_id in sorted(known.items()):
        if path.is_relative_to(root):
            prefix = _prefix(path, root)
            absorbed.append(prefix)
            session.execute(
                update(File)
                .where(File.volume_id == volume_id)
                .values(
                    volume_id=volume.id,
                    relative_path=literal(prefix, PathText) + File.relative_path,
                )
                .execution_options(synchronize_session=False)
            )
            session.execute(delete(Volume).where(Volume.id == volume_id))
    return Scope(volume.id, root, "", tuple(absorbed))


def standings(
    session: Session, scope: Scope, encoder_id: int, only: Sequence[str] | None = None
) -> dict[str, Standing]:
    """What is known of the files below the scope, or of ``only``, by path in the volume."""
    table = File.__table__.c
    encoded = exists().where(Feature.encoder_id == encoder_id, Feature.item_id == table.item_id)
    present = table.state == "present"
    # Each feature is of another item: when there are as many as items, no item needs a look.
    every = _count(session, Item.id) == _count(session, Feature.item_id, encoder_id)
    settled = and_(present, table.metadata_reader == READER, true() if every else encoded)
    query = select(
        type_coerce(table.relative_path, Text),
        table.size,
        table.mtime_ns,
        type_coerce(table.sidecars, Text),
        case(
            (settled, SETTLED), (present, PRESENT), (table.state == "missing", MISSING), else_=OTHER
        ),
    )
    found: dict[str, Standing] = {}
    for stored, size, mtime_ns, sidecars, standing in _within(session, query, scope, only):
        path = stored if stored.isascii() else PathText.read(stored)
        found[path] = (size, mtime_ns, sidecars, standing)
    if scope.prefix:  # LIKE ignores case in some databases
        found = {path: each for path, each in found.items() if path.startswith(scope.prefix)}
    return found


def _count(session: Session, column: Any, encoder_id: int | None = None) -> int:
    query = select(func.count(column))
    if encoder_id is not None:
        query = query.where(Feature.encoder_id == encoder_id)
    return session.scalar(query) or 0


def known_files(
    session: Session, scope: Scope, encoder_id: int, only: Sequence[str]
) -> dict[str, KnownFile]:
    """The records of the paths ``only``, by path relative to the volume."""
    query = select(
        File.id,
        File.relative_path,
        File.size,
        File.mtime_ns,
        File.content_hash,
        File.state,
        File.reason,
        File.decoder,
        File.sidecars,
        File.metadata_reader,
        Feature.item_id.is_not(None),
    ).outerjoin(Feature, (Feature.encoder_id == encoder_id) & (Feature.item_id == File.item_id))
    rows = _within(session, query, scope, only)
    return {file.relative_path: file for file in map(KnownFile._make, rows)}


def _within(
    session: Session, query: Select[Any], scope: Scope, only: Sequence[str] | None
) -> Iterator[Any]:
    """The rows of ``query`` that are of files below the scope, or of the paths ``only``."""
    query = query.where(File.volume_id == scope.volume_id)
    if only is None:
        inside = File.relative_path.startswith(scope.prefix, autoescape=True)
        queries = [query.where(inside) if scope.prefix else query]
    else:
        queries = [query.where(File.relative_path.in_(chunk)) for chunk in chunks(only)]
    connection = session.connection()  # rows as they are: objects of their own would cost as much
    for each in queries:
        # A call for each single row would cost more than the row.
        for rows in connection.execute(each).partitions(ROWS):
            yield from rows


def _prefix(inner: Path, outer: Path) -> str:
    relative = inner.relative_to(outer).as_posix()
    return "" if relative == os.curdir else relative + "/"


def existing_roots(paths: Sequence[str | Path]) -> list[tuple[Path, list[Path] | None]]:
    """Each root to walk, with the single pictures meant where a path is a file, not a folder.

    UsageError for no path at all, and for one that does not exist.
    """
    if not paths:
        raise UsageError("name at least one folder or picture to index")
    roots: dict[Path, list[Path] | None] = {}
    for given in paths:
        path = Path(os.path.abspath(Path(given).expanduser()))
        if path.is_dir():
            roots[path] = None
        elif path.is_file():
            if (single := roots.setdefault(path.parent, [])) is not None:
                single.append(path)
        else:
            raise UsageError(f"{path}: no such file or folder")
    return list(roots.items())
