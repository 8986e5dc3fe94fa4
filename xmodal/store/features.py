"""Features as float16 blobs: one row for each item and encoder, read in bulk by id."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.errors import LibraryError, UsageError
from xmodal.store.models import EncoderRecord, Feature, Item

Features = NDArray[np.float32]

_STORED = np.dtype("<f2")
# Databases limit the parameters of one statement; SQLite's oldest limit is 999.
_CHUNK = 900


def write_features(
    session: Session,
    encoder_id: int,
    item_ids: Sequence[int] | NDArray[np.int64],
    features: ArrayLike,
) -> None:
    """Store float ``(n, dim)`` features of items that have none in this space yet.

    Raises UsageError for a wrong shape and for NaN, infinite or all-zero rows, which no encoder
    gives and no search could rank.
    """
    rows = np.asarray(features)
    dim = _dim(session, encoder_id)
    if rows.shape != (len(item_ids), dim):
        raise UsageError(f"features: expected shape ({len(item_ids)}, {dim}), found {rows.shape}")
    stored = rows.astype(_STORED)
    bad = ~np.isfinite(stored).all(axis=1) | ~stored.any(axis=1)
    if bad.any():
        raise UsageError(
            f"features: row {int(np.argmax(bad))} is zero, NaN or too large to be a feature"
        )
    values = [
        {"encoder_id": encoder_id, "item_id": int(i), "vector": row.tobytes()}
        for i, row in zip(item_ids, stored, strict=True)
    ]
    if values:
        session.execute(Feature.__table__.insert(), values)  # type: ignore[attr-defined]


def read_features(
    session: Session, encoder_id: int, item_ids: Sequence[int] | NDArray[np.int64]
) -> Features:
    """Features of ``item_ids`` in their order, float32 ``(n, dim)``; NaN where none is kept."""
    dim = _dim(session, encoder_id)
    wanted = np.asarray(item_ids, dtype=np.int64)
    out = np.full((len(wanted), dim), np.nan, np.float32)
    places: dict[int, list[int]] = {}
    for place, item in enumerate(wanted.tolist()):
        places.setdefault(item, []).append(place)
    distinct = list(places)
    for start in range(0, len(distinct), _CHUNK):
        rows = session.execute(
            select(Feature.item_id, Feature.vector).where(
                Feature.encoder_id == encoder_id,
                Feature.item_id.in_(distinct[start : start + _CHUNK]),
            )
        )
        for item, vector in rows:
            out[places[item]] = _decode(vector, dim, item)
    return out


def iter_features(
    session: Session, encoder_id: int, kind: str, batch: int
) -> Iterator[tuple[NDArray[np.int64], Features]]:
    """Ids and features of all items of a kind, ascending by id, ``batch`` rows at a time."""
    dim = _dim(session, encoder_id)
    last = -1
    while True:
        rows = session.execute(
            select(Feature.item_id, Feature.vector)
            .join(Item, Item.id == Feature.item_id)
            .where(Feature.encoder_id == encoder_id, Item.kind == kind, Feature.item_id > last)
            .order_by(Feature.item_id)
            .limit(batch)
        ).all()
        if not rows:
            return
        ids = np.array([item for item, _ in rows], np.int64)
        yield ids, np.stack([_decode(vector, dim, item) for item, vector in rows])
        last = int(ids[-1])


def _decode(vector: bytes, dim: int, item: int) -> Features:
    if len(vector) != dim * _STORED.itemsize:
        raise LibraryError(
            f"the feature of item {item} is damaged: expected {dim * _STORED.itemsize} bytes, "
            f"found {len(vector)}"
        )
    return np.frombuffer(vector, _STORED).astype(np.float32)


def _dim(session: Session, encoder_id: int) -> int:
    dim = session.scalar(select(EncoderRecord.dim).where(EncoderRecord.id == encoder_id))
    if dim is None:
        raise LibraryError(f"the library has no encoder {encoder_id}")
    return dim
