"""What a walk tells about known files: which are new, which must be read, which are gone."""

import errno
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.orm import Session

from xmodal.errors import NothingThereError, UsageError
from xmodal.ingest.decode import decoder_versions, picture_suffixes
from xmodal.ingest.patterns import Selection
from xmodal.ingest.report import Failure, IndexCounts
from xmodal.ingest.scope import (
    MISSING,
    OTHER,
    PRESENT,
    SETTLED,
    KnownFile,
    Scope,
    Standing,
    is_empty,
    known_files,
    standings,
)
from xmodal.ingest.walk import FoundFile, OnError, walk
from xmodal.metadata import READER
from xmodal.metadata.sidecars import Neighbours, Sidecar
from xmodal.store.models import LIVE

_STAYS = "what is indexed from it stays in the library"
_UNKNOWN: Standing = (0, 0, None, OTHER)


class Comparison(NamedTuple):
    """What is found, beside what is known of it.

    ``pending`` of the ``total`` files must be read, in the order of the walk; of those in
    ``same``, whose content hash is known, only the metadata. ``back`` are the records of unchanged
    files on a drive that was away. ``before`` has what was known below
    the scope, by path; ``known`` the whole records of those files that are not simply unchanged,
    and ``lost`` of those among them that the run is about and that were not found.
    """

    total: int
    pending: list[FoundFile]
    same: dict[str, bytes]
    back: list[int]
    before: dict[str, Standing]
    known: dict[str, KnownFile]
    lost: dict[str, KnownFile]


def find_pictures(
    root: Path,
    only: Iterable[Path] | None,
    selection: Selection | None,
    counts: IndexCounts,
    unread: list[str],
    drives: list[str],
) -> Iterator[FoundFile]:
    """The picture files below ``root``, or just ``only``, in the order of the walk.

    Of ``only``, folders are walked and what is not there is left out; without a ``selection`` its
    files are read whatever their names.

    What cannot be read is added to the failures of ``counts`` and, if there may be pictures that
    are merely out of reach, to ``unread``, relative to ``root``; what a walk finds of ``drives`` is
    added to these. Of a walk the first
    step raises NothingThereError when there is nothing, so that nothing is taken for deleted, and
    UsageError when patterns leave nothing.
    """

    def cannot_read(relative_path: str, error: OSError) -> None:
        reason = f"cannot be read: {error.strerror or error}"
        counts.failures.append(Failure(root / relative_path, reason))
        # What was listed a moment ago and is gone may be on a drive that was pulled out. A link
        # that leads nowhere is only that.
        if not (isinstance(error, FileNotFoundError) and (root / relative_path).is_symlink()):
            unread.append(relative_path)

    if not root.is_dir():
        raise NothingThereError(f"{root}: no such folder; {_STAYS}")
    if only is not None:
        yield from _named(root, only, selection, cannot_read)
        return
    before = root.stat()
    selection = selection or Selection(root)
    found = walk(root, cannot_read, selection, drives=drives)
    first = next(found, None)
    if first is None:
        if selection.skipped:
            raise UsageError(f"{root}: holds no pictures that the patterns leave; {_STAYS}")
        why = counts.failures[-1].reason if unread else f"holds no pictures ({_suffixes()})"
        raise NothingThereError(f"{root}: {why}; {_STAYS}")
    yield first
    yield from found
    if not root.is_dir() or not os.path.samestat(before, root.stat()):
        cannot_read("", OSError(errno.ESTALE, "not the folder any more that it was at first"))


def compare(
    session: Session,
    scope: Scope,
    encoder_id: int,
    found: Iterable[FoundFile],
    selection: Selection,
    counts: IndexCounts,
    only: Sequence[str] | None = None,
) -> Comparison:
    """Tell the files that must be read from the unchanged ones, and find out which are gone.

    ``found`` are relative to the scope; they are all that is there, or all that is there at and
    below the paths ``only``, relative to the volume. Unchanged files, and those that failed and
    would fail again, are added to ``counts``.
    """
    prefix = scope.prefix
    before = standings(session, scope, encoder_id, only)
    left = before.copy()
    unchanged = 0
    doubtful = []
    # One step for each file of a folder that nothing happened to: these are to cost as little as
    # finding them does, in time and memory.
    for file in found:
        relative, size, mtime_ns, sidecars = file
        path = prefix + relative
        known_size, known_mtime_ns, beside, standing = left.pop(path, _UNKNOWN)
        if (
            standing == SETTLED
            and size == known_size
            and mtime_ns == known_mtime_ns
            and (not (beside or sidecars) or _same_sidecars(beside, sidecars))
        ):
            unchanged += 1
            continue
        doubtful.append(FoundFile(path, size, mtime_ns, sidecars))
    total = unchanged + len(doubtful)
    gone = [path for path in left if selection.means(path[len(prefix) :])]
    if not doubtful:  # then no file is one that went missing before, under another name
        gone = [path for path in gone if before[path][3] != MISSING]
    doubted = [file.relative_path for file in doubtful if file.relative_path in before]
    known = known_files(session, scope, encoder_id, doubted + gone)

    pending: list[FoundFile] = []
    same: dict[str, bytes] = {}
    back: list[int] = []
    for file in doubtful:
        record = known.get(file.relative_path)
        if record is None or must_read(record, file):
            pending.append(file)
        elif must_describe(record, file) and record.content_hash is not None:
            pending.append(file)
            same[file.relative_path] = record.content_hash
        elif record.state == "failed":
            counts.failures.append(Failure(scope.path(file.relative_path), record.reason or ""))
        else:
            unchanged += 1
            if record.state == "offline":
                back.append(record.id)
    counts.unchanged += unchanged
    return Comparison(
        total, pending, same, back, before, known, {path: known[path] for path in gone}
    )


