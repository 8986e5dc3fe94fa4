"""The compiled engine: the exact scan at the speed of memory, on all cores.

A sample of the codes bounds how far the ``k``-th neighbour will be; the scan takes nothing beyond.
The bound is a guess: where it left fewer than ``k``, the query is scanned again without it.
"""

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming import kernels
from xmodal.hamming.engine import CHUNK, Chunk, Neighbours, Scored
from xmodal.hamming.ids import take

# Codes in the sample, where there are many more; and the share of them where there are not.
SAMPLE, SAMPLE_SHARE = 16_384, 1 / 64
# Codes a thread takes at a time: at least so many, and enough for so many portions a thread.
PORTION, PORTIONS = 1 << 16, 32
# Fewer words of work than this stay in one thread.
ALONE = 1 << 19
# What the heaps of a batch may take; more queries are searched in several batches.
HEAP_BYTES = 1 << 26
# Looking up a byte of a code takes about as long as comparing so many words.
BYTE_WORDS = 4
FIRST_HITS = 4 * kernels.BLOCK

Queries = NDArray[np.uint64]  # (q, words), contiguous
Portion = tuple[Chunk, int, int]
Share = TypeVar("Share")


class CompiledEngine:
    """Exact scan with the kernels of :mod:`xmodal.hamming.kernels`.

    ``threads`` is how many work at a search, by default as many as there are cores to run on.
    """

    name = "compiled"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or available_cores()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Threads of this process; those of another do not come along when it forks."""
        if self._pool is None or self._process != os.getpid():
            self._process = os.getpid()
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="xmodal-scan")
        return self._pool

    def prepare(self, words: int) -> None:
        """Compile the kernels for codes of so many words, or load them where they were cached."""
        chunk = Chunk(np.zeros((words, 1), dtype=np.uint64), range(1))
        query = np.zeros((words, 1), dtype=np.uint64)
        self.search([chunk], query, 1)
        self.search_radius([chunk], query, 0)
        self.search_weighted([chunk], np.zeros((1, 8 * words, 256), dtype=np.float32), 1)

    def search(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], k: int
    ) -> list[Neighbours]:
        rows = np.ascontiguousarray(queries.T)
        total = sum(len(chunk) for chunk in chunks)
        if not total:
            nothing = Neighbours(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32))
            return [nothing] * len(rows)
        k = min(k, total)
        batch = max(1, HEAP_BYTES // (12 * k * self.threads))
        found: list[Neighbours] = []
        for start in range(0, len(rows), batch):
            found += self._nearest(chunks, rows[start : start + batch], k, total)
        return found

    def search_radius(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], radius: int
    ) -> list[Neighbours]:
        rows = np.ascontiguousarray(queries.T)

        def collect(portions: Iterator[Portion]) -> list[list[Neighbours]]:
            found: list[list[Neighbours]] = [[] for _ in rows]
            for portion in portions:
                for query, parts in zip(rows, found, strict=True):
                    parts += _within(portion, query, radius)
            return found

        shares = self._shared(chunks, len(rows), collect)
        return [
            in_order([part for share in shares for part in share[row]]) for row in range(len(rows))
        ]

    def search_weighted(
        self, chunks: Sequence[Chunk], tables: NDArray[np.float32], k: int
    ) -> list[Scored]:
        k = min(k, max(1, sum(len(chunk) for chunk in chunks)))
        batch = max(1, HEAP_BYTES // (12 * k * self.threads))
        found: list[Scored] = []
        for start in range(0, len(tables), batch):
            found += self._scored(chunks, tables[start : start + batch], k)
        return found

    def _nearest(
        self, chunks: Sequence[Chunk], queries: Queries, k: int, total: int
    ) -> list[Neighbours]:
        farthest = 64 * queries.shape[1]
        limits = guess_limits(chunks, queries, k, total)
        found = self._scan(chunks, queries, k, limits)
        short = [row for row, best in enumerate(found) if len(best.ids) < k]
        if short:
            again = self._scan(chunks, queries[short], k, np.full(len(short), farthest))
            for row, best in zip(short, again, strict=True):
                found[row] = best
        return found

    def _scan(
        self, chunks: Sequence[Chunk], queries: Queries, k: int, limits: NDArray[np.int64]
    ) -> list[Neighbours]:
        def offer(portion: Portion, *heaps: NDArray[Any]) -> None:
            chunk, start, stop = portion
            kernels.scan(*addresses(chunk), start, stop, queries, limits, *heaps)

        shares = self._shared(chunks, len(queries), _collector(len(queries), k, np.int32, offer))
        return [in_order([share[row] for share in shares], k) for row in range(len(queries))]

    def _scored(self, chunks: Sequence[Chunk], tables: NDArray[np.float32], k: int) -> list[Scored]:
        def offer(portion: Portion, *heaps: NDArray[Any]) -> None:
            chunk, start, stop = portion
            kernels.score(*addresses(chunk), start, stop, tables, *heaps)

        collect = _collector(len(tables), k, np.float32, offer)
        shares = self._shared(chunks, BYTE_WORDS * tables.shape[1] * len(tables), collect)
        found = [in_order([share[row] for share in shares], k) for row in range(len(tables))]
        return [Scored(ids, (0 - negated).astype(np.float32)) for ids, negated in found]

    def _shared(
        self,
        chunks: Sequence[Chunk],
        queries: int,
        collect: Callable[[Iterator[Portion]], Share],
    ) -> list[Share]:
        """Run ``collect`` in each thread on portions that it takes when it has done with others."""
        words = sum(len(chunk.ids) * len(chunk.planes) for chunk in chunks)
        if self.threads == 1 or words * queries < ALONE:
            return [collect((chunk, 0, len(chunk.ids)) for chunk in chunks)]
        total = sum(len(chunk.ids) for chunk in chunks)
        size = max(PORTION, total // (PORTIONS * self.threads) // PORTION * PORTION)
        waiting = iter(
            [
                (chunk, start, min(start + size, len(chunk.ids)))
                for chunk in chunks
                for start in range(0, len(chunk.ids), size)
            ]
        )
        lock = threading.Lock()

        def portions() -> Iterator[Portion]:
            while True:
                with lock:
                    portion = next(waiting, None)
                if portion is None:
                    return
                yield portion

        others = [self.pool.submit(collect, portions()) for _ in range(self.threads - 1)]
        mine = collect(portions())
        return [mine, *(other.result() for other in others)]


def available_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _collector(
    queries: int, k: int, dtype: type[np.number[Any]], offer: Callable[..., None]
) -> Callable[[Iterator[Portion]], list[Neighbours]]:
    """What a thread does: offer portions to heaps of its own, the ``k`` best of each query."""

    def collect(portions: Iterator[Portion]) -> list[Neighbours]:
        best = np.empty((queries, k), dtype=dtype)
        ids = np.empty((queries, k), dtype=np.int64)
        counts = np.zeros(queries, dtype=np.int64)
        for portion in portions:
            offer(portion, best, ids, counts)
        return [Neighbours(ids[row, :n], best[row, :n]) for row, n in enumerate(counts)]

    return collect


def guess_limits(
    chunks: Sequence[Chunk], queries: Queries, k: int, total: int
) -> NDArray[np.int64]:
    """For each query a distance within which there are ``k`` codes, very likely."""
    size = max(int(min(SAMPLE, total * SAMPLE_SHARE)), 1)
    stored = sum(len(chunk.ids) for chunk in chunks)
    step = max(stored * kernels.SAMPLE_RUN // size, 1)
    farthest = 64 * queries.shape[1]
    histogram = np.zeros((len(queries), farthest + 1), dtype=np.int64)
    counted = 0
    for chunk in chunks:
        rows, _, _, keep = addresses(chunk)
        counted += kernels.sample(rows, keep, len(chunk.ids), step, queries, histogram)
    # Of the k nearest the sample holds about k * counted / total; four standard deviations more
    # are nearly never within a distance that leaves fewer than k.
    expected = k * counted / total
    wanted = math.ceil(expected + 4 * math.sqrt(expected) + 3)
    if wanted > counted:
        return np.full(len(queries), farthest, dtype=np.int64)
    return np.argmax(histogram.cumsum(1) >= wanted, axis=1).astype(np.int64)


def _within(portion: Portion, query: NDArray[np.uint64], radius: int) -> Iterator[Neighbours]:
    chunk, start, stop = portion
    rows, _, _, keep = addresses(chunk)
    room = FIRST_HITS
    while start < stop:
        places = np.empty(room, dtype=np.int64)
        distances = np.empty(room, dtype=np.int32)
        count, start = kernels.within(rows, keep, start, stop, query, radius, places, distances)
        if count:
            yield Neighbours(take(chunk.ids, places[:count]), distances[:count].copy())
        room = min(2 * room, CHUNK + kernels.BLOCK)


def addresses(chunk: Chunk) -> tuple[tuple[np.uint64, ...], np.uint64, int, np.uint64]:
    """Where a chunk's planes, ids and bitmap begin, and its first id; 0 for what it has not."""
    row, first = chunk.planes.strides[0], chunk.planes.ctypes.data
    rows = tuple(np.uint64(first + word * row) for word in range(len(chunk.planes)))
    ids = 0 if isinstance(chunk.ids, range) else chunk.ids.ctypes.data
    keep = 0 if chunk.keep is None else chunk.keep.ctypes.data
    return rows, np.uint64(ids), int(chunk.ids[0]), np.uint64(keep)


def in_order(parts: Sequence[Neighbours], k: int | None = None) -> Neighbours:
    """All parts in one, by (distance, id), or the first ``k`` of them."""
    ids = np.concatenate([part.ids for part in parts] or [np.empty(0, dtype=np.int64)])
    distances = np.concatenate([part.distances for part in parts] or [np.empty(0, dtype=np.int32)])
    order = np.lexsort((ids, distances))[:k]
    return Neighbours(ids[order], distances[order])
