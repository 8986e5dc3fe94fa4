"""The engines by name, and the choice between them.

Loading Numba and the compiled kernels takes as long as NumPy needs to compare two hundred million
codes once. So the first searches are NumPy's; the compiled engine is loaded when they have taken
as long as loading it would have, or a single one would: never more than twice the best choice.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import CodesError
from xmodal.hamming.engine import Chunk, Engine, Neighbours
from xmodal.hamming.numpy_engine import NumpyEngine

# What loading the compiled engine costs, in 64-bit words that NumPy compares with a query in that
# time (.45 s, 1.1 ns a word).
LOADING_WORDS = 400_000_000


@cache
def _compiled() -> Engine:
    from xmodal.hamming.compiled_engine import CompiledEngine

    return CompiledEngine()


def _multi_index() -> Engine:
    from xmodal.hamming.multi_index import MultiIndexEngine

    return MultiIndexEngine()


class AutoEngine:
    """NumPy while that is cheaper than loading the compiled engine, which comes after it."""

    name = "auto"

    def __init__(self) -> None:
        self._numpy = NumpyEngine()
        self._faster: Engine | None = None
        self._left = LOADING_WORDS
        self._choosing = threading.Lock()

    def search(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], k: int
    ) -> list[Neighbours]:
        return self._chosen(chunks, queries).search(chunks, queries, k)

    def search_radius(
        self, chunks: Sequence[Chunk], queries: NDArray[np.uint64], radius: int
    ) -> list[Neighbours]:
        return self._chosen(chunks, queries).search_radius(chunks, queries, radius)

    def _chosen(self, chunks: Sequence[Chunk], queries: NDArray[np.uint64]) -> Engine:
        if self._faster is not None:
            return self._faster
        with self._choosing:
            self._left -= sum(len(chunk.ids) for chunk in chunks) * queries.size
            if self._faster is None and self._left < 0:
                try:
                    self._faster = _compiled()
                except ImportError:  # no Numba for this machine
                    self._faster = self._numpy
            return self._faster or self._numpy


# One choice for all indexes of a process: what one of them loaded, the others have.
ENGINES: dict[str, Callable[[], Engine]] = {
    "auto": cache(AutoEngine),
    "numpy": NumpyEngine,
    "compiled": _compiled,
    "multi-index": _multi_index,
}


def create_engine(name: str) -> Engine:
    """The engine of that name; CodesError for an unknown one."""
    if name not in ENGINES:
        raise CodesError(f"no engine {name!r}; choose one of: {', '.join(ENGINES)}")
    return ENGINES[name]()
