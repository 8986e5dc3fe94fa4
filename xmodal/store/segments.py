"""Codes of a hasher in segments of up to 65,536: appended small, merged later, read at once.

An id has at most one live code for each hasher and modality. New codes go into new, small segments;
deletions set bits in a bitmap beside the codes; :func:`merge_segments` makes full segments of small
ones and drops what was deleted. Nothing here commits: that is the transaction's business, so a
killed run leaves the segments of its last commit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from xmodal.errors import CodesError
from xmodal.hamming.ids import Ids, listed
from xmodal.hamming.packing import check_codes, to_planes
from xmodal.store.layout import (
    SEGMENT_CODES,
    DamagedSegmentError,
    Planes,
    pack_deleted,
    pack_segment,
    unpack_ids,
    unpack_live,
    unpack_segment,
)
from xmodal.store.loading import Head, code_bytes, code_words, read_heads
from xmodal.store.models import HasherRecord, Segment

# A segment with fewer live codes is worth rewriting; fuller ones are left alone for good.
_SMALL = SEGMENT_CODES // 2
# So many segments of fewer codes than that are merged by the commit that makes them so many: a
# search during a long run need not read thousands, and each code is rewritten a few times at most.
_MANY = 64
# Merging holds this many codes in memory at a time, 16 MiB of 128-bit ones.
_MERGE_CODES = 16 * SEGMENT_CODES


def append_codes(
    session: Session,
    hasher_id: int,
    modality: str,
    ids: NDArray[np.int64],
    codes: NDArray[np.uint8],
) -> None:
    """Store ``codes`` uint8 ``(n, bits // 8)`` of the items ``ids``; a code an id had is replaced.

    Raises CodesError when ids repeat or are no integers, counts differ, or the width is not the
    hasher's; nothing is stored then.
    """
    codes = check_codes(codes, code_bytes(session, hasher_id))
    ids = _checked(ids)
    if len(ids) != len(codes):
        raise CodesError(f"expected one id for each code, found {len(ids)} for {len(codes)}")
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    repeated = ids[1:] == ids[:-1]
    if repeated.any():
        raise CodesError(f"ids: expected each id once, found {ids[1:][repeated][0]} again")
    _delete(session, hasher_id, modality, ids)
    for start in range(0, len(ids), SEGMENT_CODES):
        part = slice(start, start + SEGMENT_CODES)
        _insert(session, hasher_id, modality, ids[part], to_planes(codes[order[part]]))
    _merge_if_many(session, hasher_id, modality)


def delete_codes(session: Session, hasher_id: int, modality: str, ids: NDArray[np.int64]) -> int:
    """Delete the codes of ``ids``; ids without a code are ignored. Returns how many were deleted.

    The codes themselves are not read: a segment whose codes are damaged can lose ids as any other.
    """
    return _delete(session, hasher_id, modality, np.sort(_checked(ids)))


def merge_segments(session: Session, hasher_id: int, modality: str) -> None:
    """Rewrite small and half-deleted segments into full ones; a damaged one is left as it is.

    The others are not read.
    """
    heads = read_heads(session, hasher_id, modality)
    _merge(session, hasher_id, modality, [head for head in heads if 0 < head.live < _SMALL])


def count_codes(session: Session, hasher_id: int, modality: str) -> int:
    """How many codes are live. Checksums are not verified: the codes are not read."""
    return sum(head.live for head in read_heads(session, hasher_id, modality))


def damaged_segments(session: Session) -> Iterator[tuple[Head, DamagedSegmentError]]:
    """The segments whose lengths or checksums are wrong; all codes are read, one at a time."""
    groups = session.execute(
        select(Segment.hasher_id, Segment.modality)
        .join(HasherRecord, HasherRecord.id == Segment.hasher_id)
        .distinct()
        .order_by(Segment.hasher_id, Segment.modality)
    ).all()
    for hasher_id, modality in groups:
        words = code_words(session, hasher_id)
        for head in read_heads(session, hasher_id, modality):
            try:
                unpack_segment(head.read(session), words)
            except DamagedSegmentError as error:
                yield head, error


def check_segments(session: Session) -> list[str]:
    """One sentence for each segment that is damaged."""
    return [head.problem(error) for head, error in damaged_segments(session)]


def remove_segments(session: Session, numbers: Sequence[int]) -> None:
    """Remove whole segments, with the codes in them."""
    for start in range(0, len(numbers), 500):
        chunk = numbers[start : start + 500]
        session.execute(delete(Segment).where(Segment.id.in_(chunk)))


def _merge_if_many(session: Session, hasher_id: int, modality: str) -> None:
    small = session.scalar(
        select(func.count()).where(
            Segment.hasher_id == hasher_id, Segment.modality == modality, Segment.count < _SMALL
        )
    )
    if small and small >= _MANY:
        heads = read_heads(session, hasher_id, modality)
        _merge(session, hasher_id, modality, [head for head in heads if head.count < _SMALL])


def _merge(session: Session, hasher_id: int, modality: str, heads: list[Head]) -> None:
    """Rewrite these segments, in the order of their ids, into as few as can be."""
    words = code_words(session, hasher_id)
    numbers: list[int] = []
    parts: list[tuple[Ids, Planes]] = []
    waiting = 0
    for head in heads:
        try:
            parts.append(unpack_segment(head.read(session), words))
        except DamagedSegmentError:
            continue
        numbers.append(head.number)
        waiting += len(parts[-1][0])
        if waiting >= _MERGE_CODES:
            parts = _rewrite(session, hasher_id, modality, parts, keep_rest=True)
            waiting = len(parts[0][0])
    if len(numbers) > 1:
        _rewrite(session, hasher_id, modality, parts)
        remove_segments(session, numbers)


def _insert(
    session: Session, hasher_id: int, modality: str, ids: NDArray[np.int64], planes: Planes
) -> None:
    values = asdict(pack_segment(ids, planes))
    session.execute(insert(Segment).values(hasher_id=hasher_id, modality=modality, **values))


def _delete(session: Session, hasher_id: int, modality: str, ids: NDArray[np.int64]) -> int:
    if not len(ids):
        return 0
    ranges = session.execute(
        select(Segment.id, Segment.first_id, Segment.last_id).where(
            Segment.hasher_id == hasher_id,
            Segment.modality == modality,
            Segment.first_id <= int(ids[-1]),
            Segment.last_id >= int(ids[0]),
        )
    ).all()
    deleted = 0
    for number, first, last in ranges:
        mine = ids[np.searchsorted(ids, first) : np.searchsorted(ids, last, side="right")]
        if len(mine):
            deleted += _delete_from(session, number, mine)
    return deleted


def _delete_from(session: Session, number: int, ids: NDArray[np.int64]) -> int:
    count, first, last, deleted, blob = session.execute(
        select(
            Segment.count, Segment.first_id, Segment.last_id, Segment.deleted, Segment.ids
        ).where(Segment.id == number)
    ).one()
    try:
        live = unpack_live(count, deleted)
        stored = listed(unpack_ids(count, first, last, blob))
    except DamagedSegmentError:
        return 0  # no search finds anything of it either; `check` names it
    # Ids that fail their checksum may be in any order, where the place may be the end.
    at = np.minimum(np.searchsorted(stored, ids), count - 1)
    hit = np.zeros(count, bool)
    hit[at[stored[at] == ids]] = True
    hit &= live
    if not hit.any():
        return 0
    live &= ~hit
    if live.any():
        values = {"deleted": pack_deleted(live)}
        session.execute(update(Segment).where(Segment.id == number).values(values))
    else:
        session.execute(delete(Segment).where(Segment.id == number))
    return int(np.count_nonzero(hit))


def _rewrite(
    session: Session,
    hasher_id: int,
    modality: str,
    parts: list[tuple[Ids, Planes]],
    keep_rest: bool = False,
) -> list[tuple[Ids, Planes]]:
    """Store ``parts`` as full segments; what fills none is stored too, or returned if kept."""
    ids = np.concatenate([listed(part) for part, _ in parts])
    planes = np.concatenate([part for _, part in parts], axis=1)
    order = np.argsort(ids)
    end = len(ids) - len(ids) % SEGMENT_CODES if keep_rest else len(ids)
    for start in range(0, end, SEGMENT_CODES):
        part = order[start : min(start + SEGMENT_CODES, end)]
        _insert(session, hasher_id, modality, ids[part], planes[:, part])
    rest = order[end:]
    return [(ids[rest], planes[:, rest])]


def _checked(ids: object) -> NDArray[np.int64]:
    array = np.asarray(ids)
    if array.ndim != 1 or not (np.issubdtype(array.dtype, np.integer) or not array.size):
        raise CodesError(f"expected integer ids of shape (n,), found {array.dtype} {array.shape}")
    return array.astype(np.int64, copy=False)
