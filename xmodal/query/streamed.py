"""The index of a single search: codes pass through a small memory, and none are kept."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from xmodal.hamming import Chunk, Hits, to_planes
from xmodal.hamming.allowed import only_allowed
from xmodal.hamming.numpy_engine import NumpyEngine
from xmodal.store.loading import Head, code_bytes, read_batches, read_codes, read_heads


class StreamedIndex:
    """Codes of one hasher and modality, read from the file whenever they are searched.

    Reading them takes longer than a scan, but memory for all of them need not be found first: for
    one search of a large library that is faster, and for one larger than memory the only way.
    ``notify`` receives a sentence on each damaged segment that a search meets.
    """

    def __init__(
        self, session: Session, hasher_id: int, modality: str, notify: Callable[[str], None]
    ) -> None:
        self._session = session
        self._notify = notify
        self._bytes = code_bytes(session, hasher_id)
        self._heads = read_heads(session, hasher_id, modality)

    def __len__(self) -> int:
        return sum(head.live for head in self._heads)

    def search(
        self, codes: NDArray[np.uint8], k: int, allowed: NDArray[np.int64] | None = None
    ) -> Hits:
        """The ``k`` nearest codes of each query, as :meth:`HammingIndex.search` finds them.

        ``allowed`` are ascending ids; segments that hold none of them are not read.
        """
        problems: list[str] = []
        queries = to_planes(codes)
        heads = self._heads if allowed is None else _with_any(self._heads, allowed)
        batches = read_batches(self._session, heads, len(queries), problems, reuse=True)
        chunks: Iterable[Chunk] = (Chunk(planes, ids) for ids, planes in batches)
        if allowed is not None:
            chunks = only_allowed(chunks, allowed)
        found = NumpyEngine().search(chunks, queries, k)
        for problem in problems:
            self._notify(problem)
        return Hits.of(found, k)

    def codes(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The codes of ids that were found, uint8 ``(len(ids), bits // 8)``."""
        return read_codes(self._session, self._heads, self._bytes, ids)


def _with_any(heads: list[Head], allowed: NDArray[np.int64]) -> list[Head]:
    """The segments whose ranges hold any of ascending ids."""
    first = np.searchsorted(allowed, [head.first_id for head in heads])
    behind = np.searchsorted(allowed, [head.last_id for head in heads], side="right")
    return [head for head, some in zip(heads, behind > first, strict=True) if some]
