"""The compiled loops of the scan. Imports Numba, so only what runs them may import this.

Memory is read faster than distances can be looked at one by one. So of each block only the lowest
distance is computed, which the compiler turns into vector instructions, and a block is looked at
again only when its lowest distance is within a query's limit: a bound from a sample first, then the
worst of the ``k`` best so far. A tile of blocks stays in cache while all queries pass.

Compiled once for each number of words and cached on disk. ``rows`` is a tuple of uint64, the
addresses of the planes; ``keep`` the address of a bitmap of the codes that count, 0 for all.
"""

from typing import Any

import numpy as np
from numba import njit

from xmodal.hamming.intrinsics import bit_at, distance, number_at

BLOCK = 512
# Words of a tile: half of a first cache of 64 KB, the whole of one of 32 KB.
TILE_WORDS = 4096
# A block that is looked at again is halved into such pieces first: most of them drop out.
PIECE = 32
# Codes a step of the sample: the eight words of a cache line.
SAMPLE_RUN = 8

compiled = njit(nogil=True, cache=True)


@compiled
def scan(
    rows: Any,
    ids: int,
    first_id: int,
    keep: int,
    start: int,
    stop: int,
    queries: Any,
    limits: Any,
    best: Any,
    best_ids: Any,
    counts: Any,
) -> None:
    """Offer the codes ``start`` to ``stop`` of a chunk to the best ``k`` of each query.

    ``ids`` is the address of int64 ids, ascending, or 0 where they run on from ``first_id``.
    ``queries`` uint64 ``(q, words)``; ``limits`` int64 ``(q,)``, no code farther is taken; ``best``
    int32 and ``best_ids`` int64 ``(q, k)`` are heaps with the worst in front, of which ``counts``
    int64 ``(q,)`` are filled.
    """
    k = best.shape[1]
    size = max(BLOCK, TILE_WORDS // len(rows))
    for tile in range(start, stop, size):
        tile_stop = min(tile + size, stop)
        for row in range(len(queries)):
            query = np.uint64(queries[row].ctypes.data)
            for block in range(tile, tile_stop, BLOCK):
                block_stop = min(block + BLOCK, tile_stop)
                limit = limits[row]
                if counts[row] == k:
                    # The worst wins a tie against all ids behind it.
                    next_id = number_at(ids, block) if ids else first_id + block
                    limit = min(limit, best[row, 0] - (next_id > best_ids[row, 0]))
                if np.int64(_lowest(rows, query, block, block_stop)) > limit:
                    continue
                for piece in range(block, block_stop, PIECE):
                    piece_stop = min(piece + PIECE, block_stop)
                    if np.int64(_lowest(rows, query, piece, piece_stop)) > limit:
                        continue
                    for place in range(piece, piece_stop):
                        found = np.int64(distance(rows, query, place))
                        if found > limit or (keep and not bit_at(keep, place)):
                            continue
                        found_id = number_at(ids, place) if ids else first_id + place
                        _offer(best[row], best_ids[row], counts, row, found, found_id)
                        if counts[row] == k:
                            limit = min(limit, best[row, 0])


@compiled
def score(
    rows: Any,
    ids: int,
    first_id: int,
    keep: int,
    start: int,
    stop: int,
    tables: Any,
    best: Any,
    best_ids: Any,
    counts: Any,
) -> None:
    """Offer codes to the best ``k`` of each query by tables, float32 ``(q, bytes, 256)``.

    ``best`` float32 ``(q, k)`` are heaps of negated scores, the other arguments those of ``scan``.
    """
    k = best.shape[1]
    for tile in range(start, stop, BLOCK):
        for row in range(len(tables)):
            for place in range(tile, min(tile + BLOCK, stop)):
                if keep and not bit_at(keep, place):
                    continue
                total = np.float32(0)
                for byte in range(tables.shape[1]):
                    word = np.uint64(number_at(rows[byte >> 3], place))
                    value = (word >> np.uint64(8 * (byte & 7))) & np.uint64(255)
                    total += tables[row, byte, value]
                if counts[row] < k or -total <= best[row, 0]:
                    found_id = number_at(ids, place) if ids else first_id + place
                    _offer(best[row], best_ids[row], counts, row, -total, found_id)


@compiled
def within(
    rows: Any,
    keep: int,
    start: int,
    stop: int,
    query: Any,
    radius: int,
    places: Any,
    distances: Any,
) -> tuple[int, int]:
    """Write places and distances of the codes within ``radius`` until the arrays might not hold
    another block; returns how many were written, and where to go on.
    """
    address = np.uint64(query.ctypes.data)
    count = 0
    for block in range(start, stop, BLOCK):
        block_stop = min(block + BLOCK, stop)
        if count + BLOCK > len(places):
            return count, block
        if np.int64(_lowest(rows, address, block, block_stop)) > radius:
            continue
        for place in range(block, block_stop):
            found = np.int64(distance(rows, address, place))
            if found <= radius and not (keep and not bit_at(keep, place)):
                places[count] = place
                distances[count] = found
                count += 1
    return count, stop


@compiled
def sample(rows: Any, keep: int, stop: int, step: int, queries: Any, histogram: Any) -> int:
    """Count in ``histogram`` int64 ``(q, bits + 1)`` the distances of some codes to each query.

    Looks at runs of ``SAMPLE_RUN`` codes at every ``step``-th place; returns how many counted.
    """
    count = 0
    for start in range(0, stop, step):
        for place in range(start, min(start + SAMPLE_RUN, stop)):
            if keep and not bit_at(keep, place):
                continue
            count += 1
            for row in range(len(queries)):
                query = np.uint64(queries[row].ctypes.data)
                histogram[row, np.int64(distance(rows, query, place))] += 1
    return count


@compiled
def _lowest(rows: Any, query: int, start: int, stop: int) -> Any:
    lowest = np.uint64(0xFFFF)
    for place in range(start, stop):
        lowest = min(lowest, distance(rows, query, place))
    return lowest


@compiled
def _offer(best: Any, best_ids: Any, counts: Any, row: int, found: int, found_id: int) -> None:
    """Put a code into a heap ordered by (distance, id), in place of the worst if it is full."""
    k = len(best)
    if counts[row] < k:
        place = counts[row]
        counts[row] += 1
        while place:
            above = (place - 1) >> 1
            if _worse(best[above], best_ids[above], found, found_id):
                break
            best[place], best_ids[place] = best[above], best_ids[above]
            place = above
    elif _worse(best[0], best_ids[0], found, found_id):
        place = 0
        while 2 * place + 1 < k:
            below = 2 * place + 1
            if below + 1 < k and _worse(
                best[below + 1], best_ids[below + 1], best[below], best_ids[below]
            ):
                below += 1
            if not _worse(best[below], best_ids[below], found, found_id):
                break
            best[place], best_ids[place] = best[below], best_ids[below]
            place = below
    else:
        return
    best[place] = found
    best_ids[place] = found_id


@compiled
def _worse(left: int, left_id: int, right: int, right_id: int) -> bool:
    return left > right or (left == right and left_id > right_id)
