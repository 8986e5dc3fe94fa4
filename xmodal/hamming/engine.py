"""What a scan engine is given, and what it returns: the seam between the index and its engines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming.ids import Ids, as_run, listed, take
from xmodal.hamming.packing import empty_planes

# A chunk is the unit that is copied when codes are removed or small adds are merged: large enough
# that a scan does not notice the seams, small enough that a copy takes about a millisecond.
CHUNK = 1 << 20


class Neighbours(NamedTuple):
    """The answer to one query, sorted by (distance, id): int64 and int32, both ``(found,)``."""

    ids: NDArray[np.int64]
    distances: NDArray[np.int32]


class Scored(NamedTuple):
    """The answer to one weighted query, best first, then by id: int64 and float32 ``(found,)``."""

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """At most ``CHUNK`` codes that are never written to again; changes make a new chunk.

    ``planes`` is uint64 ``(words, n)`` with contiguous rows; ``ids`` are ``n`` ascending ids, each
    once, a range where they have no gaps; ``keep`` is the bitmap of the codes that count, uint8
    ``(ceil(n / 8),)``, bit 0 the lowest of each byte, or None for all of them.
    """

    planes: NDArray[np.uint64]
    ids: Ids
    keep: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.ids) if self.keep is None else int(np.bitwise_count(self.keep).sum())

    def kept(self, start: int, stop: int) -> NDArray[np.bool_] | None:
        """Which of the codes ``start`` (a multiple of 8) to ``stop`` count; None for all."""
        if self.keep is None:
            return None
        bits = np.unpackbits(self.keep[start // 8 : -(-stop // 8)], bitorder="little")
        return bits[: min(stop, len(self.ids)) - start].view(np.bool_)

    def locate(self, wanted: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where ascending ids are among the codes that count: places here, places in ``wanted``."""
        start = int(np.searchsorted(wanted, self.ids[0]))
        stop = int(np.searchsorted(wanted, self.ids[-1], side="right"))
        near = wanted[start:stop]
        if isinstance(self.ids, range):
            places, match = near - self.ids.start, np.ones(len(near), dtype=bool)
        else:
            places = np.searchsorted(self.ids, near)
            match = self.ids[places] == near
        if self.keep is not None:
            match &= self.keep[places >> 3] >> (places & 7).astype(np.uint8) & 1 > 0
        return places[match], np.flatnonzero(match) + start

    def only(self, keep: NDArray[np.bool_]) -> "Chunk":
        """The same codes, of which only those count that did and are true in ``keep`` ``(n,)``."""
        bitmap = np.packbits(keep, bitorder="little")
        return Chunk(self.planes, self.ids, bitmap if self.keep is None else self.keep & bitmap)

    def without(self, places: NDArray[np.intp]) -> "Chunk":
        """The same codes, of which those at ``places`` no longer count."""
        keep = np.ones(len(self.ids), dtype=bool)
        keep[places] = False
        return self.only(keep)

    def at(self, places: NDArray[np.intp]) -> "Chunk":
        """The codes at ``places``, in the order of their ids, copied."""
        planes = empty_planes(len(self.planes), len(places))
        np.take(self.planes, places, axis=1, out=planes, mode="clip")  # the others copy twice
        return Chunk(planes, as_run(take(self.ids, places)))

    def compact(self) -> "Chunk":
        """The codes that count, alone."""
        kept = self.kept(0, len(self.ids))
        return self if kept is None else self.at(np.flatnonzero(kept))


def merge(chunks: Iterable[Chunk]) -> Chunk:
    """One chunk with all codes that count, sorted by id."""
    parts = [chunk.compact() for chunk in chunks]
    ids = np.concatenate([listed(part.ids) for part in parts])
    planes = empty_planes(len(parts[0].planes), len(ids))
    np.concatenate([part.planes for part in parts], axis=1, out=planes)
    if np.any(ids[1:] < ids[:-1]):
        order = np.argsort(ids, kind="stable")
        return Chunk(planes, ids).at(order)
    return Chunk(planes, as_run(ids))


class Engine(Protocol):
    """Exact Hamming search over chunks.

    ``queries`` is uint64 ``(words, q)``, with as many words as the planes of the chunks. Ids are
    unique over all chunks' kept codes; the chunks come in the order of their first id, none is
    empty, though ``keep`` may leave nothing of one. Engines hold no codes and may be called from
    several threads at once. Every engine gives the same answer, bit for bit: see the conformance
    suite in ``tests/hamming``.
    """

    name: str

    def search(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], k: int
    ) -> list[Neighbours]:
        """For each query the first ``k`` kept codes in the order (distance, id), fewer if fewer."""
        ...

    def search_radius(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], radius: int
    ) -> list[Neighbours]:
        """For each query all kept codes at a distance of at most ``radius`` bits."""
        ...

    def search_weighted(
        self, chunks: Sequence[Chunk], tables: NDArray[np.float32], k: int
    ) -> list[Scored]:
        """For each query the first ``k`` kept codes in the order (highest score, id).

        ``tables`` float32 ``(q, bytes, 256)``: what each value of a byte adds to the score, added
        up as float32 from the first byte to the last.
        """
        ...
