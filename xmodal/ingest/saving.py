"""One batch of an index run as database changes; the caller's transaction makes it all or nothing.

What holds before and after each of these functions: a picture has a code of the run's hasher if,
and only if, a file that is present or offline shows it and it has a feature in the run's space.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.orm import Session

from xmodal.encoders.base import Features
from xmodal.ingest.coding import CodeSpace, update_codes
from xmodal.ingest.describing import Description, describe_pictures, read_copies_again
from xmodal.ingest.reading import FileMetadata
from xmodal.ingest.scope import Scope, chunks
from xmodal.metadata import READER, Sidecar
from xmodal.store.features import write_features
from xmodal.store.models import LIVE, Feature, File, Item


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """New content: its hash, the size of the upright original, its feature ``(dim,)``."""

    content_hash: bytes
    width: int
    height: int
    feature: Features


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

    Returns how many captions and keywords the pictures got.
    """
    shown = {change.content_hash for change in changes if change.reason is None}
    items = _items(session, {digest for digest in shown if digest is not None})
    items |= _add_items(session, [p for p in pictures if p.content_hash not in items])
    features = {items[p.content_hash]: p.feature for p in pictures}
    new = set(features) - items_with_feature(session, space.encoder_id, features)
    if new:
        add_features(session, space.encoder_id, {i: features[i] for i in new})

    by_path, touched = _records(session, volume_id, changes)
    touched |= set(items.values())
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
        touched |= set(_item_ids(session, File.id.in_(chunk)))
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
        shown = exists().where(File.item_id == Item.id, File.state.in_(LIVE))
        live |= set(session.scalars(select(Item.id).where(Item.id.in_(chunk), shown)))
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


def _records(
    session: Session, volume_id: int, changes: Sequence[FileChange]
) -> tuple[dict[str, int], set[int]]:
    """Records that already have a path of ``changes``, and the pictures these records show."""
    by_path: dict[str, int] = {}
    shown = set(_item_ids(session, File.id.in_([c.file_id for c in changes if c.file_id])))
    query = select(File.relative_path, File.id, File.item_id).where(
        File.volume_id == volume_id, File.relative_path.in_([c.relative_path for c in changes])
    )
    for path, file_id, item_id in session.execute(query):
        by_path[path] = file_id
        if item_id is not None:
            shown.add(item_id)
    return by_path, shown


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


def _item_ids(session: Session, *where: Any) -> list[int]:
    query = select(File.item_id).where(*where, File.item_id.is_not(None))
    return [item_id for item_id in session.scalars(query) if item_id is not None]
