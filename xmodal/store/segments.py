"""Segments: up to 65,536 codes of one hasher and modality in one blob, read at memory speed.

The codes of a segment lie word by word: all first 64-bit words, then all second ones,
little-endian, the last word padded with zeros. Ids ascend; where they run without a gap only the
ends are stored. A checksum (BLAKE2b, 16 bytes) over ids and codes is verified at every load.
Deletions set bits in a bitmap, which starts with its own checksum, and leave the codes alone;
merging drops what was deleted.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from xmodal.errors import CodesError, LibraryError
from xmodal.hamming.packing import check_codes, from_planes, to_planes, word_count
from xmodal.store.models import HasherRecord, Segment

SEGMENT_CODES = 65_536
# A segment with fewer live codes is worth rewriting; fuller ones are left alone for good.
_SMALL = SEGMENT_CODES // 2
_DIGEST_BYTES = 16

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class StoredCodes:
    """All live codes of one hasher and modality.

    ``ids`` int64 ``(n,)``; ``planes`` uint64 ``(words, n)``; ``problems`` has one sentence for each
    damaged segment, whose codes are left out.
    """

    ids: Ids
    planes: NDArray[np.uint64]
    problems: list[str] = field(default_factory=list)


class _DamagedSegmentError(LibraryError):
    pass


def append_codes(
    session: Session, hasher_id: int, modality: str, ids: Ids, codes: NDArray[np.uint8]
) -> None:
    """Store ``codes`` uint8 ``(n, bits // 8)`` of the items ``ids``; a code an id had is replaced.

    Raises CodesError when ids repeat, counts differ, or the width is not the hasher's.
    """
    code_bytes = _code_bytes(session, hasher_id)
    codes = check_codes(codes)
    ids = np.asarray(ids, dtype=np.int64)
    if ids.shape != (len(codes),) or codes.shape[1] != code_bytes:
        raise CodesError(
            f"expected codes of shape ({len(ids)}, {code_bytes}) for {len(ids)} ids, "
            f"found {codes.shape}"
        )
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    if np.any(ids[1:] == ids[:-1]):
        raise CodesError("ids: expected each id once, found repeated ones")
    delete_codes(session, hasher_id, modality, ids)
    for start in range(0, len(ids), SEGMENT_CODES):
        part = slice(start, start + SEGMENT_CODES)
        planes = to_planes(codes[order[part]])
        session.add(_segment(hasher_id, modality, ids[part], planes))
    session.flush()


def delete_codes(session: Session, hasher_id: int, modality: str, ids: Ids) -> int:
    """Mark the codes of ``ids`` as deleted; ids without a code are ignored. Returns the count."""
    ids = np.unique(np.asarray(ids, dtype=np.int64))
    if not len(ids):
        return 0
    deleted = 0
    overlapping = select(Segment).where(
        Segment.hasher_id == hasher_id,
        Segment.modality == modality,
        Segment.first_id <= int(ids[-1]),
        Segment.last_id >= int(ids[0]),
    )
    for segment in session.scalars(overlapping):
        try:
            live = _live(segment)
            hit = live & np.isin(_ids(segment), ids, assume_unique=True)
        except _DamagedSegmentError:
            continue  # nothing of it is found by a search either; `check` names it
        if hit.any():
            deleted += int(hit.sum())
            live &= ~hit
            if live.any():
                segment.deleted = _bitmap(~live)
            else:
                session.delete(segment)
    session.flush()
    return deleted


def load_codes(session: Session, hasher_id: int, modality: str) -> StoredCodes:
    """Read all live codes, verifying every checksum; damaged segments are named and left out."""
    words = word_count(_code_bytes(session, hasher_id))
    stored = session.scalar(
        select(func.sum(Segment.count)).where(
            Segment.hasher_id == hasher_id, Segment.modality == modality
        )
    )
    total = int(stored or 0)
    ids = np.empty(total, np.int64)
    planes = np.empty((words, total), np.uint64)
    problems: list[str] = []
    at = 0
    for segment in _stream(session, hasher_id, modality):
        try:
            segment_ids, segment_planes = _read(segment, words)
        except _DamagedSegmentError as error:
            problems.append(str(error))
            continue
        end = at + len(segment_ids)
        ids[at:end] = segment_ids
        planes[:, at:end] = segment_planes
        at = end
    if at < total:
        ids, planes = ids[:at].copy(), np.ascontiguousarray(planes[:, :at])
    return StoredCodes(ids, planes, problems)


def merge_segments(session: Session, hasher_id: int, modality: str) -> None:
    """Rewrite small and half-deleted segments into full ones; a damaged one is left as it is."""
    words = word_count(_code_bytes(session, hasher_id))
    parts: list[tuple[Ids, NDArray[np.uint64]]] = []
    merged: list[int] = []
    for segment in _stream(session, hasher_id, modality):
        try:
            if np.count_nonzero(_live(segment)) > _SMALL:
                continue
            parts.append(_read(segment, words))
        except _DamagedSegmentError:
            continue
        merged.append(segment.id)
    if len(parts) < 2 and not (parts and len(parts[0][0]) == 0):
        return
    ids = np.concatenate([part for part, _ in parts])
    planes = np.concatenate([part for _, part in parts], axis=1)
    order = np.argsort(ids)
    for start in range(0, len(ids), SEGMENT_CODES):
        part = order[start : start + SEGMENT_CODES]
        segment_planes = np.ascontiguousarray(planes[:, part])
        session.add(_segment(hasher_id, modality, ids[part], segment_planes))
    for start in range(0, len(merged), 500):
        session.execute(delete(Segment).where(Segment.id.in_(merged[start : start + 500])))
    session.flush()


def count_codes(session: Session, hasher_id: int, modality: str) -> int:
    """How many codes are live, deletions counted out."""
    rows = session.execute(
        select(Segment.count, Segment.deleted).where(
            Segment.hasher_id == hasher_id, Segment.modality == modality
        )
    )
    count = 0
    for stored, deleted in rows:
        bits = b"" if deleted is None else deleted[_DIGEST_BYTES:]
        count += stored - int(np.bitwise_count(np.frombuffer(bits, np.uint8)).sum())
    return count


def check_segments(session: Session) -> list[str]:
    """One sentence for each segment that is damaged."""
    problems: list[str] = []
    widths: dict[int, int] = dict(
        session.execute(select(HasherRecord.id, HasherRecord.bits)).tuples().all()
    )
    for hasher_id, bits in widths.items():
        for modality in ("image", "text"):
            for segment in _stream(session, hasher_id, modality):
                try:
                    _read(segment, word_count(bits // 8))
                except _DamagedSegmentError as error:
                    problems.append(str(error))
    return problems


def decode_segment(segment: Segment, code_bytes: int) -> tuple[Ids, NDArray[np.uint8]]:
    """Ids and codes of one segment as ordinary arrays; LibraryError when it is damaged."""
    ids, planes = _read(segment, word_count(code_bytes))
    return ids, from_planes(np.ascontiguousarray(planes), code_bytes)


def _stream(session: Session, hasher_id: int, modality: str) -> Iterator[Segment]:
    """Segments in the order of their ids, one blob in memory at a time."""
    numbers = session.scalars(
        select(Segment.id)
        .where(Segment.hasher_id == hasher_id, Segment.modality == modality)
        .order_by(Segment.first_id, Segment.id)
    ).all()
    for number in numbers:
        segment = session.get_one(Segment, number)
        yield segment
        if segment not in session.dirty:
            session.expunge(segment)


def _segment(hasher_id: int, modality: str, ids: Ids, planes: NDArray[np.uint64]) -> Segment:
    run = int(ids[-1]) - int(ids[0]) + 1 == len(ids)
    segment = Segment(
        hasher_id=hasher_id,
        modality=modality,
        count=len(ids),
        first_id=int(ids[0]),
        last_id=int(ids[-1]),
        ids=None if run else ids.astype("<i8").tobytes(),
        codes=planes.astype("<u8", copy=False).tobytes(),
    )
    segment.checksum = _checksum(segment)
    return segment


def _read(segment: Segment, words: int) -> tuple[Ids, NDArray[np.uint64]]:
    if len(segment.codes) != 8 * words * segment.count or segment.checksum != _checksum(segment):
        raise _damaged(segment, "its codes fail their checksum")
    ids = _ids(segment)
    planes = np.frombuffer(segment.codes, "<u8").reshape(words, segment.count)
    if segment.deleted is None:
        return ids, planes
    live = _live(segment)
    return ids[live], planes[:, live]


def _ids(segment: Segment) -> Ids:
    if segment.ids is None:
        ids = np.arange(segment.first_id, segment.last_id + 1, dtype=np.int64)
    elif len(segment.ids) % 8:
        raise _damaged(segment, "its ids are cut off")
    else:
        ids = np.frombuffer(segment.ids, "<i8").astype(np.int64, copy=False)
    if len(ids) != segment.count:
        raise _damaged(segment, f"expected {segment.count} ids, found {len(ids)}")
    return ids


def _live(segment: Segment) -> NDArray[np.bool_]:
    if segment.deleted is None:
        return np.ones(segment.count, bool)
    digest, bits = segment.deleted[:_DIGEST_BYTES], segment.deleted[_DIGEST_BYTES:]
    if digest != _digest(bits) or len(bits) != -(-segment.count // 8):
        raise _damaged(segment, "its list of deletions fails its checksum")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=segment.count) == 0


def _bitmap(deleted: NDArray[np.bool_]) -> bytes:
    bits = np.packbits(deleted).tobytes()
    return _digest(bits) + bits


def _checksum(segment: Segment) -> bytes:
    head = struct.pack("<qqq", segment.count, segment.first_id, segment.last_id)
    return _digest(head, segment.ids or b"", segment.codes)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _damaged(segment: Segment, reason: str) -> _DamagedSegmentError:
    return _DamagedSegmentError(
        f"segment {segment.id} ({segment.modality} codes of hasher {segment.hasher_id}, "
        f"{segment.count} items from id {segment.first_id}) is damaged: {reason}; its items are "
        "not found until they are coded again (`xmodal train` codes everything anew)"
    )


def _code_bytes(session: Session, hasher_id: int) -> int:
    bits = session.scalar(select(HasherRecord.bits).where(HasherRecord.id == hasher_id))
    if bits is None:
        raise LibraryError(f"the library has no hasher {hasher_id}")
    return bits // 8