def _same_sidecars(known: str | None, found: Sequence[Sidecar]) -> bool:
    return json.loads(known or "[]") == [list(sidecar) for sidecar in found]


def _named(
    root: Path, paths: Iterable[Path], selection: Selection | None, on_error: OnError
) -> Iterator[FoundFile]:
    folders: dict[Path, Neighbours] = {}
    for path in paths:
        relative = path.relative_to(root).as_posix()
        if path.is_dir():
            yield from walk(root, on_error, selection, relative)
            continue
        try:
            if path.parent not in folders:
                folders[path.parent] = Neighbours.in_folder(path.parent)
                if selection is not None:
                    selection.approach(root, relative)
            status = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            on_error(relative, error)
            continue
        if selection is not None and (
            selection.leaves_out(relative) or not selection.means(relative)
        ):
            continue
        sidecars = folders[path.parent].of(path.name)
        yield FoundFile(relative, status.st_size, status.st_mtime_ns, sidecars)


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
    compared: Comparison,
    unread: Collection[str],
    selection: Selection,
    counts: IndexCounts,
) -> Lost:
    """What a walk of the whole scope did not find, and not because it is out of reach.

    Where nothing is left of what was known below the folder, or where another drive was, it is
    more likely that a drive is not mounted than that everything was deleted. What the selection
    leaves out is neither: it goes because the user says so.
    """
    left_out: list[KnownFile] = []
    rest: list[KnownFile] = []
    for record in compared.lost.values():
        inside_root = record.relative_path[len(scope.prefix) :]
        (left_out if selection.leaves_out(inside_root) else rest).append(record)
    left_out = _in_reach(left_out, ())
    gone = _in_reach(rest, unread)
    away: list[KnownFile] = []
    for prefix in (*scope.drives_away(), scope.prefix):
        inside = [r for r in gone if r.state in LIVE and r.relative_path.startswith(prefix)]
        if inside and not any(
            standing in (PRESENT, SETTLED)
            and path.startswith(prefix)
            and path not in compared.lost
            and selection.means(path[len(scope.prefix) :])
            for path, (_, _, _, standing) in compared.before.items()
        ):
            counts.notes.append(
                f"{scope.path(prefix)}: none of the {len(inside):,} pictures known there was "
                "found; is the drive mounted? They stay in the library"
            )
            gone = [record for record in gone if not record.relative_path.startswith(prefix)]
            away += inside
    if left_out:
        counts.notes.append(
            f"{scope.path(scope.prefix)}: {len(left_out):,} pictures that were in the library are "
            "left out now; a run that takes them in again need not decode them"
        )
    return Lost(gone + left_out, away)


def removed(scope: Scope, root: Path, lost: Iterable[KnownFile], unread: Collection[str]) -> Lost:
    """What is no longer there of named files and folders below ``root``.

    Where nothing at all is left in ``root``, or where another drive was, that was taken away.
    """
    gone = _in_reach(lost, unread)
    if is_empty(root):
        return Lost([], gone)
    empty = tuple(drive for drive in scope.drives_away() if is_empty(scope.path(drive)))
    return Lost(
        [record for record in gone if not record.relative_path.startswith(empty)],
        [record for record in gone if record.relative_path.startswith(empty)],
    )


def _in_reach(lost: Iterable[KnownFile], unread: Collection[str]) -> list[KnownFile]:
    """The records that are not missing yet, but for those in places that cannot be read."""
    below = tuple(path and path + "/" for path in unread)
    return [
        record
        for record in lost
        if record.state != "missing"
        and record.relative_path not in unread
        and not record.relative_path.startswith(below)
    ]
