"""What a walk tells about known files: which are new, which must be read, which are gone."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from xmodal.errors import NothingThereError
from xmodal.ingest.decode import decoder_versions, picture_suffixes
from xmodal.ingest.report import Failure, IndexCounts
from xmodal.ingest.scope import KnownFile, Scope
from xmodal.ingest.walk import FoundFile, OnError, walk
from xmodal.metadata import READER
from xmodal.metadata.sidecars import Neighbours
from xmodal.store.models import LIVE

_STAYS = "what is indexed from it stays in the library"


def find_pictures(
    root: Path, only: Iterable[Path] | None, counts: IndexCounts
) -> tuple[list[FoundFile], list[str]]:
    """The picture files below ``root``, or just ``only``, and the places that cannot be read.

    Both are relative to ``root``; what cannot be read is added to the failures of ``counts``. Of
    ``only``, folders are walked and what is not there is left out. Raises NothingThereError when
    there is nothing, so that nothing is taken for deleted.
    """
    unread: list[str] = []

    def cannot_read(relative_path: str, error: OSError) -> None:
        reason = f"cannot be read: {error.strerror or error}"
        counts.failures.append(Failure(root / relative_path, reason))
        if not isinstance(error, FileNotFoundError):
            unread.append(relative_path)

    if not root.is_dir():
        raise NothingThereError(f"{root}: no such folder; {_STAYS}")
    if only is not None:
        return list(_named(root, only, cannot_read)), unread
    found = list(walk(root, cannot_read))
    if not found:
        why = counts.failures[-1].reason if unread else f"holds no pictures ({_suffixes()})"
        raise NothingThereError(f"{root}: {why}; {_STAYS}")
    return found, unread


def _named(root: Path, paths: Iterable[Path], on_error: OnError) -> Iterator[FoundFile]:
    folders: dict[Path, Neighbours] = {}
    for path in paths:
        relative = path.relative_to(root).as_posix()
        if path.is_dir():
            yield from _walk_inner(path, relative, on_error)
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.parent not in folders:
            folders[path.parent] = Neighbours.in_folder(path.parent)
        sidecars = folders[path.parent].of(path.name)
        yield FoundFile(relative, status.st_size, status.st_mtime_ns, sidecars)


def _walk_inner(folder: Path, prefix: str, on_error: OnError) -> Iterator[FoundFile]:
    def cannot_read(inner: str, error: OSError) -> None:
        on_error(f"{prefix}/{inner}" if inner else prefix, error)

    for file in walk(folder, cannot_read):
        yield file._replace(relative_path=f"{prefix}/{file.relative_path}")


def _suffixes() -> str:
    return ", ".join(f".{suffix}" for suffix in sorted(picture_suffixes()))


def must_describe(record: KnownFile, file: FoundFile) -> bool:
    """Whether what is written in or beside a file that need not be read otherwise may be new."""
    if record.state not in LIVE:
        return False
    sidecars = [list(sidecar) for sidecar in file.sidecars]
    return record.metadata_reader != READER or (record.sidecars or []) != sidecars


def must_read(record: KnownFile, file: FoundFile) -> bool:
    """Whether size, time or state say that the file's content is not known in this space."""
    if (record.size, record.mtime_ns) != (file.size, file.mtime_ns):
        return True
    if record.state == "failed":
        return record.decoder != decoder_versions()
    return record.state not in LIVE or not record.encoded


class Lost(NamedTuple):
    """Records whose files were not found: deleted, or away with the drive they lie on."""

    deleted: list[KnownFile]
    away: list[KnownFile]


def vanished(
    scope: Scope,
    known: dict[str, KnownFile],
    lost: dict[str, KnownFile],
    unread: Sequence[str],
    counts: IndexCounts,
) -> Lost:
    """What a walk of the whole scope did not find, and not because it is out of reach.

    Where nothing is left of what was known below the folder, or below a former volume, it is
    more likely that a drive is not mounted than that everything was deleted.
    """
    gone = _in_reach(lost, unread)
    away: list[KnownFile] = []
    for prefix in (*scope.absorbed, scope.prefix):
        inside = [r for r in gone if r.state in LIVE and r.relative_path.startswith(prefix)]
        if inside and len(inside) == sum(
            r.state in LIVE and r.relative_path.startswith(prefix) for r in known.values()
        ):
            counts.notes.append(
                f"{scope.path(prefix)}: none of the {len(inside):,} pictures known there was "
                "found; is the drive mounted? They stay in the library"
            )
            gone = [record for record in gone if not record.relative_path.startswith(prefix)]
            away += inside
    return Lost(gone, away)


def removed(root: Path, lost: dict[str, KnownFile], unread: Sequence[str]) -> Lost:
    """What is no longer there of named files and folders below ``root``.

    Where nothing at all is left in ``root``, its drive was taken away.
    """
    gone = _in_reach(lost, unread)
    try:
        left = any(root.iterdir())
    except OSError:
        left = False
    return Lost(gone, []) if left else Lost([], gone)


def _in_reach(lost: dict[str, KnownFile], unread: Sequence[str]) -> list[KnownFile]:
    """The records that are not missing yet, but for those in places that cannot be read."""
    below = tuple(path and path + "/" for path in unread)
    return [
        record
        for record in lost.values()
        if record.state != "missing"
        and record.relative_path not in unread
        and not record.relative_path.startswith(below)
    ]
