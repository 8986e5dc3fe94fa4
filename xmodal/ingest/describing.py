"""What metadata says about the pictures of a batch, written to the library beside them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from xmodal.ingest.coding import CodeSpace
from xmodal.ingest.reading import FileMetadata
from xmodal.ingest.words import KEYWORD, PERSON, PLACE, Words, replace_words
from xmodal.metadata import Metadata, Sidecar, combine, read_sidecars
from xmodal.sources import METADATA
from xmodal.store.chunks import chunks
from xmodal.store.models import LIVE, Capture, File, Volume
from xmodal.store.volumes import volume_places


class Description(NamedTuple):
    """What was read of one file: the picture that it shows, its volume and path, and its words."""

    item_id: int
    place: tuple[int, str]
    sidecars: Sequence[Sidecar]
    metadata: FileMetadata


def describe_pictures(
    session: Session, space: CodeSpace, descriptions: Sequence[Description]
) -> int:
    """Replace all that metadata said about these pictures; returns how many words are new.

    What a captions file said stays. A picture in several files is described by the sidecars of
    all of them; those of files that are not among ``descriptions`` are read here.
    """
    by_item: dict[int, list[Description]] = {}
    for description in descriptions:
        by_item.setdefault(description.item_id, []).append(description)
    if not by_item:
        return 0
    copies = _copies(session, set(by_item), {d.place for d in descriptions})
    told: dict[int, Metadata] = {}
    away: list[int] = []
    for item_id, own in by_item.items():
        sidecars = [sidecar for d in own for sidecar in d.sidecars]
        beside = [metadata for d in own for metadata in d.metadata.beside]
        for copy in copies.get(item_id, ()):
            sidecars += copy.sidecars
            beside += read_sidecars(copy.folder, copy.sidecars)
            if not copy.folder.is_dir():
                away.append(copy.file_id)
        told[item_id] = combine(own[0].metadata.embedded, sidecars, beside)
    _write_captures(session, told)
    # Words of a drive that is not mounted come back with it.
    read_again(session, File.id, away)
    added, _ = replace_words(session, space, set(told), METADATA, _words(told))
    return added


def read_copies_again(session: Session, left: Mapping[int, int | None]) -> None:
    """Let the next run read the metadata of pictures that a file with sidecars no longer shows.

    ``left`` has the picture that each of these files shows from now on. Other files may show the
    one it leaves, which would keep words of a sidecar that no longer belongs to it.
    """
    items = set()
    for chunk in chunks(list(left)):
        rows = session.execute(
            select(File.id, File.item_id).where(File.id.in_(chunk), File.sidecars.is_not(None))
        )
        items |= {item for file, item in rows if item is not None and item != left[file]}
    read_again(session, File.item_id, items)


def read_again(session: Session, column: Any, values: Collection[int]) -> None:
    """Let the next run read the metadata of the files whose ``column`` has one of ``values``."""
    for chunk in chunks(values):
        session.execute(
            update(File)
            .where(column.in_(chunk))
            .values(metadata_reader=None)
            .execution_options(synchronize_session=False)
        )


class _Copy(NamedTuple):
    """Another file that shows a picture, and the sidecars in its folder."""

    file_id: int
    folder: Path
    sidecars: list[Sidecar]


def _copies(
    session: Session, items: Collection[int], known: Collection[tuple[int, str]]
) -> dict[int, list[_Copy]]:
    """The other files with sidecars that show ``items``, in the order of their paths."""
    found: dict[int, list[_Copy]] = {}
    places = volume_places(session)
    for chunk in chunks(items):
        rows = session.scalars(
            select(File)
            .join(Volume, Volume.id == File.volume_id)
            .where(File.item_id.in_(chunk), File.state.in_(LIVE), File.sidecars.is_not(None))
            .order_by(Volume.path, File.relative_path)
        )
        for file in rows:
            place = file.volume_id, file.relative_path
            if file.item_id is not None and file.sidecars and place not in known:
                folder = (places[file.volume_id] / file.relative_path).parent
                copy = _Copy(file.id, folder, [Sidecar(*each) for each in file.sidecars])
                found.setdefault(file.item_id, []).append(copy)
    return found


def _words(told: Mapping[int, Metadata]) -> Words:
    captions = {(i, text, source) for i, m in told.items() for text, source in m.captions}
    keywords: dict[tuple[int, str, str], str] = {}
    for item_id, metadata in told.items():
        # One word may be written as several kinds: then it is a person, or else a place.
        kinds = ((KEYWORD, metadata.keywords), (PLACE, metadata.places), (PERSON, metadata.people))
        for kind, words in kinds:
            for text, source in words:
                keywords[item_id, text, source] = kind
    return Words(captions, keywords)


def _write_captures(session: Session, told: Mapping[int, Metadata]) -> None:
    for chunk in chunks(list(told)):
        session.execute(
            delete(Capture)
            .where(Capture.item_id.in_(chunk))
            .execution_options(synchronize_session=False)
        )
    captures = {item_id: _capture(metadata) for item_id, metadata in sorted(told.items())}
    rows = [
        {"item_id": item_id, **capture}
        for item_id, capture in captures.items()
        if any(value is not None for value in capture.values())
    ]
    if rows:
        session.execute(insert(Capture), rows)


def _capture(metadata: Metadata) -> dict[str, Any]:
    taken = metadata.taken
    offset = taken.utcoffset() if taken else None
    return {
        "taken_at": taken.replace(tzinfo=None) if taken else None,
        "taken_offset": None if offset is None else round(offset.total_seconds() / 60),
        "latitude": metadata.latitude,
        "longitude": metadata.longitude,
        "rating": metadata.rating,
        "camera": metadata.camera,
        "lens": metadata.lens,
    }
