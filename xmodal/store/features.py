"""Features as float16 blobs: one row for each item and encoder, read in bulk by id."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from xmodal.errors import LibraryError, UsageError
from xmodal.store.models import EncoderRecord, Feature, Item

Features = NDArray[np.float32]
Ids = NDArray[np.int64]

_STORED = np.dtype("<f2")
# Databases limit the parameters of one statement; SQLite's oldest limit is 999.
_CHUNK = 900


def write_features(
    session: Session, encoder_id: int, item_ids: Sequence[int] | Ids, features: ArrayLike
) -> None:
    """Store features ``(n, dim)`` as float16; a feature that an item had in this space is replaced.

    Raises UsageError for a wrong shape, for ids that repeat, and for rows that are NaN, infinite or
    zero as float16, which no encoder gives and no search could rank; nothing is stored then.
    """
    rows = np.asarray(features)
    ids = np.asarray(item_ids, dtype=np.int64)
    dim = _dim(session, encoder_id)
    if rows.shape != (len(ids), dim):
        raise UsageError(f"features: expected shape ({len(ids)}, {dim}), found {rows.shape}")
    if len(np.unique(ids)) < len(ids):
        raise UsageError("features: expected each item once, found repeated ids")
    with np.errstate(over="ignore"):  # reported below, with the row
        stored = np.ascontiguousarray(rows, dtype=_STORED)
    bad = _unusable(stored)
    if bad.any():
        at = int(np.argmax(bad))
        raise UsageError(
            f"features: row {at} (item {ids[at]}) is zero, NaN or too large to be a feature"
        )
    delete_features(session, encoder_id, ids)
    values = [
        {"encoder_id": encoder_id, "item_id": item, "vector": row.tobytes()}
        for item, row in zip(ids.tolist(), stored, strict=True)
    ]
    if values:
        # Rows, not objects: half the time. New items must be there first, for the foreign key.
        session.flush()
        session.connection().execute(insert(Feature), values)


def delete_features(session: Session, encoder_id: int, item_ids: Ids) -> None:
    """Remove the features of ``item_ids`` in this space; the next index run makes them again."""
    for start in range(0, len(item_ids), _CHUNK):
        session.execute(
            delete(Feature).where(
                Feature.encoder_id == encoder_id,
                Feature.item_id.in_(item_ids[start : start + _CHUNK].tolist()),
            )
        )


def read_features(session: Session, encoder_id: int, item_ids: Sequence[int] | Ids) -> Features:
    """Features of ``item_ids`` in their order, float32 ``(n, dim)``; NaN where none is kept."""
    dim = _dim(session, encoder_id)
    wanted, places = np.unique(np.asarray(item_ids, dtype=np.int64), return_inverse=True)
    found = np.full((len(wanted), dim), np.nan, np.float32)
    for start in range(0, len(wanted), _CHUNK):
        rows = session.execute(
            select(Feature.item_id, Feature.vector).where(
                Feature.encoder_id == encoder_id,
                Feature.item_id.in_(wanted[start : start + _CHUNK].tolist()),
            )
        ).all()
        if rows:
            ids, features = _decode(rows, dim)
            found[np.searchsorted(wanted, ids)] = features
    return found[places]


def iter_features(
    session: Session, encoder_id: int, kind: str, batch: int
) -> Iterator[tuple[Ids, Features]]:
    """Ids ``(n,)`` and features ``(n, dim)`` of the items of a kind, ``n`` at most ``batch``.

    Ascending by id. Only one batch is in memory, and what is written meanwhile in other sessions
    does not appear: the session reads one snapshot.
    """
    dim = _dim(session, encoder_id)
    query = (
        select(Feature.item_id, Feature.vector)
        .join(Item, Item.id == Feature.item_id)
        .where(Feature.encoder_id == encoder_id, Item.kind == kind)
    )
    for rows in _pages(session, query, batch):
        yield _decode(rows, dim)


def damaged_features(session: Session, encoder_id: int, batch: int) -> Iterator[Ids]:
    """Ids of the features that nothing can use: of a wrong length, zero, NaN or infinite.

    Reads all features of the space, ``batch`` at a time.
    """
    size = _dim(session, encoder_id) * _STORED.itemsize
    query = select(Feature.item_id, Feature.vector).where(Feature.encoder_id == encoder_id)
    for rows in _pages(session, query, batch):
        bad = np.array([len(vector) != size for _, vector in rows])
        whole = b"".join(vector for _, vector in rows if len(vector) == size)
        bad[~bad] = _unusable(np.frombuffer(whole, _STORED).reshape(-1, size // _STORED.itemsize))
        if bad.any():
            yield np.array([item for item, _ in rows], np.int64)[bad]


def check_features(session: Session) -> list[str]:
    """One sentence for each encoder some of whose features do not have their length."""
    wrong = session.execute(
        select(EncoderRecord.identifier, func.count(), func.min(Feature.item_id))
        .join(EncoderRecord, EncoderRecord.id == Feature.encoder_id)
        .where(func.length(Feature.vector) != EncoderRecord.dim * _STORED.itemsize)
        .group_by(EncoderRecord.id, EncoderRecord.identifier)
    )
    return [
        f"{count} features of {identifier} are damaged, the first that of item {item}"
        for identifier, count, item in wrong
    ]


def _pages(session: Session, query: Any, batch: int) -> Iterator[list[tuple[int, bytes]]]:
    """Item ids and vectors that ``query`` selects, ascending by id, ``batch`` at a time."""
    page = query.order_by(Feature.item_id).limit(batch)
    while rows := [(item, vector) for item, vector in session.execute(page)]:
        yield rows
        page = query.where(Feature.item_id > rows[-1][0]).order_by(Feature.item_id).limit(batch)


def _unusable(stored: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which rows no encoder gives and no search could rank."""
    return np.asarray(~np.isfinite(stored).all(axis=1) | ~stored.any(axis=1))


def _decode(rows: Sequence[tuple[int, bytes]], dim: int) -> tuple[Ids, Features]:
    for item, vector in rows:
        if len(vector) != dim * _STORED.itemsize:
            raise LibraryError(
                f"the feature of item {item} is damaged: expected {dim * _STORED.itemsize} bytes, "
                f"found {len(vector)}; `xmodal doctor --repair` mends the library"
            )
    features = np.frombuffer(b"".join(vector for _, vector in rows), _STORED).reshape(-1, dim)
    return np.array([item for item, _ in rows], np.int64), features.astype(np.float32)


def _dim(session: Session, encoder_id: int) -> int:
    dim = session.scalar(select(EncoderRecord.dim).where(EncoderRecord.id == encoder_id))
    if dim is None:
        raise LibraryError(f"the library has no encoder {encoder_id}")
    return dim
