"""All codes of a hasher and modality, read into the layout that is scanned, with no work by rows.

One thread reads the blobs while others verify them and put their words in place.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.errors import LibraryError
from xmodal.hamming.engine import CHUNK, Chunk
from xmodal.hamming.ids import Ids, as_run, listed
from xmodal.hamming.memory import require_memory
from xmodal.hamming.packing import WORD_BYTES, empty_planes, from_planes, word_count
from xmodal.store.layout import (
    SEGMENT_CODES,
    DamagedSegmentError,
    Planes,
    SegmentBytes,
    unpack_ids,
    unpack_live,
    unpack_segment,
)
from xmodal.store.models import HasherRecord, Segment
from xmodal.store.sqlite import DamagedBlobError, read_blob, read_words

Batch = tuple[Ids, Planes]
# Segments that are read and not yet in their place.
_IN_FLIGHT = 4


@dataclass(frozen=True)
class StoredCodes:
    """All live codes of one hasher and modality, in the order of their segments.

    ``batches`` are ids and planes uint64 ``(words, n)``, ids ascending within each; ``problems``
    has one sentence for each damaged segment, whose codes are left out.
    """

    batches: list[Batch]
    problems: list[str]


@dataclass(frozen=True)
class Head:
    """What is known of a segment without reading its codes."""

    hasher_id: int
    modality: str
    number: int
    count: int
    first_id: int
    last_id: int
    checksum: bytes
    deleted: bytes | None
    gapless: bool

    @property
    def live(self) -> int:
        """How many codes are not deleted; none where that is damaged."""
        if not 0 < self.count <= SEGMENT_CODES:
            return 0
        if self.deleted is None:
            return self.count
        try:
            return int(np.count_nonzero(unpack_live(self.count, self.deleted)))
        except DamagedSegmentError:
            return 0

    def problem(self, error: DamagedSegmentError) -> str:
        """What to tell a user of a damaged segment."""
        return (
            f"segment {self.number} ({self.modality} codes of hasher {self.hasher_id}, "
            f"{self.count} items from id {self.first_id}) is damaged: {error}; its items are not "
            "found until they are coded again: `xmodal doctor --repair` does it"
        )

    def read(self, session: Session, memory: bytearray | None = None) -> SegmentBytes:
        """The whole segment; its codes lie in ``memory`` if they fit there.

        Raises DamagedSegmentError where the file itself is damaged.
        """
        connection = session.connection()
        try:
            ids = None if self.gapless else read_blob(connection, "segment", "ids", self.number)
            codes = read_blob(connection, "segment", "codes", self.number, memory)
        except DamagedBlobError as error:
            raise DamagedSegmentError(str(error)) from error
        return SegmentBytes(
            self.count, self.first_id, self.last_id, self.checksum, self.deleted, ids, codes
        )


def code_words(session: Session, hasher_id: int) -> int:
    """How many words a code of that hasher has; LibraryError if the library has not got it."""
    return word_count(code_bytes(session, hasher_id))


def code_bytes(session: Session, hasher_id: int) -> int:
    """How many bytes a code of that hasher has; LibraryError if the library has not got it."""
    bits = session.scalar(select(HasherRecord.bits).where(HasherRecord.id == hasher_id))
    if bits is None:
        raise LibraryError(f"the library has no hasher {hasher_id}")
    return bits // 8


def read_heads(session: Session, hasher_id: int, modality: str) -> list[Head]:
    """The segments in the order of their ids."""
    rows = session.execute(
        select(
            Segment.hasher_id,
            Segment.modality,
            Segment.id,
            Segment.count,
            Segment.first_id,
            Segment.last_id,
            Segment.checksum,
            Segment.deleted,
            Segment.ids.is_(None),
        )
        .where(Segment.hasher_id == hasher_id, Segment.modality == modality)
        .order_by(Segment.first_id, Segment.id)
    )
    return [Head(*row) for row in rows]


def read_ids(session: Session, heads: list[Head]) -> Iterator[NDArray[np.int64]]:
    """The live ids of each segment, ascending; their codes are neither read nor verified.

    A segment whose ids or deletions are damaged is left out, as searches leave it out.
    """
    for head in heads:
        try:
            connection = session.connection()
            blob = None if head.gapless else read_blob(connection, "segment", "ids", head.number)
            ids = listed(unpack_ids(head.count, head.first_id, head.last_id, blob))
            yield ids[unpack_live(head.count, head.deleted)]
        except (DamagedSegmentError, DamagedBlobError):
            continue


def load_codes(session: Session, hasher_id: int, modality: str) -> StoredCodes:
    """Read all live codes, verifying every checksum; damaged segments are named and left out.

    Raises NotEnoughMemoryError, before anything is read, when the codes would not fit.
    """
    words = code_words(session, hasher_id)
    heads = read_heads(session, hasher_id, modality)
    needed = sum(head.live * WORD_BYTES * (words + (not head.gapless)) for head in heads)
    require_memory(needed, f"{sum(head.live for head in heads):,} codes")
    problems: list[str] = []
    return StoredCodes(list(read_batches(session, heads, words, problems)), problems)


def read_batches(
    session: Session, heads: list[Head], words: int, problems: list[str], reuse: bool = False
) -> Iterator[Batch]:
    """Codes of the segments in batches of at most a chunk; a sentence on each damaged one.

    With ``reuse`` the planes of a batch are overwritten by the next: no more than a chunk is held.
    """
    largest = max((head.count for head in heads if head.live), default=0) * WORD_BYTES * words
    free: SimpleQueue[bytearray] = SimpleQueue()
    for _ in range(_IN_FLIGHT):
        free.put(bytearray(largest))

    def place(segment: SegmentBytes, memory: bytearray, planes: Planes) -> Ids:
        """Verify a segment and copy its live codes to ``planes``; returns their ids."""
        try:
            ids, codes = unpack_segment(segment, words)
            planes[...] = codes
            return ids
        finally:
            free.put(memory)

    def submit(head: Head, planes: Planes) -> Future[Ids]:
        memory = free.get()
        try:
            return pool.submit(place, head.read(session, memory), memory, planes)
        except DamagedSegmentError as error:
            free.put(memory)
            unreadable: Future[Ids] = Future()
            unreadable.set_exception(error)
            return unreadable

    whole = empty_planes(words, CHUNK) if reuse else None
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for group in _groups(heads):
            lives = [head.live for head in group]
            ends = np.cumsum(lives).tolist()
            planes = whole[:, : ends[-1]] if whole is not None else empty_planes(words, ends[-1])
            placed: list[Future[Ids]] = []
            for head, live, end in zip(group, lives, ends, strict=True):
                placed.append(submit(head, planes[:, end - live : end]))
            ids: list[Ids] = []
            damaged = np.zeros(ends[-1], dtype=bool)
            for head, live, end, done in zip(group, lives, ends, placed, strict=True):
                try:
                    ids.append(done.result())
                except DamagedSegmentError as error:
                    damaged[end - live : end] = True
                    problems.append(head.problem(error))
            if damaged.any():
                planes = np.ascontiguousarray(planes[:, ~damaged])
            if planes.shape[1]:
                yield _joined(ids), planes


def read_codes(
    session: Session, heads: list[Head], code_bytes: int, ids: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The codes of ``ids``, uint8 ``(n, code_bytes)``, without reading those of others.

    For ids that :func:`read_batches` found in this session: checksums are not verified again.
    """
    words = word_count(code_bytes)
    wanted, back = np.unique(ids, return_inverse=True)
    planes = np.empty((words, len(wanted)), dtype=np.uint64)
    for head in heads:
        mine = slice(*np.searchsorted(wanted, (head.first_id, head.last_id + 1)))
        if mine.start == mine.stop:
            continue
        connection = session.connection()
        stored = unpack_ids(
            head.count, head.first_id, head.last_id,
            None if head.gapless else read_blob(connection, "segment", "ids", head.number),
        )  # fmt: skip
        chunk = Chunk(np.empty((0, head.count), dtype=np.uint64), stored)
        if head.deleted is not None:
            chunk = chunk.only(unpack_live(head.count, head.deleted))
        places, found = chunk.locate(wanted)
        for word in range(words):
            planes[word, found] = read_words(
                connection, "segment", "codes", head.number, places + word * head.count
            )
    return from_planes(planes, code_bytes)[back]


def _groups(heads: list[Head]) -> Iterator[list[Head]]:
    """Segments that make a batch: at most a chunk, and one run of ids where they are runs."""
    group: list[Head] = []
    count = 0
    for head in heads:
        apart = group and not (
            head.first_id > group[-1].last_id
            and (not head.gapless or head.first_id == group[-1].last_id + 1)
        )
        if group and (apart or count + head.live > CHUNK):
            yield group
            group, count = [], 0
        group.append(head)
        count += head.live
    if group:
        yield group


def _joined(parts: list[Ids]) -> Ids:
    """Ascending ids of several segments as one, without making an array of a run."""
    runs = [part for part in parts if isinstance(part, range)]
    if len(runs) == len(parts) and runs[-1].stop - runs[0].start == sum(map(len, runs)):
        return range(runs[0].start, runs[-1].stop)
    return as_run(np.concatenate([listed(part) for part in parts]))
