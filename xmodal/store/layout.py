"""The bytes of a segment: ids and codes in, checksummed blobs out, and back; docs/format.md.

Knows nothing of the database, so that damage of any kind can be tested byte by byte.
"""

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Planes = NDArray[np.uint64]

_DIGEST_BYTES = 16
_WORD_BYTES = 8


class DamagedSegmentError(Exception):
    """The bytes of a segment contradict each other; the message says which."""


@dataclass(frozen=True)
class SegmentBytes:
    """The columns of one row of ``segment`` that hold its codes."""

    count: int
    first_id: int
    last_id: int
    checksum: bytes
    deleted: bytes | None
    ids: bytes | None
    codes: bytes


def pack_segment(ids: Ids, planes: Planes) -> SegmentBytes:
    """Lay out codes whose ``ids`` ``(n,)`` ascend; ``planes`` is ``(words, n)``, n at least 1."""
    first, last = int(ids[0]), int(ids[-1])
    gapless = last - first + 1 == len(ids)
    id_blob = None if gapless else ids.astype("<i8", copy=False).tobytes()
    codes = planes.astype("<u8", copy=False).tobytes()
    checksum = _checksum(len(ids), first, last, id_blob, codes)
    return SegmentBytes(len(ids), first, last, checksum, None, id_blob, codes)


def unpack_segment(segment: SegmentBytes, words: int) -> tuple[Ids, Planes]:
    """The live ids ``(n,)`` and planes ``(words, n)``; views of the blob where nothing is deleted.

    Raises DamagedSegmentError when lengths or checksums are wrong.
    """
    expected = _WORD_BYTES * words * segment.count
    if len(segment.codes) != expected:
        raise DamagedSegmentError(f"expected {expected} bytes of codes, found {len(segment.codes)}")
    found = _checksum(segment.count, segment.first_id, segment.last_id, segment.ids, segment.codes)
    if found != segment.checksum:
        raise DamagedSegmentError("its ids or codes fail their checksum")
    ids = unpack_ids(segment.count, segment.first_id, segment.last_id, segment.ids)
    planes = np.frombuffer(segment.codes, "<u8").reshape(words, segment.count)
    if segment.deleted is None:
        return ids, planes
    live = unpack_live(segment.count, segment.deleted)
    return ids[live], planes[:, live]


def unpack_ids(count: int, first_id: int, last_id: int, blob: bytes | None) -> Ids:
    """All ids ``(count,)``, deleted ones too; DamagedSegmentError when their number is wrong."""
    found = last_id - first_id + 1 if blob is None else len(blob) / _WORD_BYTES
    if found != count:
        raise DamagedSegmentError(f"expected {count} ids, found {found:g}")
    if blob is None:
        return np.arange(first_id, last_id + 1, dtype=np.int64)
    return np.frombuffer(blob, "<i8").astype(np.int64, copy=False)


def pack_deleted(live: NDArray[np.bool_]) -> bytes:
    """The column ``deleted`` for a segment of which ``live`` ``(count,)`` are left."""
    bitmap = np.packbits(~live).tobytes()
    return _digest(bitmap) + bitmap


def unpack_live(count: int, deleted: bytes | None) -> NDArray[np.bool_]:
    """Which codes are not deleted, ``(count,)``; DamagedSegmentError if the bitmap is not whole."""
    if deleted is None:
        return np.ones(count, bool)
    digest, bitmap = deleted[:_DIGEST_BYTES], deleted[_DIGEST_BYTES:]
    if len(bitmap) != -(-count // 8) or digest != _digest(bitmap):
        raise DamagedSegmentError("its list of deletions fails its checksum")
    return np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count) == 0


def _checksum(count: int, first_id: int, last_id: int, ids: bytes | None, codes: bytes) -> bytes:
    return _digest(struct.pack("<qqq", count, first_id, last_id), ids or b"", codes)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()
