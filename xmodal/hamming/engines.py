"""The engines by name, and the choice between them.

Loading Numba and the compiled kernels takes as long as NumPy needs to compare two hundred million
codes once. So the first searches are NumPy's. When they have taken as long as loading would, the
compiled engine is loaded beside them and takes over when it is ready: never more than twice the
best choice, and no search waits for a compiler unless it would take longer without.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import CodesError
from xmodal.hamming.engine import Chunk, Engine, Neighbours, Scored
from xmodal.hamming.numpy_engine import NumpyEngine

if TYPE_CHECKING:
    from xmodal.hamming.compiled_engine import CompiledEngine

# What loading the compiled engine costs, in 64-bit words that NumPy compares with a query in that
# time (.45 s, 1.1 ns a word).
LOADING_WORDS = 400_000_000
# Looking up a byte of a code in a table takes NumPy as long as comparing so many words.
BYTE_WORDS = 2


@cache
def _compiled() -> "CompiledEngine":
    from xmodal.hamming.compiled_engine import CompiledEngine

    return CompiledEngine()


def _multi_index() -> Engine:
    from xmodal.hamming.multi_index import MultiIndexEngine

    return MultiIndexEngine()


class AutoEngine:
    """NumPy while that is cheaper than loading the compiled engine, which comes after it."""

    name = "auto"

    def __init__(self) -> None:
        self._engine: Engine = NumpyEngine()
        self._left = LOADING_WORDS
        self._loading: threading.Thread | None = None
        self._choosing = threading.Lock()

    def search(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], k: int
    ) -> list[Neighbours]:
        return self._chosen(chunks, len(queries), queries.size).search(chunks, queries, k)

    def search_radius(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], radius: int
    ) -> list[Neighbours]:
        engine = self._chosen(chunks, len(queries), queries.size)
        return engine.search_radius(chunks, queries, radius)

    def search_weighted(
        self, chunks: Sequence[Chunk], tables: NDArray[np.float32], k: int
    ) -> list[Scored]:
        count, code_bytes, _ = tables.shape
        engine = self._chosen(chunks, -(-code_bytes // 8), BYTE_WORDS * code_bytes * count)
        return engine.search_weighted(chunks, tables, k)

    def _chosen(self, chunks: Sequence[Chunk], words: int, words_a_code: int) -> Engine:
        if self._left >= 0:
            work = sum(len(chunk.ids) for chunk in chunks) * words_a_code
            with self._choosing:
                self._left -= work
                if self._left < 0 and self._loading is None:
                    self._loading = threading.Thread(target=self._load, args=(words,))
                    self._loading.start()
            if work > LOADING_WORDS and self._loading:
                self._loading.join()
        return self._engine

    def _load(self, words: int) -> None:
        # No Numba for this machine, or no folder for what it compiles: NumPy goes on.
        with suppress(ImportError, RuntimeError):
            engine = _compiled()
            engine.prepare(words)
            self._engine = engine


ENGINES: dict[str, Callable[[], Engine]] = {
    "auto": AutoEngine,
    "numpy": NumpyEngine,
    "compiled": _compiled,
    "multi-index": _multi_index,
}


def create_engine(name: str) -> Engine:
    """The engine of that name; CodesError for an unknown one."""
    if name not in ENGINES:
        raise CodesError(f"no engine {name!r}; choose one of: {', '.join(ENGINES)}")
    return ENGINES[name]()
