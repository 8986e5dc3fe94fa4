"""What is measured side by side: searchers of the same codes, each behind ``search(queries, k)``.

Every searcher returns the distances ``(q, k)`` that it found, so that exact ones can be compared.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming import HammingIndex
from xmodal.hamming.compiled_engine import CompiledEngine
from xmodal.hamming.packing import from_planes

Codes = NDArray[np.uint8]
Planes = NDArray[np.uint64]
Search = Callable[[Codes, int], NDArray[np.integer]]

# The largest product of codes and queries that each is asked for: minutes otherwise.
MOST = {
    "numpy rows": 10**7,
    "usearch exact": 10**8,
    "sqlite-vec": 64 * 10**5,
    "xmodal numpy": 10**9,
}


def xmodal(planes: Planes, bits: int, engine: str, threads: int) -> Search:
    index = HammingIndex(bits, CompiledEngine(threads) if engine == "compiled" else engine)
    index.add_planes(range(planes.shape[1]), planes)
    return lambda queries, k: index.search(queries, k).distances


def faiss_flat(codes: Codes, bits: int, threads: int) -> Search:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexBinaryFlat(bits)
    index.add(codes)
    return lambda queries, k: index.search(queries, k)[0]


def usearch_exact(codes: Codes, bits: int, threads: int) -> Search:
    from usearch.index import MetricKind, search

    def find(queries: Codes, k: int) -> NDArray[np.integer]:
        found = search(codes, queries, k, MetricKind.Hamming, exact=True, threads=threads)
        return np.sort(np.atleast_2d(found.distances), axis=1).astype(np.int32)

    return find


def sqlite_vec(codes: Codes, bits: int) -> Search:
    import apsw  # many builds of Python's own sqlite3 cannot load extensions
    import sqlite_vec as extension

    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(extension.loadable_path())
    connection.execute(f"CREATE VIRTUAL TABLE photo USING vec0(code bit[{bits}])")
    rows = ((i, code.tobytes()) for i, code in enumerate(codes))
    connection.executemany("INSERT INTO photo(rowid, code) VALUES (?, vec_bit(?))", rows)
    statement = "SELECT distance FROM photo WHERE code MATCH vec_bit(?) AND k = ? ORDER BY distance"

    def find(queries: Codes, k: int) -> NDArray[np.integer]:
        rows = [list(connection.execute(statement, (query.tobytes(), k))) for query in queries]
        return np.array(rows, dtype=np.int32)[:, :, 0]

    return find


def numpy_rows(codes: Codes) -> Search:
    """What one writes first: rows against rows."""

    def find(queries: Codes, k: int) -> NDArray[np.integer]:
        found = []
        for query in queries:
            distances = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int32)
            found.append(np.sort(np.partition(distances, k - 1)[:k]))
        return np.array(found)

    return find


def contenders(planes: Planes, bits: int, queries: int, threads: int) -> dict[str, Search]:
    """All that are fast enough for so many codes and queries, ours first."""
    n = planes.shape[1]
    made = {"xmodal compiled": xmodal(planes, bits, "compiled", threads)}
    codes = from_planes(planes, bits // 8)
    made["faiss flat"] = faiss_flat(codes, bits, threads)
    others: dict[str, Callable[[], Search]] = {
        "xmodal numpy": lambda: xmodal(planes, bits, "numpy", threads),
        "usearch exact": lambda: usearch_exact(codes, bits, threads),
        "sqlite-vec": lambda: sqlite_vec(codes, bits),
        "numpy rows": lambda: numpy_rows(codes),
    }
    return made | {name: make() for name, make in others.items() if n * queries <= MOST[name]}


def reading(planes: Planes, threads: int) -> Callable[[], object]:
    """Read all codes once, by as many threads: the limit of one query."""
    pool = ThreadPoolExecutor(threads)
    bounds = np.linspace(0, planes.shape[1], threads + 1).astype(int)
    parts = [planes[:, start:stop] for start, stop in pairwise(bounds)]
    return lambda: list(pool.map(lambda part: [plane.sum() for plane in part], parts))


def counting(bits: int) -> Callable[[], int]:
    """Compare codes that are in the first cache; returns how many comparisons were made.

    One thread's popcount throughput: the limit of many queries.
    """
    from xmodal.hamming import kernels
    from xmodal.hamming.compiled_engine import addresses
    from xmodal.hamming.engine import Chunk
    from xmodal.hamming.packing import empty_planes

    n, count = 1024, 4096
    planes = empty_planes(-(-bits // 64), n)
    planes[...] = 0
    queries = np.full((count, len(planes)), 2**64 - 1, dtype=np.uint64)
    limits = np.full(count, -1)  # nothing is near enough
    best, ids = np.empty((count, 1), np.int32), np.empty((count, 1), np.int64)

    def run() -> int:
        counts = np.zeros(count, np.int64)
        kernels.scan(*addresses(Chunk(planes, range(n))), 0, n, queries, limits, best, ids, counts)
        return n * count

    return run
