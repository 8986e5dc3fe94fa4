"""Multi-index hashing: exact search without a scan, where the neighbours are near.

Norouzi, Punjani and Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012. Two
codes within ``r`` bits of each other, cut into ``m`` parts, are within ``r // m`` bits in at least
one part (section 3). So each part has a table from its value to the codes that have it, and a query
looks up all values that are so near to its own. The number of those grows exponentially with ``r``.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import comb

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming import multi_kernels
from xmodal.hamming.compiled_engine import (
    CompiledEngine,
    addresses,
    available_cores,
    guess_limits,
    in_order,
)
from xmodal.hamming.engine import CHUNK, Chunk, Neighbours, Scored
from xmodal.hamming.ids import take
from xmodal.hamming.memory import require_memory

# Chunks of fewer codes are scanned: they change often, and a scan of them takes no time.
TABLED = 1 << 16
MOST_CHUNKS = (1 << 32) // CHUNK  # a slot has 32 bits
# What takes as long as a scan of so many codes: looking up a value, looking at a code it led to.
LOOKUP_CODES = 600
CANDIDATE_CODES = 150
# After so many queries of a radius it is known whether most of them are in crowds.
KNOWN = 16
FIRST_FOUND = 1024


@dataclass(frozen=True, eq=False)
class Tables:
    """For each part, the slots of all codes sorted by the part's value.

    ``starts`` int64 ``(m + 1,)`` are the bits where parts begin; ``offsets`` uint32
    ``(m, values + 1)`` where in ``slots`` uint32 ``(m, n)`` those of a value begin. ``planes`` are
    the arrays of the chunks, which are held so that none of another content takes their place.
    ``crowds`` is what searches found out: for a radius, how many queries were looked up, and how
    many of them were in crowds.
    """

    planes: list[NDArray[np.uint64]]
    starts: NDArray[np.int64]
    offsets: NDArray[np.uint32]
    slots: NDArray[np.uint32]
    crowds: dict[int, tuple[int, int]] = field(default_factory=dict)

    def radii(self, radius: int) -> NDArray[np.int64]:
        """How far each part must be looked up: the remainder decides where one less will do."""
        parts = len(self.slots)
        each, rest = divmod(radius, parts)
        return np.array([each if part <= rest else each - 1 for part in range(parts)])

    def lookups(self, radius: int) -> int:
        """How many values are looked up for a query of that radius, in all tables."""
        lengths = np.diff(self.starts).tolist()
        radii = self.radii(radius).tolist()
        return sum(
            comb(length, weight)
            for length, most in zip(lengths, radii, strict=True)
            for weight in range(most + 1)
        )


def build_tables(chunks: Sequence[Chunk]) -> Tables:
    """Tables of all codes of ``chunks``, deleted ones too.

    Parts are as long as there are bits in the number of codes: a value then has about one code.
    """
    n = sum(len(chunk.ids) for chunk in chunks)
    last = np.bitwise_or.reduce([np.bitwise_or.reduce(chunk.planes[-1]) for chunk in chunks])
    bits = 64 * (len(chunks[0].planes) - 1) + max(1, int(last).bit_length())
    parts = max(1, round(bits / n.bit_length()))
    starts = np.linspace(0, bits, parts + 1).astype(np.int64)
    values = 1 << int(np.diff(starts).max())
    require_memory(4 * parts * (n + 2 * values), "the tables of multi-index hashing")
    offsets = np.zeros((parts, values + 1), dtype=np.uint32)
    slots = np.empty((parts, n), dtype=np.uint32)

    def fill(part: int) -> None:
        start, stop = int(starts[part]), int(starts[part + 1])
        for chunk in chunks:
            rows = np.array(addresses(chunk)[0])
            multi_kernels.count_parts(rows, len(chunk.ids), start, stop, offsets[part])
        np.cumsum(offsets[part], out=offsets[part])
        ends = offsets[part, :-1].copy()
        for number, chunk in enumerate(chunks):
            rows = np.array(addresses(chunk)[0])
            multi_kernels.fill_slots(
                rows, len(chunk.ids), start, stop, number * CHUNK, ends, slots[part]
            )

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(fill, range(parts)))
    return Tables([chunk.planes for chunk in chunks], starts, offsets, slots)


class MultiIndexEngine:
    """Looks neighbours up in tables, which it makes at the first search and keeps.

    The tables are made anew when more than half of the codes are in none; until then, new codes
    are scanned. Queries for which a scan takes less are scanned as well.
    """

    name = "multi-index"

    def __init__(self, scanner: CompiledEngine | None = None) -> None:
        self._scanner = scanner or CompiledEngine()
        self._building = threading.Lock()
        self._tables: Tables | None = None

    def search(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], k: int
    ) -> list[Neighbours]:
        total = sum(len(chunk) for chunk in chunks)
        if not total or not queries.size:
            return self._scanner.search(chunks, queries, k)
        k = min(k, total)
        limits = guess_limits(chunks, np.ascontiguousarray(queries.T), k, total)
        found: dict[int, Neighbours] = {}
        for limit in np.unique(limits).tolist():
            columns = np.flatnonzero(limits == limit)
            if self._looks_up(chunks, limit):
                near = self.search_radius(chunks, np.ascontiguousarray(queries[:, columns]), limit)
                for column, best in zip(columns.tolist(), near, strict=True):
                    if len(best.ids) >= k:
                        found[column] = Neighbours(best.ids[:k], best.distances[:k])
        rest = [column for column in range(queries.shape[1]) if column not in found]
        if rest:
            near = self._scanner.search(chunks, np.ascontiguousarray(queries[:, rest]), k)
            found |= zip(rest, near, strict=True)
        return [found[column] for column in range(queries.shape[1])]

    def search_radius(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], radius: int
    ) -> list[Neighbours]:
        tables = self._tables_of(chunks)
        if tables is None or not self._worthwhile(tables, radius):
            return self._scanner.search_radius(chunks, queries, radius)
        numbers = {id(planes): number for number, planes in enumerate(tables.planes)}
        rest = [chunk for chunk in chunks if id(chunk.planes) not in numbers]
        known: dict[int, Chunk] = {
            numbers[id(chunk.planes)]: chunk for chunk in chunks if id(chunk.planes) in numbers
        }
        parts = np.array_split(np.ascontiguousarray(queries.T), self._scanner.threads)
        looked_up = self._scanner.pool.map(
            lambda part: _look_up(tables, known, part, radius), parts
        )
        found = [near for part in looked_up for near in part]
        scanned = self._scanner.search_radius(rest, queries, radius)
        # Where codes crowd around a query its tables lead to too many: those queries are scanned.
        crowded = [column for column, near in enumerate(found) if near is None]
        asked, met = tables.crowds.get(radius, (0, 0))
        tables.crowds[radius] = asked + len(found), met + len(crowded)
        if crowded:
            some = np.ascontiguousarray(queries[:, crowded])
            inside = self._scanner.search_radius(list(known.values()), some, radius)
            for column, near in zip(crowded, inside, strict=True):
                found[column] = near
        return [
            in_order([outside, near])
            for outside, near in zip(scanned, found, strict=True)
            if near is not None
        ]

    def search_weighted(
        self, chunks: Sequence[Chunk], tables: NDArray[np.float32], k: int
    ) -> list[Scored]:
        return self._scanner.search_weighted(chunks, tables, k)

    def _looks_up(self, chunks: Sequence[Chunk], radius: int) -> bool:
        tables = self._tables_of(chunks)
        return tables is not None and self._worthwhile(tables, radius)

    @staticmethod
    def _worthwhile(tables: Tables, radius: int) -> bool:
        """Whether looking up takes less than a scan; see docs/benchmarks/hamming.md."""
        asked, met = tables.crowds.get(radius, (0, 0))
        if asked >= KNOWN and 2 * met > asked:
            return False
        return LOOKUP_CODES * tables.lookups(radius) < tables.slots.shape[1]

    def _tables_of(self, chunks: Sequence[Chunk]) -> Tables | None:
        """Tables of most of the chunks, made if need be; None if all chunks are small."""
        large = [chunk for chunk in chunks if len(chunk.ids) >= TABLED][:MOST_CHUNKS]
        if not large:
            return None
        with self._building:
            known = {id(planes) for planes in self._tables.planes} if self._tables else set()
            missing = sum(len(chunk.ids) for chunk in large if id(chunk.planes) not in known)
            if 2 * missing > sum(len(chunk.ids) for chunk in large):
                self._tables = build_tables(large)
            return self._tables


def _look_up(
    tables: Tables, known: dict[int, Chunk], queries: NDArray[np.uint64], radius: int
) -> list[Neighbours | None]:
    """All known codes within ``radius`` of each query; None where that takes longer than a scan."""
    budget = tables.slots.shape[1] // CANDIDATE_CODES if CANDIDATE_CODES else MOST_CHUNKS * CHUNK
    planes = np.zeros((len(tables.planes), queries.shape[1]), dtype=np.uint64)
    keeps = np.zeros(len(planes), dtype=np.uint64)
    present = np.zeros(len(planes), dtype=np.bool_)
    for number, chunk in known.items():
        planes[number], _, _, keeps[number] = addresses(chunk)
        present[number] = True
    counts = np.empty(len(queries), dtype=np.int64)
    room, found = 0, FIRST_FOUND
    while found > room:
        room = found
        slots = np.empty(room, dtype=np.int64)
        distances = np.empty(room, dtype=np.int32)
        found = multi_kernels.gather_all(
            tables.offsets, tables.slots, tables.starts, tables.radii(radius), planes, keeps,
            present, queries, radius, budget, slots, distances, counts,
        )  # fmt: skip
    slots = slots[:found]
    ids = np.empty(found, dtype=np.int64)
    for number in np.unique(slots // CHUNK).tolist():
        mine = slots // CHUNK == number
        ids[mine] = take(known[number].ids, slots[mine] % CHUNK)
    ends = np.maximum(counts, 0).cumsum().tolist()
    return [
        None if count < 0 else Neighbours(ids[end - count : end], distances[end - count : end])
        for count, end in zip(counts.tolist(), ends, strict=True)
    ]
