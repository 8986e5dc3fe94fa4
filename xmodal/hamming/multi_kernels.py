"""The compiled loops of multi-index hashing. Imports Numba: only what runs them may import this.

A code's *part* ``j`` is the run of bits ``starts[j]`` to ``starts[j + 1]`` of its words. A *slot*
is the place of a code in the tables: the number of its chunk times ``CHUNK``, and its place there.
"""

from typing import Any

import numpy as np

from xmodal.hamming.engine import CHUNK
from xmodal.hamming.intrinsics import bit_at, number_at, ones
from xmodal.hamming.kernels import compiled


@compiled
def count_parts(rows: Any, n: int, start: int, stop: int, offsets: Any) -> None:
    """Count the values of one part of the codes of a chunk in ``offsets[value + 1]``."""
    for place in range(n):
        offsets[_part(rows, place, start, stop) + 1] += 1


@compiled
def fill_slots(rows: Any, n: int, start: int, stop: int, first: int, ends: Any, slots: Any) -> None:
    """Write the slots of a chunk, from ``first`` on, behind those of the same value."""
    for place in range(n):
        value = _part(rows, place, start, stop)
        slots[ends[value]] = first + place
        ends[value] += 1


@compiled
def gather(
    offsets: Any,
    slots: Any,
    starts: Any,
    radii: Any,
    planes: Any,
    keeps: Any,
    present: Any,
    query: Any,
    radius: int,
    budget: int,
    found: Any,
    distances: Any,
) -> int:
    """Write slots and distances of all codes within ``radius``; returns how many there are.

    Part ``j`` is looked up at up to ``radii[j]`` differing bits (none below 0). ``planes`` uint64
    ``(chunks, words)`` are addresses, ``keeps`` those of bitmaps or 0. Where the arrays are too
    short the rest is only counted; -1 if more than ``budget`` codes would have to be looked at.
    """
    words = planes.shape[1]
    count = 0
    for table in range(len(radii)):
        start, stop = starts[table], starts[table + 1]
        asked = _part_of(query, start, stop)
        for weight in range(radii[table] + 1):
            flips = np.int64((1 << weight) - 1)
            while flips < (1 << (stop - start)):
                value = asked ^ flips
                budget -= offsets[table, value + 1] - offsets[table, value]
                if budget < 0:
                    return -1
                for entry in range(offsets[table, value], offsets[table, value + 1]):
                    slot = np.int64(slots[table, entry])
                    chunk, place = slot // CHUNK, slot % CHUNK
                    if not present[chunk]:
                        continue
                    distance = np.int64(0)
                    for word in range(words):
                        stored = np.uint64(number_at(planes[chunk, word], place))
                        distance += np.int64(ones(stored ^ query[word]))
                    if distance > radius or (keeps[chunk] and not bit_at(keeps[chunk], place)):
                        continue
                    if _seen(planes[chunk], place, query, starts, radii, table):
                        continue
                    if count < len(found):
                        found[count] = slot
                        distances[count] = distance
                    count += 1
                if not flips:
                    break
                # The next larger number with as many ones (Gosper).
                lowest = flips & -flips
                carried = flips + lowest
                flips = (((carried ^ flips) >> 2) // lowest) | carried
    return count


@compiled
def gather_all(
    offsets: Any,
    slots: Any,
    starts: Any,
    radii: Any,
    planes: Any,
    keeps: Any,
    present: Any,
    queries: Any,
    radius: int,
    budget: int,
    found: Any,
    distances: Any,
    counts: Any,
) -> int:
    """:func:`gather` for several queries, one behind the other; returns how much room they need.

    ``counts`` int64 ``(q,)`` gets how many each has, -1 where the budget did not suffice.
    """
    total = 0
    for row in range(len(queries)):
        counts[row] = gather(
            offsets, slots, starts, radii, planes, keeps, present, queries[row], radius, budget,
            found[total:], distances[total:],
        )  # fmt: skip
        total += max(counts[row], 0)
    return total


@compiled
def _seen(rows: Any, place: int, query: Any, starts: Any, radii: Any, table: int) -> bool:
    """Whether a table before this one led to the code already."""
    for earlier in range(table):
        start, stop = starts[earlier], starts[earlier + 1]
        differing = _part(rows, place, start, stop) ^ _part_of(query, start, stop)
        if np.int64(ones(np.uint64(differing))) <= radii[earlier]:
            return True
    return False


@compiled
def _part(rows: Any, place: int, start: int, stop: int) -> Any:
    word, shift = start >> 6, start & 63
    value = np.uint64(number_at(rows[word], place)) >> np.uint64(shift)
    if shift + stop - start > 64:
        value |= np.uint64(number_at(rows[word + 1], place)) << np.uint64(64 - shift)
    return np.int64(value & np.uint64((1 << (stop - start)) - 1))


@compiled
def _part_of(query: Any, start: int, stop: int) -> Any:
    word, shift = start >> 6, start & 63
    value = query[word] >> np.uint64(shift)
    if shift + stop - start > 64:
        value |= query[word + 1] << np.uint64(64 - shift)
    return np.int64(value & np.uint64((1 << (stop - start)) - 1))
