"""Multi-index hashing finds what brute force finds, and is used only where it wins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.hamming import HammingIndex, multi_index
from xmodal.hamming.compiled_engine import CompiledEngine
from xmodal.hamming.multi_index import MultiIndexEngine


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of chunks of any size, used at any radius."""
    monkeypatch.setattr(multi_index, "TABLED", 1)
    monkeypatch.setattr(multi_index, "LOOKUP_CODES", 0)
    monkeypatch.setattr(multi_index, "CANDIDATE_CODES", 0)


def clustered(rng: np.random.Generator, n: int, code_bytes: int) -> np.ndarray:
    """Codes a few bits from one of ten centres."""
    centres = rng.integers(0, 256, (10, code_bytes), dtype=np.uint8)
    flips = rng.random((n, 8 * code_bytes)) < 0.03
    return centres[rng.integers(0, 10, n)] ^ np.packbits(flips, axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(2, 400), st.integers(0, 12), st.integers(0, 2**32))
def test_tables_find_all_codes_within_the_radius(code_bytes, n, radius, seed):
    rng = np.random.default_rng(seed)
    codes = clustered(rng, n, code_bytes)
    index = HammingIndex(8 * code_bytes, MultiIndexEngine())
    scan = HammingIndex(8 * code_bytes, "numpy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multi_index, "TABLED", 1)
        patch.setattr(multi_index, "LOOKUP_CODES", 0)
        patch.setattr(multi_index, "CANDIDATE_CODES", 0)
        for each in (index, scan):
            each.add(np.arange(n) * 3, codes)
            each.remove(np.arange(1, n, 4) * 3)
        allowed = np.arange(0, 3 * n, 2)
        for some in (None, allowed):
            found = index.search_radius(codes[:5], radius, some)
            expected = scan.search_radius(codes[:5], radius, some)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_array_equal(one.ids, other.ids)
                np.testing.assert_array_equal(one.distances, other.distances)
        assert index._engine._tables is not None


def test_codes_added_after_the_tables_are_found_too_and_tables_follow(small_tables):
    rng = np.random.default_rng(0)
    codes = clustered(rng, 3000, 16)
    engine = MultiIndexEngine()
    index, scan = HammingIndex(128, engine), HammingIndex(128, "numpy")
    tables = []
    for start in range(0, 3000, 500):
        part = slice(start, start + 500)
        for each in (index, scan):
            each.add(np.arange(start, start + 500), codes[part])
        hits, expected = index.search(codes[::300], 7), scan.search(codes[::300], 7)
        np.testing.assert_array_equal(hits.ids, expected.ids)
        np.testing.assert_array_equal(hits.distances, expected.distances)
        tables.append(engine._tables)
    assert tables[0] is not tables[-1]


def test_a_large_radius_is_scanned():
    codes = np.random.default_rng(0).integers(0, 256, (70_000, 8), dtype=np.uint8)
    scans = []

    class Scanner(CompiledEngine):
        def search_radius(self, chunks, queries, radius):
            if chunks:
                scans.append(radius)
            return super().search_radius(chunks, queries, radius)

    index = HammingIndex(64, MultiIndexEngine(Scanner(threads=1)))
    index.add(np.arange(70_000), codes)
    for radius in (0, 3, 30):
        assert index.search_radius(codes[:1], radius)[0].ids[0] == 0
    assert scans == [30]


def test_queries_in_a_crowd_are_scanned():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (70_000, 8), dtype=np.uint8)
    codes[:30_000] = codes[0]
    index, scan = HammingIndex(64, MultiIndexEngine()), HammingIndex(64, "numpy")
    for each in (index, scan):
        each.add(np.arange(70_000), codes)
    queries = codes[[0, 60_000]]
    found, expected = index.search_radius(queries, 2), scan.search_radius(queries, 2)
    assert [len(one.ids) for one in found] == [30_000, 1]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(index.search(queries, 9).ids, scan.search(queries, 9).ids)


def test_where_most_queries_are_in_a_crowd_tables_are_no_longer_tried():
    codes = np.zeros((70_000, 8), np.uint8)
    codes[40_000:] = np.random.default_rng(0).integers(0, 256, (30_000, 8), dtype=np.uint8)
    engine = MultiIndexEngine()
    index = HammingIndex(64, engine)
    index.add(np.arange(70_000), codes)
    for _ in range(4):
        found = index.search_radius(codes[:10], 1)
        assert [len(one.ids) for one in found] == [40_000] * 10
    assert engine._tables.crowds == {1: (20, 20)}  # the third and fourth time it scanned at once
    assert len(index.search_radius(codes[50_000:50_001], 0)[0].ids) == 1
    assert engine._tables.crowds == {1: (20, 20), 0: (1, 0)}


def test_memory_for_tables_that_is_not_there_is_asked_for_first(monkeypatch):
    index = HammingIndex(64, MultiIndexEngine())
    index.add(
        np.arange(70_000), np.random.default_rng(0).integers(0, 256, (70_000, 8), dtype=np.uint8)
    )
    monkeypatch.setattr("xmodal.hamming.memory.free_memory", lambda: 1_000_000)
    monkeypatch.setattr("xmodal.hamming.memory._SMALL", 0)
    with pytest.raises(MemoryError, match=r"tables of multi-index hashing need .* MB .* 1.0 MB"):
        index.search_radius(np.zeros((1, 8), np.uint8), 1)
