"""HammingIndex: codes by id, searched exactly, while other threads add and remove."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import CodesError
from xmodal.hamming.allowed import Allowed, only_allowed
from xmodal.hamming.asymmetric import byte_tables
from xmodal.hamming.checks import check_ids, check_number, check_run, refuse
from xmodal.hamming.engine import CHUNK, Chunk, Engine, Neighbours, Scored, merge
from xmodal.hamming.engines import create_engine
from xmodal.hamming.ids import Ids, as_run, listed
from xmodal.hamming.memory import require_memory
from xmodal.hamming.packing import (
    WORD_BYTES,
    check_bits,
    check_codes,
    check_planes,
    from_planes,
    to_planes,
    word_count,
)

HIT_BYTES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The neighbours of ``q`` queries, each row sorted by (distance, id) and padded with -1.

    ``ids`` is int64 ``(q, k)``, ``distances`` int32 ``(q, k)``, in bits.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.int32]

    @classmethod
    def of(cls, found: Sequence[Neighbours], k: int) -> "Hits":
        """The neighbours of each query in arrays of ``k`` columns."""
        hits = cls(
            np.full((len(found), k), -1, dtype=np.int64),
            np.full((len(found), k), -1, dtype=np.int32),
        )
        for row, neighbours in enumerate(found):
            hits.ids[row, : len(neighbours.ids)] = neighbours.ids
            hits.distances[row, : len(neighbours.ids)] = neighbours.distances
        return hits


class HammingIndex:
    """An exact index of binary codes.

    Parameters
    ----------
    bits: length of the codes, a multiple of 8 from 8 to 1024.
    engine: ``"auto"``, the name of an engine, or an object that is one.

    The same codes give the same answer with every engine, on every machine: results are sorted
    by (distance, id). A search sees the codes that were in the index when it began: adding and
    removing replace what they change and leave what a search holds untouched, so any number of
    threads may search while others write, and a batch is seen as a whole or not at all.

    >>> index = HammingIndex(bits=8)
    >>> index.add(np.array([7, 3, 5]), np.array([[0b1], [0b1], [0b111]], dtype=np.uint8))
    >>> hits = index.search(np.array([[0b0]], dtype=np.uint8), k=4)
    >>> hits.ids
    array([[ 3,  7,  5, -1]])
    >>> hits.distances
    array([[ 1,  1,  3, -1]], dtype=int32)
    >>> index.search(np.array([[0b0]], dtype=np.uint8), k=1, allowed=np.array([5, 7])).ids
    array([[7]])
    """

    def __init__(self, bits: int, engine: str | Engine = "auto") -> None:
        self.bits = check_bits(bits)
        self._bytes = bits // 8
        self._engine = create_engine(engine) if isinstance(engine, str) else engine
        self._chunks: tuple[Chunk, ...] = ()
        self._writing = threading.Lock()

    def __len__(self) -> int:
        return sum(len(chunk) for chunk in self._chunks)

    def __repr__(self) -> str:
        return f"<HammingIndex of {len(self):,} codes, {self.bits} bits, {self._engine.name}>"

    def add(self, ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
        """Add codes.

        Parameters
        ----------
        ids: int64 ``(n,)``, 0 or greater, in any order.
        codes: uint8 ``(n, bits // 8)``; copied.

        Raises
        ------
        CodesError: wrong shape, dtype or number; an id that is negative, repeats, or is in the
            index already. NotEnoughMemoryError: the codes do not fit. Nothing is added then. An id
            that was removed may be added again.
        """
        ids, codes = check_ids(ids), check_codes(codes, self._bytes)
        needed = len(codes) * WORD_BYTES * word_count(self._bytes) + ids.nbytes
        require_memory(needed, f"{len(codes):,} codes")
        self.add_planes(ids.copy(), to_planes(codes))

    def add_planes(self, ids: Ids, planes: NDArray[np.uint64]) -> None:
        """Add codes that are laid out in planes already, uint64 ``(words, n)``; else as ``add``.

        ``ids`` may be a ``range`` with step 1, which takes no memory. Where the ids ascend, both
        are kept, not copied: do not write to them afterwards.
        """
        planes = check_planes(planes, word_count(self._bytes))
        ids = check_run(ids) if isinstance(ids, range) else check_ids(ids)
        if len(ids) != planes.shape[1]:
            raise CodesError(
                f"expected one id a code, found {len(ids)} ids, {planes.shape[1]} codes"
            )
        if not len(ids):
            return
        self._check_padding(planes)
        if not isinstance(ids, range):
            if np.any(ids[1:] <= ids[:-1]):
                order = np.argsort(ids, kind="stable")
                ids, planes = ids[order], planes[:, order]
                refuse(ids[1:][ids[1:] == ids[:-1]], "more than once among the ids to add")
            ids = as_run(ids)
        if planes.strides[1] != planes.itemsize:
            planes = np.ascontiguousarray(planes)
        with self._writing:
            for chunk in self._chunks:
                if chunk.ids[0] <= ids[-1] and ids[0] <= chunk.ids[-1]:
                    new = listed(ids)
                    refuse(new[chunk.locate(new)[1]], "in the index already; remove() it first")
            parts = range(0, len(ids), CHUNK)
            chunks = [Chunk(planes[:, i : i + CHUNK], ids[i : i + CHUNK]) for i in parts]
            self._chunks = _folded([*self._chunks, *chunks])

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove codes by id, int64 ``(n,)``.

        Raises
        ------
        CodesError: an id repeats or is not in the index. Nothing is removed then.
        """
        wanted = np.sort(check_ids(ids))
        refuse(wanted[1:][wanted[1:] == wanted[:-1]], "more than once among the ids to remove")
        with self._writing:
            unknown = np.ones(len(wanted), dtype=bool)
            chunks = []
            for chunk in self._chunks:
                places, found = chunk.locate(wanted)
                unknown[found] = False
                if len(places):
                    chunk = chunk.without(places)
                    if 2 * len(chunk) < len(chunk.ids):
                        chunk = chunk.compact()
                if len(chunk.ids):
                    chunks.append(chunk)
            refuse(wanted[unknown], "not in the index")
            self._chunks = tuple(chunks)

    def codes(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The codes of these ids, uint8 ``(len(ids), bits // 8)``; an id may be named twice.

        Raises
        ------
        CodesError: an id is not in the index.
        """
        wanted, back = np.unique(check_ids(ids), return_inverse=True)
        planes = np.empty((word_count(self._bytes), len(wanted)), dtype=np.uint64)
        unknown = np.ones(len(wanted), dtype=bool)
        for chunk in self._chunks:
            places, found = chunk.locate(wanted)
            planes[:, found] = chunk.planes[:, places]
            unknown[found] = False
        refuse(wanted[unknown], "not in the index")
        return from_planes(planes, self._bytes)[back]

    def search(self, codes: NDArray[np.uint8], k: int, allowed: Allowed | None = None) -> Hits:
        """The ``k`` nearest codes of each query.

        Parameters
        ----------
        codes: queries, uint8 ``(q, bits // 8)``.
        k: 1 or greater; rows are padded with -1 where fewer codes are there.
        allowed: what may be found: int64 ``(m,)``, ids in any order, or a bitmap, bool ``(m,)``,
            of which element ``i`` stands for id ``i`` and ids from ``m`` on are not allowed. Ids
            without a code in the index are passed over: a filter is made elsewhere and may know
            more items. An empty array allows nothing.

        Raises
        ------
        CodesError: wrong shape or dtype, ``k < 1``. NotEnoughMemoryError: ``k`` results for each
            query would not fit.
        """
        k = check_number(k, "k", least=1)
        queries = to_planes(check_codes(codes, self._bytes))
        require_memory(HIT_BYTES * k * queries.shape[1], f"{k:,} results for each query")
        return Hits.of(self._engine.search(self._selection(allowed), queries, k), k)

    def search_radius(
        self, codes: NDArray[np.uint8], radius: int, allowed: Allowed | None = None
    ) -> list[Neighbours]:
        """All codes within ``radius`` bits (0 or greater) of each query.

        Returns one ``(ids, distances)`` a query, int64 and int32 ``(found,)``, sorted by
        (distance, id). ``codes``, ``allowed`` and the errors are those of :meth:`search`.
        """
        radius = check_number(radius, "radius", least=0)
        queries = to_planes(check_codes(codes, self._bytes))
        return self._engine.search_radius(self._selection(allowed), queries, radius)

    def search_weighted(
        self, queries: NDArray[np.float32], k: int, allowed: Allowed | None = None
    ) -> list[Scored]:
        """The ``k`` codes of the highest asymmetric score of each query, among all codes.

        Parameters
        ----------
        queries: float32 ``(bits,)`` or ``(q, bits)``, the weight of each bit; the scores are those
            of :func:`asymmetric_scores`.
        k, allowed: as :meth:`search` takes them.

        Returns
        -------
        One ``(ids, scores)`` a query, int64 and float32, highest score first, then by id.

        Raises
        ------
        CodesError: wrong shape or dtype, NaN or infinite weights, ``k < 1``.
        """
        k = check_number(k, "k", least=1)
        tables = byte_tables(queries, self._bytes)
        return self._engine.search_weighted(self._selection(allowed), tables, k)

    def _selection(self, allowed: Allowed | None) -> Sequence[Chunk]:
        """What a search scans: this moment's chunks by first id, cut down to what is allowed."""
        chunks = sorted(self._chunks, key=lambda chunk: int(chunk.ids[0]))
        return chunks if allowed is None else list(only_allowed(chunks, allowed))

    def _check_padding(self, planes: NDArray[np.uint64]) -> None:
        used = self.bits % 64
        if used and np.any(planes[-1] >> np.uint64(used)):
            raise CodesError(
                f"expected zeros after the {used} bits that the last plane of {self.bits}-bit "
                "codes holds, found ones: the planes are of another length or damaged"
            )


def _folded(chunks: list[Chunk]) -> tuple[Chunk, ...]:
    """Merge the last chunks while they are small and of similar size.

    Every code is then copied a logarithmic number of times, however small the batches are.
    """
    while len(chunks) > 1:
        before, last = len(chunks[-2].ids), len(chunks[-1].ids)
        if before + last > CHUNK or before > 2 * last:
            break
        chunks[-2:] = [merge(chunks[-2:])]
    return tuple(chunks)
