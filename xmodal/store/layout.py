"""The bytes of a segment: ids and codes in, checksummed blobs out, and back; docs/format.md.

Knows nothing of the database, so that damage of any kind can be tested byte by byte.
"""

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming.ids import Ids, as_run, take

Planes = NDArray[np.uint64]

SEGMENT_CODES = 65_536  # at most

_DIGEST_BYTES = 16
_WORD_BYTES = 8
_ROW_WORDS = 512


class DamagedSegmentError(Exception):
    """The bytes of a segment contradict each other; the message says which."""


Bytes = bytes | memoryview


@dataclass(frozen=True)
class SegmentBytes:
    """The columns of one row of ``segment`` that hold its codes."""

    count: int
    first_id: int
    last_id: int
    checksum: bytes
    deleted: bytes | None
    ids: Bytes | None
    codes: Bytes


def pack_segment(ids: NDArray[np.int64], planes: Planes) -> SegmentBytes:
    """Lay out codes whose ``ids`` ``(n,)`` ascend; ``planes`` is ``(words, n)``, n at least 1."""
    first, last = int(ids[0]), int(ids[-1])
    gapless = isinstance(as_run(ids), range)
    id_blob = None if gapless else ids.astype("<i8", copy=False).tobytes()
    codes = planes.astype("<u8", copy=False).tobytes()
    checksum = _checksum(len(ids), first, last, id_blob, codes)
    return SegmentBytes(len(ids), first, last, checksum, None, id_blob, codes)


def unpack_segment(segment: SegmentBytes, words: int) -> tuple[Ids, Planes]:
    """The live ids and planes ``(words, n)``; views of the blob where nothing is deleted.

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
    live = np.flatnonzero(unpack_live(segment.count, segment.deleted))
    return as_run(take(ids, live)), planes[:, live]


def unpack_ids(count: int, first_id: int, last_id: int, blob: Bytes | None) -> Ids:
    """All ids, deleted ones too; DamagedSegmentError when their number is wrong."""
    found = last_id - first_id + 1 if blob is None else len(blob) / _WORD_BYTES
    if found != count:
        raise DamagedSegmentError(f"expected {count} ids, found {found:g}")
    if blob is None:
        return range(first_id, last_id + 1)
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


def _checksum(count: int, first_id: int, last_id: int, ids: Bytes | None, codes: Bytes) -> bytes:
    head = struct.pack("<qqq", count, first_id, last_id)
    return _digest(head, *_sums(ids or b""), *_sums(codes))


def _sums(blob: Bytes) -> tuple[bytes, bytes, Bytes]:
    """Column sums and row sums of the blob as a matrix of words, and what fills no row.

    Any change of up to three words changes them. They are taken as fast as memory is read, where a
    cryptographic hash of the whole would take longer than everything else a search does.
    """
    words = np.frombuffer(blob, "<u8", len(blob) // _WORD_BYTES)
    rows = words[: len(words) // _ROW_WORDS * _ROW_WORDS].reshape(-1, _ROW_WORDS)
    columns = rows.sum(0, dtype=np.uint64).astype("<u8").tobytes()
    return columns, rows.sum(1, dtype=np.uint64).astype("<u8").tobytes(), blob[rows.nbytes :]


def _digest(*parts: Bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()
