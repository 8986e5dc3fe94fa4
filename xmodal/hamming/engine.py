"""What a scan engine is given, and what it returns: the seam between the index and its engines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

# A chunk is the unit that is copied when codes are removed or small adds are merged: large enough
# that a scan does not notice the seams, small enough that a copy takes about a millisecond.
CHUNK = 1 << 20


class Neighbours(NamedTuple):
    """The answer to one query, sorted by (distance, id): int64 and int32, both ``(found,)``."""

    ids: NDArray[np.int64]
    distances: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """At most ``CHUNK`` codes that are never written to again; changes make a new chunk.

    ``planes`` is uint64 ``(words, n)`` with contiguous rows, ``ids`` int64 ``(n,)`` ascending
    without repeats, ``keep`` bool ``(n,)``: the codes that count, or None for all of them.
    """

    planes: NDArray[np.uint64]
    ids: NDArray[np.int64]
    keep: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.ids) if self.keep is None else int(np.count_nonzero(self.keep))

    def locate(self, wanted: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where ascending ids are among the codes that count: places here, places in ``wanted``."""
        start = int(np.searchsorted(wanted, self.ids[0]))
        stop = int(np.searchsorted(wanted, self.ids[-1], side="right"))
        places = np.searchsorted(self.ids, wanted[start:stop])
        match = self.ids[places] == wanted[start:stop]
        if self.keep is not None:
            match &= self.keep[places]
        return places[match], np.flatnonzero(match) + start

    def only(self, places: NDArray[np.intp]) -> "Chunk":
        """The same codes, of which only those at ``places`` count."""
        keep = np.zeros(len(self.ids), dtype=bool)
        keep[places] = True
        return Chunk(self.planes, self.ids, keep)

    def without(self, places: NDArray[np.intp]) -> "Chunk":
        """The same codes, of which those at ``places`` no longer count."""
        keep = np.ones(len(self.ids), dtype=bool) if self.keep is None else self.keep.copy()
        keep[places] = False
        return Chunk(self.planes, self.ids, keep)

    def compact(self) -> "Chunk":
        """The codes that count, alone."""
        if self.keep is None:
            return self
        planes = np.ascontiguousarray(self.planes[:, self.keep])
        return Chunk(planes, self.ids[self.keep])


def merge(chunks: Iterable[Chunk]) -> Chunk:
    """One chunk with all codes that count, sorted by id."""
    parts = [chunk.compact() for chunk in chunks]
    ids = np.concatenate([part.ids for part in parts])
    planes = np.concatenate([part.planes for part in parts], axis=1)
    if np.any(ids[1:] < ids[:-1]):
        order = np.argsort(ids, kind="stable")
        ids, planes = ids[order], np.ascontiguousarray(planes[:, order])
    return Chunk(planes, ids)


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
