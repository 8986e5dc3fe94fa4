"""The files themselves, compared with what the library knows of them; each is read once."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from xmodal.doctor.checks import Damage, some
from xmodal.ingest.decode import upright_size
from xmodal.ingest.identity import content_hash
from xmodal.ingest.report import Progress
from xmodal.store.database import Database
from xmodal.store.models import Feature, File, HasherRecord, Item, Volume
from xmodal.store.segments import delete_codes

# Files whose records are in memory at a time, and how many are read at once.
_BATCH = 256
_THREADS = min(8, os.cpu_count() or 1)
_NAMED = 5

OnProgress = Callable[[Progress], None]


class _Record(NamedTuple):
    id: int
    path: Path
    size: int
    mtime_ns: int
    content_hash: bytes | None
    item_id: int
    width: int | None
    height: int | None


class _Sideways(NamedTuple):
    """A picture that was encoded as it is stored, not upright, and its upright size."""

    item_id: int
    width: int
    height: int


class FileCheck:
    """Reads the files of a library; ``notes`` has what is no damage, when all were read."""

    def __init__(self, progress: OnProgress | None = None) -> None:
        self.notes: list[str] = []
        self._progress = progress

    def __call__(self, session: Session) -> Iterator[Damage]:
        """Files that changed without a trace, and pictures that lie on their side."""
        rotten: list[Path] = []
        sideways: list[_Sideways] = []
        counts = {"not there": 0, "changed since they were indexed": 0, "cannot be read": 0}
        for record, found in self._look(session):
            if isinstance(found, _Sideways):
                sideways.append(found)
            elif found == "rotten":
                rotten.append(record.path)
            elif found is not None:
                counts[found] += 1
        self.notes += [
            f"{some(count, 'file')} {state}; `xmodal index` brings the library up to date"
            for state, count in counts.items()
            if count
        ]
        if rotten:
            yield Damage(
                "changed file",
                len(rotten),
                f"{some(len(rotten), 'file')} changed although size and time did not, as a damaged "
                f"disk does: {', '.join(map(str, rotten[:_NAMED]))}"
                + (f" and {len(rotten) - _NAMED:,} more" if len(rotten) > _NAMED else ""),
                "compare with a backup of your pictures; where the change was meant, `touch` the "
                "file and index again",
            )
        if sideways:
            yield Damage(
                "sideways picture",
                len(sideways),
                f"{some(len(sideways), 'picture')} encoded on the side, by an xmodal that did not "
                f"turn them upright, the first is item {sideways[0].item_id}",
                "features and codes are removed; the next `xmodal index` on these folders encodes "
                "the pictures upright",
                partial(_turn, pictures=sideways),
            )

    def _look(self, session: Session) -> Iterator[tuple[_Record, "_Sideways | str | None"]]:
        there = self._volumes(session)
        mine = (File.state == "present", File.volume_id.in_(there), File.content_hash.is_not(None))
        total = session.scalar(select(func.count(File.id)).where(*mine)) or 0
        query = (
            select(
                File.id, Volume.path, File.relative_path, File.size, File.mtime_ns,
                File.content_hash, Item.id, Item.width, Item.height,
            )
            .join(Volume, Volume.id == File.volume_id)
            .join(Item, Item.id == File.item_id)
            .where(*mine)
            .order_by(File.id)
            .limit(_BATCH)
        )  # fmt: skip
        done = last = 0
        with ThreadPoolExecutor(_THREADS) as pool:
            while rows := session.execute(query.where(File.id > last)).all():
                records = [_Record(row[0], Path(row[1]) / row[2], *row[3:]) for row in rows]
                for record, found in zip(records, pool.map(_look_at, records), strict=True):
                    yield record, found
                    done += 1
                    if self._progress:
                        self._progress(Progress(done, total, record.path, 0))
                last = records[-1].id

    def _volumes(self, session: Session) -> list[int]:
        """The folders that can be reached; a note on each other one."""
        there = []
        for volume in session.scalars(select(Volume)):
            if Path(volume.path).is_dir():
                there.append(volume.id)
            else:
                self.notes.append(f"{volume.path}: not there now, so its files were not looked at")
        return there


def _look_at(record: _Record) -> _Sideways | str | None:
    """What is wrong with a file; None if nothing is."""
    expected = record.size, record.mtime_ns
    try:
        with record.path.open("rb") as stream:
            if _status(stream.fileno()) != expected:
                return "changed since they were indexed"
            digest = content_hash(stream)
            if _status(stream.fileno()) != expected:
                return "changed since they were indexed"
            if digest != record.content_hash:
                return "rotten"
            stream.seek(0)
            upright = upright_size(stream)
    except FileNotFoundError:
        return "not there"
    except OSError:
        return "cannot be read"
    stored = record.width, record.height
    if upright is None or upright == stored or upright[::-1] != stored:
        return None
    return _Sideways(record.item_id, *upright)


def _status(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_size, status.st_mtime_ns


def _turn(database: Database, pictures: Sequence[_Sideways]) -> None:
    """Set the upright sizes and remove features and codes, of every space."""
    ids = np.array(sorted({picture.item_id for picture in pictures}), np.int64)
    with database.transaction() as session:
        for hasher_id in session.scalars(select(HasherRecord.id)).all():
            delete_codes(session, hasher_id, "image", ids)
        for item_id, width, height in set(pictures):
            session.execute(
                update(Item).where(Item.id == item_id).values(width=width, height=height)
            )
            session.execute(delete(Feature).where(Feature.item_id == item_id))
