"""Rows a chunk at a time, on threads of our own: results do not depend on how many there are.

The order in which BLAS adds depends on its number of threads. So it has one while a hasher learns
or codes; whole chunks of rows go to as many threads as BLAS had, and what they give is taken in the
chunks' order.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Result = TypeVar("Result")
RowNumbers = NDArray[np.int64]

# Rows taken at a time: copies of them stay below 100 MB, and single precision sums accurate.
CHUNK = 8_192


class _Blas:
    """The one place that knows how many threads BLAS has; counts those who want it to have one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limits: Any = None
        self.workers = 1

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                controller = _controller()
                had = [lib["num_threads"] for lib in controller.info() if lib["user_api"] == "blas"]
                self._limits = controller.limit(limits=1, user_api="blas")
                self.workers = max(had, default=1)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._limits.restore_original_limits()
                self.workers = 1


_BLAS = _Blas()


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While it lasts BLAS has one thread, and :func:`in_order` as many as BLAS had."""
    _BLAS.enter()
    try:
        yield
    finally:
        _BLAS.leave()


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``function`` of each item, in the order of the items, computed on several threads.

    Few items are taken ahead of the results, so ``items`` may be made as they are asked for.
    """
    items = iter(items)
    first = list(islice(items, 2))
    workers = _BLAS.workers
    if workers == 1 or len(first) < 2:
        yield from map(function, chain(first, items))
        return
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[Result]] = deque()
        for item in chain(first, items):
            ahead.append(pool.submit(function, item))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def slices(rows: int, size: int | None = None) -> list[slice]:
    """Consecutive slices of at most ``size`` rows, or ``CHUNK``.

    >>> slices(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = size or CHUNK
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def float_rows(values: NDArray[Any], rows: slice | RowNumbers) -> NDArray[np.float32]:
    """Some rows of an array, which may lie in a file, as C-contiguous float32."""
    return np.ascontiguousarray(values[rows], dtype=np.float32)


def rows_with_all(*arrays: NDArray[Any]) -> RowNumbers:
    """Numbers of the rows that are missing, NaN, in none of the arrays."""
    present = ~np.isnan(arrays[0][:, 0])
    for values in arrays[1:]:
        present &= ~np.isnan(values[:, 0])
    return np.flatnonzero(present)
