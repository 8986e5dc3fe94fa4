"""One batch of an index run as database changes; the caller's transaction makes it all or nothing.

What holds before and after each of these functions: a picture has a code of the run's hasher if,
and only if, a file that is present or offline shows it and it has a feature in the run's space.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from xmodal.encoders.base import Features
from xmodal.ingest.coding import CodeSpace, update_codes
from xmodal.ingest.describing import Description, describe_pictures, read_copies_again
from xmodal.ingest.reading import FileMetadata, FramePlace
from xmodal.ingest.scope import Scope
from xmodal.metadata import READER, Sidecar
from xmodal.store.chunks import chunks
from xmodal.store.features import write_features
from xmodal.store.models import LIVE, Feature, File, Frame, Item
from xmodal.store.shown import shown


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """New content: its hash, the size of the upright original, its feature ``(dim,)``.

    ``frame`` says of which video, and when, if it is a frame of one.
    """

    content_hash: bytes
    width: int
    height: int
    feature: Features
    frame: FramePlace | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """What the record of a file becomes; ``file_id`` is the record of this or a vanished file.

    With a ``reason`` the file failed; without, it shows the picture of its content hash.
    """

    relative_path: str
    size: int
    mtime_ns: int
    sidecars: tuple[Sidecar, ...]
    content_hash: bytes | None
    file_id: int | None = None
    reason: str | None = None
    decoder: str | None = None
    metadata: FileMetadata | None = None


def save_batch(
    session: Session,
    space: CodeSpace,
    volume_id: int,
    changes: Sequence[FileChange],
    pictures: Sequence[EncodedPicture],
) -> int:
    """Write items, features, files, codes and words. Writing a batch twice changes nothing.

    Frames of a video may come before the change of its file, and have codes from then on.
    Returns how many captions and keywords the pictures got.
    """
    hashes = {c.content_hash for c in changes if c.reason is None and c.content_hash is not None}
    items = _items(session, hashes | {p.content_hash for p in pictures})
    items |= _add_items(session, [p for p in pictures if p.content_hash not in items])
    _add_frames(session, {items[p.content_hash]: p.frame for p in pictures if p.frame})
    features = {items[p.content_hash]: p.feature for p in pictures}
    new = set(features) - items_with_feature(session, space.encoder_id, features)
    if new:
        add_features(session, space.encoder_id, {i: features[i] for i in new})

    by_path, touched = _records(session, volume_id, changes)
    touched |= set(items.values()) | _frames_of(session, hashes)
    before = live_pictures(session, touched)
    rows = [_row(volume_id, change, items, by_path) for change in changes]
    if updates := [row for row in rows if "id" in row]:
        left = {row["id"]: row["item_id"] for row in updates}
        read_copies_again(session, left)
        session.execute(update(File), updates)
    if inserts := [row for row in rows if "id" not in row]:
        session.execute(insert(File), inserts)
    after = live_pictures(session, touched)
    update_codes(session, space, "image", before, after, new)
    return describe_pictures(
        session,
        space,
        [
            Description(items[c.content_hash], (volume_id, c.relative_path), c.sidecars, c.metadata)
            for c in changes
            if c.metadata is not None and c.reason is None and c.content_hash is not None
        ],
    )


def forget_files(session: Session, space: CodeSpace, file_ids: Collection[int]) -> None:
    """Mark files as missing; pictures without another file lose their codes, not their features."""
    touched: set[int] = set()
    for chunk in chunks(file_ids):
        touched |= _item_ids(session, File.id.in_(chunk))
    before = live_pictures(session, touched)
    read_copies_again(session, dict.fromkeys(file_ids))
    for chunk in chunks(file_ids):
        session.execute(
            update(File)
            .where(File.id.in_(chunk))
            .values(state="missing", reason=None, decoder=None)
            .execution_options(synchronize_session=False)
        )
    update_codes(session, space, "image", before, live_pictures(session, touched))


def set_state(session: Session, file_ids: Collection[int], state: str) -> None:
    """Mark files as ``present`` or ``offline``, which changes no code: both are searched."""
    for chunk in chunks(file_ids):
        session.execute(
            update(File)
            .where(File.id.in_(chunk))
            .values(state=state)
            .execution_options(synchronize_session=False)
        )


def take_offline(session: Session, scopes: Collection[Scope]) -> int:
    """Mark the present files of ``scopes`` as offline; returns how many are offline there now."""
    count = 0
    for scope in scopes:
        session.execute(
            update(File)
            .where(scope.files(), File.state == "present")
            .values(state="offline")
            .execution_options(synchronize_session=False)
        )
        there = select(func.count()).where(scope.files(), File.state == "offline")
        count += session.scalar(there) or 0
    return count


def live_pictures(session: Session, items: Collection[int]) -> set[int]:
    """Those of ``items`` that a file shows which is there, or on a drive that is away."""
    live: set[int] = set()
    for chunk in chunks(items):
        # The first of its files is enough: a picture may have hundreds of copies.
        own = exists().where(File.item_id == Item.id, File.state.in_(LIVE))
        video = exists().where(
            Frame.item_id == Item.id,
            File.content_hash == Frame.content_hash,
            File.state.in_(LIVE),
        )
        query = select(Item.id).where(Item.id.in_(chunk), or_(own, video))
        live |= set(session.scalars(query))
    return live


def items_with_feature(session: Session, encoder_id: int, items: Collection[int]) -> set[int]:
    """Those of ``items`` that have a feature in the encoder's space."""
    found: set[int] = set()
    for chunk in chunks(items):
        query = select(Feature.item_id).where(
            Feature.encoder_id == encoder_id, Feature.item_id.in_(chunk)
        )
        found |= set(session.scalars(query))
    return found


