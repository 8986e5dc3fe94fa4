"""What a walk tells about known files: which are new, which must be read, which are gone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from xmodal.errors import UsageError
from xmodal.ingest.decode import decoder_versions, picture_suffixes
from xmodal.ingest.report import Failure, IndexCounts
from xmodal.ingest.scope import KnownFile, Scope
from xmodal.ingest.walk import FoundFile, walk
from xmodal.metadata import READER
from xmodal.metadata.sidecars import Neighbours


def find_pictures(
    root: Path, only: Iterable[Path] | None, counts: IndexCounts
) -> tuple[list[FoundFile], list[str]]:
    """The picture files below ``root``, or just ``only``, and the places that cannot be read.

    Both are relative to ``root``; what cannot be read is added to the failures of ``counts``.
    Raises UsageError when there is nothing, so that nothing is taken for deleted.
    """
    unread: list[str] = []

    def cannot_read(relative_path: str, error: OSError) -> None:
        reason = f"cannot be read: {error.strerror or error}"
        counts.failures.append(Failure(root / relative_path, reason))
        if not isinstance(error, FileNotFoundError):
            unread.append(relative_path)

    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; what is indexed from it stays in the library")
    if only is not None:
        return _named(root, only), unread
    found = list(walk(root, cannot_read))
    if not found:
        why = counts.failures[-1].reason if unread else f"holds no pictures ({_suffixes()})"
        raise UsageError(f"{root}: {why}; what is indexed from it stays in the library")
    return found, unread


def _named(root: Path, paths: Iterable[Path]) -> list[FoundFile]:
    folders: dict[Path, Neighbours] = {}
    found = []
    for path in paths:
        status = path.stat()
        if path.parent not in folders:
            folders[path.parent] = Neighbours.in_folder(path.parent)
        sidecars = folders[path.parent].of(path.name)
        relative = path.relative_to(root).as_posix()
        found.append(FoundFile(relative, status.st_size, status.st_mtime_ns, sidecars))
    return found


def _suffixes() -> str:
    return ", ".join(f".{suffix}" for suffix in sorted(picture_suffixes()))


def must_describe(record: KnownFile, file: FoundFile) -> bool:
    """Whether what is written in or beside a file that need not be read otherwise may be new."""
    if record.state != "present":
        return False
    sidecars = [list(sidecar) for sidecar in file.sidecars]
    return record.metadata_reader != READER or (record.sidecars or []) != sidecars


def must_read(record: KnownFile, file: FoundFile) -> bool:
    """Whether size, time or state say that the file's content is not known in this space."""
    if (record.size, record.mtime_ns) != (file.size, file.mtime_ns):
        return True
    if record.state == "failed":
        return record.decoder != decoder_versions()
    return record.state != "present" or not record.encoded


def vanished(
    scope: Scope,
    known: dict[str, KnownFile],
    lost: dict[str, KnownFile],
    unread: Sequence[str],
    counts: IndexCounts,
) -> list[KnownFile]:
    """The records to mark missing: not found, and not merely out of reach.

    Where nothing is left of what was known below the folder, or below a former volume, it is
    more likely that a drive is not mounted than that everything was deleted.
    """
    gone = [record for record in lost.values() if record.state in ("present", "failed")]
    if unread:
        below = tuple(path and path + "/" for path in unread)
        gone = [
            r for r in gone if not (r.relative_path in unread or r.relative_path.startswith(below))
        ]
    for prefix in (*scope.absorbed, scope.prefix):
        inside = [r for r in gone if r.state == "present" and r.relative_path.startswith(prefix)]
        if inside and len(inside) == sum(
            r.state == "present" and r.relative_path.startswith(prefix) for r in known.values()
        ):
            counts.notes.append(
                f"{scope.path(prefix)}: none of the {len(inside):,} pictures known there was "
                "found; is the drive mounted? They stay in the library"
            )
            gone = [record for record in gone if not record.relative_path.startswith(prefix)]
    return gone
