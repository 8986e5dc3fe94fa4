"""All codes within a radius: scanned, or looked up in the tables of multi-index hashing."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from codesets import planes
from numpy.typing import NDArray

from xmodal.hamming import HammingIndex, multi_index
from xmodal.hamming.compiled_engine import CompiledEngine
from xmodal.hamming.multi_index import MultiIndexEngine
from xmodal.hamming.packing import from_planes

RADII = (2, 5, 8, 11, 14, 17, 20, 23, 26)
QUERIES = 64
# faiss keeps its tables as hash maps: 300 bytes a code, and minutes to fill, beyond this.
MOST_FOR_FAISS = 2_000_000


def faiss_multi_hash(codes: NDArray[np.uint8], threads: int) -> Callable[..., object]:
    import faiss

    faiss.omp_set_num_threads(threads)
    bits = 8 * codes.shape[1]
    parts = round(bits / len(codes).bit_length())
    index = faiss.IndexBinaryMultiHash(bits, parts, bits // parts)
    index.add(codes)

    def find(queries: NDArray[np.uint8], radius: int) -> int:
        index.nflip = radius // parts  # all that an exact answer needs
        return int(index.range_search(queries, radius + 1)[0][-1])

    return find


def measure_radius(kind: str, n: int, bits: int, threads: int, rounds: int) -> list[dict]:
    """One row for each way and radius: milliseconds for 64 queries a few bits from a code."""
    stored = planes(kind, n, bits)
    rng = np.random.default_rng(1)
    chosen = np.sort(rng.choice(n, QUERIES, replace=False))
    asked = from_planes(np.ascontiguousarray(stored[:, chosen]), bits // 8)
    asked ^= np.packbits(rng.random((QUERIES, bits)) < 3 / bits, axis=1)
    ways: dict[str, Callable[..., object]] = {}
    engines = {"scan": CompiledEngine(threads), "multi-index": MultiIndexEngine()}
    for name, engine in engines.items():
        index = HammingIndex(bits, engine)
        index.add_planes(range(n), stored)
        ways[name] = index.search_radius
    # The crossover is to be seen: tables are used at any radius here.
    multi_index.LOOKUP_CODES, multi_index.KNOWN = 0, 10**9
    started = time.perf_counter()
    ways["multi-index"](asked[:1], 0)
    building = time.perf_counter() - started
    if n <= MOST_FOR_FAISS:
        ways["faiss multi-hash"] = faiss_multi_hash(from_planes(stored, bits // 8), threads)
    rows = []
    for radius in RADII:
        for name, find in list(ways.items()):
            taken = []
            for _ in range(rounds):
                started = time.perf_counter()
                partial(find, asked, radius)()
                taken.append(time.perf_counter() - started)
            row = {"kind": kind, "n": n, "bits": bits, "radius": radius, "name": name}
            rows.append({**row, "ms": 1e3 * statistics.median(taken), "building_s": building})
            if name != "scan" and rows[-1]["ms"] > 20 * rows[-2]["ms"]:
                del ways[name]  # it will only get worse
    return rows
