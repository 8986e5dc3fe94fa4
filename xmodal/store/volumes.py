"""Where the folders of a library are now, also when both moved together or a folder moved alone.

A volume has two places: its path when it was last indexed, and the way to it from the library's
folder. While both lead to one place nothing has moved. Where they part, the library was moved or
copied, and the files decide: what lies beside the library is believed if most of a sample of the
files known is there.
"""

import os
from pathlib import Path, PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.store.models import LIVE, File, Volume

_SAMPLE = 64  # files looked for; in the order of their hashes, so from all over the folder
_HOUR_NS = 3_600_000_000_000
# FAT keeps times to two seconds, as the wall clock of whatever zone the computer was in.
_ROUNDED_NS = 2_000_000_000
_ZONES_NS = 26 * _HOUR_NS


def volume_places(session: Session) -> dict[int, Path]:
    """The folder of each volume by its id, where it is, or was when it was last seen."""
    volumes = session.scalars(select(Volume).order_by(Volume.path)).all()
    return {volume.id: _place(session, volume) for volume in volumes}


def settle_volumes(session: Session) -> list[str]:
    """Write down where volumes that moved with the library are; a sentence for each of them."""
    notes = []
    volumes = session.scalars(select(Volume).order_by(Volume.id)).all()
    taken = {volume.path for volume in volumes}
    for volume in volumes:
        place = str(_place(session, volume))
        if place not in taken:
            notes.append(f"{place}: moved here together with the library, from {volume.path}")
            taken.add(place)
            volume.path = place
        way = way_from_library(session, Path(volume.path))
        # The old way is kept while the folder is away: it may lead to it again.
        if volume.from_library != way and holds(session, volume.id, Path(volume.path)):
            volume.from_library = way
    return notes


def moved_volume(session: Session, folder: Path) -> Volume | None:
    """The volume most of whose files are in ``folder`` now, and none where they were.

    Times are compared, too: raw pictures of one camera may all have one size.
    """
    for volume in session.scalars(select(Volume).order_by(Volume.id)).all():
        if (
            _share(session, volume.id, folder, same_times=True) > 0.5
            and _share(session, volume.id, Path(volume.path)) == 0
        ):
            return volume
    return None


def holds(session: Session, volume_id: int, folder: Path) -> bool:
    """Whether most files known of the volume are in ``folder``, judged by paths and sizes."""
    return _share(session, volume_id, folder) > 0.5


def _share(session: Session, volume_id: int, folder: Path, *, same_times: bool = False) -> float:
    """The share of files known of the volume that are in ``folder``, of a sample of them."""
    if not folder.is_dir():
        return 0.0
    sample = session.execute(
        select(File.relative_path, File.size, File.mtime_ns)
        .where(File.volume_id == volume_id, File.state.in_(LIVE))
        .order_by(File.content_hash)
        .limit(_SAMPLE)
    ).all()
    found = 0
    for relative_path, size, mtime_ns in sample:
        try:
            status = os.stat(folder / relative_path)
        except OSError:
            continue
        same = status.st_size == size
        found += same and (not same_times or _same_time(status.st_mtime_ns, mtime_ns))
    return found / len(sample) if sample else 0.0


def way_from_library(session: Session, folder: Path) -> str | None:
    """The path from the library's folder to ``folder``, with ``/``; None from drive to drive."""
    try:
        return Path(os.path.relpath(folder, _home(session))).as_posix()
    except ValueError:  # Windows has no way from one drive to another
        return None


def _place(session: Session, volume: Volume) -> Path:
    path = Path(volume.path)
    if volume.from_library is None:
        return path
    beside = Path(os.path.normpath(_home(session) / PurePosixPath(volume.from_library)))
    return beside if beside != path and holds(session, volume.id, beside) else path


def _home(session: Session) -> Path:
    """The folder in which the library of this session lies, links resolved, as volumes' are."""
    library: Path = session.info["library"]
    return Path(os.path.realpath(library)).parent


def _same_time(one: int, other: int) -> bool:
    apart = abs(one - other)
    rest = apart % _HOUR_NS
    return apart <= _ZONES_NS and min(rest, _HOUR_NS - rest) <= _ROUNDED_NS
