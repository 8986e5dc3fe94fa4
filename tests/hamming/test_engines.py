"""The automatic choice: NumPy first, the compiled engine when it pays, nothing heavy before."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from xmodal.hamming import HammingIndex, engines
from xmodal.hamming.engines import AutoEngine

QUERY = np.zeros((1, 16), np.uint8)


def filled(n: int) -> HammingIndex:
    index = HammingIndex(128)
    index.add(np.arange(n), np.random.default_rng(0).integers(0, 256, (n, 16), dtype=np.uint8))
    return index


def test_searching_a_hundred_thousand_codes_does_not_import_numba():
    program = (
        "import sys, numpy as np; from xmodal.hamming import HammingIndex; i = HammingIndex(128); "
        "i.add(np.arange(100_000), np.zeros((100_000, 16), np.uint8)); "
        "i.search(np.zeros((1, 16), np.uint8), 10); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_compiled_engine_takes_over_when_numpy_has_worked_as_long(monkeypatch):
    monkeypatch.setattr(engines, "LOADING_WORDS", 100_000)
    index = filled(10_000)
    engine = index._engine
    assert isinstance(engine, AutoEngine)
    first = index.search(QUERY, 5)
    assert engine._loading is None
    while engine._loading is None:
        index.search(QUERY, 5)
    engine._loading.join()
    assert engine._engine.name == "compiled"
    np.testing.assert_array_equal(index.search(QUERY, 5).ids, first.ids)


def test_a_search_that_would_take_longer_without_waits_for_the_compiled_engine(monkeypatch):
    monkeypatch.setattr(engines, "LOADING_WORDS", 1000)
    index = filled(10_000)
    index.search(QUERY, 5)
    assert index._engine._engine.name == "compiled"


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_without_numba_numpy_goes_on(monkeypatch, error):
    def missing():
        raise error("cannot cache function: no locator available")

    monkeypatch.setattr(engines, "LOADING_WORDS", 0)
    monkeypatch.setattr(engines, "_compiled", missing)
    index = filled(100)
    assert index.search(QUERY, 5).ids.shape == (1, 5)
    assert index.search(QUERY, 5).ids.shape == (1, 5)
    assert index._engine._engine.name == "numpy"


def test_several_threads_search_while_one_adds_with_the_compiled_engine():
    """Each batch holds one code at every distance 0..127; a torn batch would be uneven."""
    signs = np.tril(np.ones((128, 128), np.uint8), -1)
    ladder = np.packbits(signs, axis=1)
    index = HammingIndex(128, "compiled")
    index.add(np.arange(128), ladder)
    wrong: list[object] = []
    done = threading.Event()

    def write() -> None:
        for batch in range(1, 120):
            index.add(np.arange(128) + 128 * batch, ladder)
            if batch % 3 == 2:
                index.remove(np.arange(128) + 128 * (batch - 1))
        done.set()

    def read() -> None:
        while not done.is_set():
            found = index.search_radius(QUERY, 128)[0]
            if len(set(np.bincount(found.distances).tolist())) != 1:
                wrong.append(found)
            hits = index.search(QUERY, 3)
            if hits.distances.max() > 3 or hits.ids[0, 0] % 128:
                wrong.append(hits)

    threads = [threading.Thread(target=target) for target in (write, read, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(index) == 128 * 80


FORKED = """
import os
import numpy as np
from xmodal.hamming import HammingIndex
from xmodal.hamming.compiled_engine import CompiledEngine

index = HammingIndex(64, CompiledEngine(threads=2))
index.add(np.arange(600_000), np.zeros((600_000, 8), np.uint8))
query = np.zeros((1, 8), np.uint8)
index.search(query, 1)
child = os.fork()
found = index.search(query, 3).ids.tolist()
assert found == [[0, 1, 2]], found
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_searches_with_threads_of_its_own():
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


COMPILES = """
import numpy as np
from xmodal.hamming import HammingIndex, kernels

index = HammingIndex(64, "compiled")
index.add(np.arange(100), np.zeros((100, 8), np.uint8))
index.search(np.zeros((1, 8), np.uint8), 1)
print(sum(kernels.scan.stats.cache_misses.values()))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    misses = [
        subprocess.run(
            [sys.executable, "-c", COMPILES], check=True, capture_output=True, text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        ).stdout.strip()
        for _ in range(2)
    ]  # fmt: skip
    assert misses == ["1", "0"]
