"""Which part of the library an index run is about: the volume, the folder, what is known there."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from xmodal.errors import UsageError
from xmodal.metadata import READER
from xmodal.store.chunks import chunks
from xmodal.store.models import LIVE, Feature, File, Item, PathText, Volume
from xmodal.store.volumes import moved_volume, settle_volumes, volume_places, way_from_library

ROWS = 500  # fetched at once
# Paths in one condition, each of which may be a folder.
_TERMS = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """A folder of a volume. ``prefix`` leads from the volume to it: empty, or ends in ``/``.

    ``drives`` are the prefixes, inside the volume, of other drives than that of the volume, and of
    volumes that became part of it.
    """

    volume_id: int
    volume: Path
    prefix: str
    drives: tuple[str, ...] = ()

    def path(self, relative_path: str) -> Path:
        return self.volume / relative_path

    def drives_away(self) -> list[str]:
        """Those of the drives in this folder that are not there now, the innermost first."""
        inside = [drive for drive in self.drives if drive.startswith(self.prefix)]
        away = [drive for drive in inside if not _begins_drive(self.path(drive))]
        return sorted(away, key=len, reverse=True)

    def files(self) -> ColumnElement[bool]:
        """The condition that a file belongs to it."""
        inside = File.volume_id == self.volume_id
        if not self.prefix:
            return inside
        # LIKE would ignore case in some databases.
        start = func.substr(File.relative_path, 1, len(self.prefix), type_=PathText)
        return and_(inside, start == self.prefix)


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
# is today; a present one shows a picture, perhaps of a drive that was away.
OTHER, MISSING, PRESENT, SETTLED = range(4)


def scopes_of(session: Session, folder: Path) -> list[Scope]:
    """What the library knows in a folder (absolute, links resolved): the innermost volume that
    holds it, or else each volume inside it.
    """
    places = volume_places(session)
    around = [(path, i) for i, path in places.items() if folder.is_relative_to(path)]
    if around:
        path, volume_id = max(around, key=lambda place: len(place[0].parts))
        return [Scope(volume_id, path, _prefix(folder, path), _drives(session, volume_id))]
    return [Scope(i, path, "") for i, path in places.items() if path.is_relative_to(folder)]


def open_scope(session: Session, root: Path, notes: list[str]) -> Scope:
    """The scope of ``root`` (absolute, links resolved), in the volume that it belongs to.

    A folder inside a known volume is a part of that volume. A folder around known volumes
    becomes their common volume, and their files get paths relative to it. A folder with the files
    of a volume that are no longer where they were is that volume, moved. Otherwise a new volume
    begins. ``notes`` receives a sentence for each volume that moved.
    """
    notes += settle_volumes(session)
    scopes = scopes_of(session, root)
    if len(scopes) == 1 and root.is_relative_to(scopes[0].volume):
        return scopes[0]
    way = way_from_library(session, root)
    if not scopes and (moved := moved_volume(session, root)) is not None:
        notes.append(f"{root}: the pictures that were in {moved.path}; the library follows them")
        moved.path, moved.from_library = str(root), way
        return Scope(moved.id, root, "", tuple(moved.drives or ()))
    volume = Volume(path=str(root), from_library=way)
    session.add(volume)
    session.flush()
    known = {scope.volume: scope.volume_id for scope in scopes}
    drives = []
    for path, volume_id in sorted(known.items()):
        prefix = _prefix(path, root)
        drives += [prefix, *(prefix + drive for drive in _drives(session, volume_id))]
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
    return Scope(volume.id, root, "", tuple(drives))


def _drives(session: Session, volume_id: int) -> tuple[str, ...]:
    volume = session.get(Volume, volume_id)
    return tuple(volume.drives or ()) if volume is not None else ()


def _begins_drive(folder: Path) -> bool:
    """Whether a folder that is there lies on another drive than the folder around it."""
    try:
        return os.stat(folder).st_dev != os.stat(folder.parent).st_dev
    except OSError:
        return False


def is_empty(folder: Path) -> bool:
    """Whether nothing can be seen in a folder, or no such folder."""
    try:
        return not any(folder.iterdir())
    except OSError:
        return True


def keep_drives(session: Session, scope: Scope, found: Iterable[str]) -> None:
    """Remember that other drives begin at ``found``, relative to the scope, and where one may be
    away: a place with files in it belongs to the folder around it by now."""
    volume = session.get_one(Volume, scope.volume_id)
    kept = [
        drive
        for drive in scope.drives
        if not drive.startswith(scope.prefix) or is_empty(scope.path(drive))
    ]
    drives = sorted({*kept, *(scope.prefix + drive for drive in found)})
    if drives != (volume.drives or []):
        volume.drives = drives


def standings(
    session: Session, scope: Scope, encoder_id: int, only: Sequence[str] | None = None
) -> dict[str, Standing]:
    """What is known of the files below the scope, or at and below ``only``, by path."""
    table = File.__table__.c
    encoded = exists().where(Feature.encoder_id == encoder_id, Feature.item_id == table.item_id)
    live = table.state.in_(LIVE)
    # Each feature is of another item: when there are as many as items, no item needs a look.
    every = _count(session, Item.id) == _count(session, Feature.item_id, encoder_id)
    settled = and_(
        table.state == "present", table.metadata_reader == READER, true() if every else encoded
    )
    query = select(
        type_coerce(table.relative_path, Text),
        table.size,
        table.mtime_ns,
        type_coerce(table.sidecars, Text),
        case((settled, SETTLED), (live, PRESENT), (table.state == "missing", MISSING), else_=OTHER),
    )
    found: dict[str, Standing] = {}
    if only is None:
        inside = File.relative_path.startswith(scope.prefix, autoescape=True)
        wanted = [inside if scope.prefix else true()]
    else:
        wanted = [or_(*map(_at_or_below, chunk)) for chunk in chunks(only, _TERMS)]
    for stored, size, mtime_ns, sidecars, standing in _rows(session, query, scope, wanted):
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
    wanted = [File.relative_path.in_(chunk) for chunk in chunks(only)]
    rows = _rows(session, query, scope, wanted)
    return {file.relative_path: file for file in map(KnownFile._make, rows)}


def _rows(
    session: Session, query: Select[Any], scope: Scope, wanted: Iterable[ColumnElement[bool]]
) -> Iterator[Any]:
    """The rows of ``query`` for files of the volume that meet one of the conditions."""
    connection = session.connection()  # rows as they are: objects of their own would cost as much
    for condition in wanted:
        each = query.where(File.volume_id == scope.volume_id, condition)
        # A call for each single row would cost more than the row.
        for rows in connection.execute(each).partitions(ROWS):
            yield from rows


def _at_or_below(path: str) -> ColumnElement[bool]:
    # An index finds a range, and "0" is what follows "/".
    below = and_(File.relative_path > path + "/", File.relative_path < path + "0")
    return or_(File.relative_path == path, below)


def _prefix(inner: Path, outer: Path) -> str:
    relative = inner.relative_to(outer).as_posix()
    return "" if relative == os.curdir else relative + "/"


def roots_of(
    paths: Sequence[str | Path], known: Collection[Path]
) -> list[tuple[Path, list[Path] | None]]:
    """Each root to walk, with the single pictures meant where a path is a file, not a folder.

    Without ``paths`` these are the ``known`` volumes. UsageError where there are none, and for a
    path that does not exist and never held pictures of the library.
    """
    if not paths:
        if not known:
            raise UsageError("name at least one folder or picture to index")
        return [(volume, None) for volume in known]
    roots: dict[Path, list[Path] | None] = {}
    for given in paths:
        path = Path(os.path.abspath(Path(given).expanduser()))
        if path.is_dir():
            roots[path] = None
        elif path.is_file():
            if (single := roots.setdefault(path.parent, [])) is not None:
                single.append(path)
        elif path.exists():
            raise UsageError(f"{path}: neither a folder nor a file; name one of them")
        elif _is_of(Path(os.path.realpath(path)), known):
            roots[path] = None
        else:
            raise UsageError(f"{path}: no such file or folder")
    return list(roots.items())


def _is_of(path: Path, volumes: Collection[Path]) -> bool:
    """Whether the path may be that of a drive that is away, as far as names tell."""
    return any(path.is_relative_to(v) or v.is_relative_to(path) for v in volumes)
