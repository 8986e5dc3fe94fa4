"""The NumPy engine: the reference that every other engine must equal, and fast enough for many.

Codes pass in blocks that stay in cache while all queries are compared with them. A query keeps the
best candidates so far; once it has ``k``, the worst of them bounds what later blocks may add.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming.engine import Chunk, Neighbours, Scored
from xmodal.hamming.ids import Ids, listed, take

# Codes a block: the work arrays of it (.3 MB) stay in a core's L2 cache, and a block takes long
# enough that NumPy's overhead per call hardly shows (half as many: 1.2 times as long, measured).
BLOCK = 32_768

Distances = NDArray[np.unsignedinteger[Any]]  # uint8 where the length of the codes allows it


class NumpyEngine:
    """Exact scan with :func:`numpy.bitwise_count` over word planes."""

    name = "numpy"

    def search(
        self, chunks: Iterable[Chunk], queries: NDArray[np.uint64], k: int
    ) -> list[Neighbours]:
        """As every engine; a chunk may be overwritten when the next one is asked for."""
        best = [_Best(k) for _ in range(queries.shape[1])]
        for ids, planes in _blocks(chunks):
            for query, distances in enumerate(_distances(planes, queries)):
                best[query].offer(ids, distances)
        return [candidates.result() for candidates in best]

    def search_radius(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], radius: int
    ) -> list[Neighbours]:
        found: list[list[Neighbours]] = [[] for _ in range(queries.shape[1])]
        for ids, planes in _blocks(chunks):
            for query, distances in enumerate(_distances(planes, queries)):
                if distances.min() <= radius:
                    hit = np.flatnonzero(distances <= radius)
                    found[query].append(Neighbours(take(ids, hit), distances[hit].astype(np.int32)))
        return [_sorted(_joined(parts)) for parts in found]

    def search_weighted(
        self, chunks: Sequence[Chunk], tables: NDArray[np.float32], k: int
    ) -> list[Scored]:
        best = [_Best(k, np.float32) for _ in tables]
        for ids, planes in _blocks(chunks):
            words = np.ascontiguousarray(planes, dtype="<u8").view(np.uint8)
            columns = words.reshape(len(planes), -1, 8).swapaxes(1, 2).reshape(-1, len(ids))
            # Widened once for all queries: NumPy would widen byte indices at every look-up.
            values = columns[: tables.shape[1]].astype(np.intp)
            for query, table in zip(best, tables, strict=True):
                scores = np.zeros(len(ids), dtype=np.float32)
                for column, entries in zip(values, table, strict=True):
                    scores += entries[column]
                query.offer(ids, -scores)
        found = [candidates.result() for candidates in best]
        return [Scored(ids, (0 - distances).astype(np.float32)) for ids, distances in found]


class _Best:
    """The ``k`` nearest codes of one query among the blocks it was offered."""

    def __init__(self, k: int, dtype: type[np.number[Any]] = np.int32) -> None:
        self._k = k
        self._dtype = dtype
        self._parts: list[Neighbours] = []
        self._count = 0
        self._bound: Any = None  # the distance of the worst of k, once there are k
        self._largest_id = -1

    def offer(self, ids: Ids, distances: NDArray[Any]) -> None:
        """Take from a block (ids ascending, not empty) what may be among the ``k`` nearest."""
        if self._bound is None:
            self._take(listed(ids), distances)
        else:
            # A tie with the bound wins by its id only, so not where all ids are larger.
            closer = np.less if ids[0] > self._largest_id else np.less_equal
            if closer(distances.min(), self._bound):
                near = np.flatnonzero(closer(distances, self._bound))
                self._take(take(ids, near), distances[near])
        self._largest_id = max(self._largest_id, int(ids[-1]))

    def result(self) -> Neighbours:
        return _sorted(_nearest(_joined(self._parts, self._dtype), self._k))

    def _take(self, ids: NDArray[np.int64], distances: NDArray[Any]) -> None:
        self._parts.append(Neighbours(ids, distances.astype(self._dtype)))
        self._count += len(ids)
        # Pruning at twice k makes its cost per candidate constant.
        if self._count >= self._k and (self._bound is None or self._count >= 2 * self._k):
            best = _nearest(_joined(self._parts, self._dtype), self._k)
            self._parts, self._count = [best], self._k
            self._bound = best.distances.max()


def _blocks(
    chunks: Iterable[Chunk],
) -> Iterator[tuple[Ids, NDArray[np.uint64]]]:
    """Ids and planes of the kept codes, at most ``BLOCK`` at a time, never none."""
    for chunk in chunks:
        for start in range(0, len(chunk.ids), BLOCK):
            ids = chunk.ids[start : start + BLOCK]
            planes = chunk.planes[:, start : start + BLOCK]
            kept = chunk.kept(start, start + BLOCK)
            if kept is not None:
                places = np.flatnonzero(kept)
                ids, planes = take(ids, places), planes[:, places]
            if len(ids):
                yield ids, planes


def _distances(planes: NDArray[np.uint64], queries: NDArray[np.uint64]) -> Iterator[Distances]:
    """Distances ``(n,)`` of a block to each query; the next one overwrites the array."""
    words, n = planes.shape
    differing = np.empty(n, dtype=np.uint64)
    ones = np.empty(n, dtype=np.uint8)
    total: Distances = np.empty(n, dtype=np.uint8 if 64 * words <= 255 else np.uint16)
    for query in range(queries.shape[1]):
        for word in range(words):
            np.bitwise_xor(planes[word], queries[word, query], out=differing)
            if word == 0:
                np.bitwise_count(differing, out=total)
            else:
                np.bitwise_count(differing, out=ones)
                np.add(total, ones, out=total)
        yield total


def _nearest(candidates: Neighbours, k: int) -> Neighbours:
    """The first ``k`` in the order (distance, id), themselves in no order."""
    ids, distances = candidates
    if len(ids) <= k:
        return candidates
    last = np.partition(distances, k - 1)[k - 1]
    nearer = np.flatnonzero(distances < last)
    tied = np.flatnonzero(distances == last)
    wanted = k - len(nearer)
    if wanted < len(tied):
        tied = tied[np.argpartition(ids[tied], wanted - 1)[:wanted]]
    chosen = np.concatenate([nearer, tied])
    return Neighbours(ids[chosen], distances[chosen])


def _joined(parts: list[Neighbours], dtype: type[np.number[Any]] = np.int32) -> Neighbours:
    if not parts:
        return Neighbours(np.empty(0, dtype=np.int64), np.empty(0, dtype=dtype))
    return Neighbours(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.distances for part in parts]),
    )


def _sorted(candidates: Neighbours) -> Neighbours:
    order = np.lexsort((candidates.ids, candidates.distances))
    return Neighbours(candidates.ids[order], candidates.distances[order])