def add_features(session: Session, encoder_id: int, features: dict[int, Features]) -> None:
    """Write the feature of each item id."""
    ids = np.array(sorted(features), dtype=np.int64)
    write_features(session, encoder_id, ids, np.stack([features[int(i)] for i in ids]))


def _items(session: Session, hashes: Collection[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for chunk in chunks(hashes):
        query = select(Item.content_hash, Item.id).where(
            Item.kind == "image", Item.content_hash.in_(chunk)
        )
        found |= {row[0]: row[1] for row in session.execute(query)}
    return found


def _add_items(session: Session, pictures: Sequence[EncodedPicture]) -> dict[bytes, int]:
    if not pictures:
        return {}
    rows = [
        {"kind": "image", "content_hash": p.content_hash, "width": p.width, "height": p.height}
        for p in pictures
    ]
    ids = session.scalars(insert(Item).returning(Item.id, sort_by_parameter_order=True), rows)
    return {p.content_hash: item_id for p, item_id in zip(pictures, ids, strict=True)}


def _add_frames(session: Session, frames: dict[int, FramePlace]) -> None:
    """Write where those frames stand of which it is not known yet."""
    known: set[int] = set()
    for chunk in chunks(frames):
        known |= set(session.scalars(select(Frame.item_id).where(Frame.item_id.in_(chunk))))
    rows = [
        {"item_id": item_id, "content_hash": place.video, "seconds": place.seconds}
        for item_id, place in sorted(frames.items())
        if item_id not in known
    ]
    if rows:
        session.execute(insert(Frame), rows)


def _frames_of(session: Session, videos: Collection[bytes]) -> set[int]:
    found: set[int] = set()
    for chunk in chunks(videos):
        query = select(Frame.item_id).where(Frame.content_hash.in_(chunk))
        found |= set(session.scalars(query))
    return found


def _records(
    session: Session, volume_id: int, changes: Sequence[FileChange]
) -> tuple[dict[str, int], set[int]]:
    """Records that already have a path of ``changes``, and the pictures these records show."""
    paths = [change.relative_path for change in changes]
    there = File.volume_id == volume_id, File.relative_path.in_(paths)
    rows = session.execute(select(File.relative_path, File.id).where(*there))
    by_path = {row[0]: row[1] for row in rows}
    of_changes = File.id.in_([change.file_id for change in changes if change.file_id])
    return by_path, _item_ids(session, of_changes) | _item_ids(session, *there)


def _row(
    volume_id: int, change: FileChange, items: dict[bytes, int], by_path: dict[str, int]
) -> dict[str, Any]:
    failed = change.reason is not None
    row: dict[str, Any] = {
        "volume_id": volume_id,
        "relative_path": change.relative_path,
        "size": change.size,
        "mtime_ns": change.mtime_ns,
        "content_hash": change.content_hash,
        "item_id": None if failed or change.content_hash is None else items[change.content_hash],
        "state": "failed" if failed else "present",
        "reason": change.reason,
        "decoder": change.decoder,
        "sidecars": [list(sidecar) for sidecar in change.sidecars] or None,
        "metadata_reader": None if change.metadata is None else READER,
    }
    file_id = by_path.get(change.relative_path, change.file_id)
    return row if file_id is None else row | {"id": file_id}


def _item_ids(session: Session, *where: Any) -> set[int]:
    """The pictures, and the frames of the videos, that files show."""
    return {i for _, query in shown() for i in session.scalars(query.where(*where))}
