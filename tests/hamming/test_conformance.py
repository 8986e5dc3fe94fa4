"""The suite that every engine passes: the answers of brute force, bit for bit.

A new engine is added to ``xmodal.hamming.engines.ENGINES`` and is tested here without a change.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.hamming import HammingIndex, asymmetric_scores, engine, to_planes
from xmodal.hamming.engines import ENGINES

pytestmark = pytest.mark.parametrize("engine_name", list(ENGINES))
few = settings(max_examples=60, deadline=None)


@dataclass
class Case:
    """Random codes under random ids, and queries; ``alphabet`` small means many ties."""

    bits: int
    ids: np.ndarray
    codes: np.ndarray
    queries: np.ndarray
    rng: np.random.Generator


@st.composite
def cases(draw: st.DrawFn) -> Case:
    bits = 8 * draw(st.one_of(st.sampled_from([1, 7, 8, 9, 16, 24, 32, 128]), st.integers(1, 40)))
    n = draw(st.integers(0, 300))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    alphabet = draw(st.sampled_from([1, 2, 256]))
    shape = (n + 3, bits // 8)
    codes = rng.integers(0, alphabet, shape, dtype=np.uint16).astype(np.uint8)
    ids = rng.permutation(4 * n)[:n] if draw(st.booleans()) else np.arange(n)
    if draw(st.booleans()):
        ids = ids + 2**62
    return Case(bits, ids, codes[3:], codes[:3], rng)


def brute_force(
    case: Case, query: np.ndarray, allowed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """All ids and distances, sorted by (distance, id)."""
    ids, codes = case.ids, case.codes
    if allowed is not None:
        keep = np.isin(ids, allowed)
        ids, codes = ids[keep], codes[keep]
    distances = np.unpackbits(codes ^ query, axis=1).sum(1, dtype=np.int32)
    order = np.lexsort((ids, distances))
    return ids[order], distances[order]


def assert_exact(
    index: HammingIndex, case: Case, k: int, allowed: np.ndarray | None = None
) -> None:
    hits = index.search(case.queries, k, allowed)
    assert hits.ids.dtype == np.int64
    assert hits.distances.dtype == np.int32
    assert hits.ids.shape == hits.distances.shape == (len(case.queries), k)
    for row, query in enumerate(case.queries):
        ids, distances = brute_force(case, query, allowed)
        found = min(k, len(ids))
        np.testing.assert_array_equal(hits.ids[row, :found], ids[:found])
        np.testing.assert_array_equal(hits.distances[row, :found], distances[:found])
        assert (hits.ids[row, found:] == -1).all()
        assert (hits.distances[row, found:] == -1).all()


@few
@given(case=cases(), k=st.integers(1, 320))
def test_search_equals_brute_force(engine_name: str, case: Case, k: int) -> None:
    index = HammingIndex(case.bits, engine_name)
    index.add(case.ids, case.codes)
    assert len(index) == len(case.ids)
    assert_exact(index, case, k)


@few
@given(case=cases(), radius=st.integers(0, 1100))
def test_radius_search_equals_brute_force(engine_name: str, case: Case, radius: int) -> None:
    index = HammingIndex(case.bits, engine_name)
    index.add(case.ids, case.codes)
    radius = radius % (case.bits + 10)
    for query, found in zip(case.queries, index.search_radius(case.queries, radius), strict=True):
        ids, distances = brute_force(case, query)
        assert found.ids.dtype == np.int64
        assert found.distances.dtype == np.int32
        np.testing.assert_array_equal(found.ids, ids[distances <= radius])
        np.testing.assert_array_equal(found.distances, distances[distances <= radius])


@few
@given(case=cases(), k=st.integers(1, 320), whole=st.booleans(), share=st.sampled_from([1, 0.5]))
def test_weighted_search_equals_brute_force(
    engine_name: str, case: Case, k: int, whole: bool, share: float
) -> None:
    index = HammingIndex(case.bits, engine_name)
    index.add(case.ids, case.codes)
    weights = case.rng.standard_normal((2, case.bits)).astype(np.float32)
    if whole:
        weights = np.round(weights)  # many ties
    keep = case.rng.random(len(case.ids)) < share
    allowed = None if share == 1 else case.ids[keep]
    ids, codes = (case.ids, case.codes) if share == 1 else (case.ids[keep], case.codes[keep])
    for query, found in zip(weights, index.search_weighted(weights, k, allowed), strict=True):
        scores = asymmetric_scores(query, codes)
        order = np.lexsort((ids, -scores))[:k]
        assert found.ids.dtype == np.int64
        assert found.scores.dtype == np.float32
        np.testing.assert_array_equal(found.ids, ids[order])
        np.testing.assert_array_equal(found.scores, scores[order])


@few
@given(case=cases(), share=st.floats(0, 1), k=st.integers(1, 50))
def test_filter_equals_brute_force_over_what_it_allows(
    engine_name: str, case: Case, share: float, k: int
) -> None:
    index = HammingIndex(case.bits, engine_name)
    index.add(case.ids, case.codes)
    allowed = case.ids[case.rng.random(len(case.ids)) < share]
    # Ids that have no code, ids named twice, any order: all of it is a valid filter.
    allowed = case.rng.permutation(np.concatenate([allowed, allowed[:5], [2**61]])).astype(np.int64)
    assert_exact(index, case, k, allowed)


@few
@given(case=cases(), pieces=st.integers(1, 9), k=st.integers(1, 50))
def test_adds_and_removals_in_any_portions_leave_an_exact_index(
    engine_name: str, case: Case, pieces: int, k: int
) -> None:
    index = HammingIndex(case.bits, engine_name)
    n = len(case.ids)
    for part in np.array_split(case.rng.permutation(n), pieces):
        index.add_planes(case.ids[part], to_planes(case.codes[part]))
        assert_exact(index, Case(case.bits, *_present(index, case), case.queries, case.rng), k)
    gone = case.rng.random(n) < case.rng.random()
    for part in np.array_split(np.flatnonzero(gone), 3):
        index.remove(case.ids[part])
    rest = Case(case.bits, case.ids[~gone], case.codes[~gone], case.queries, case.rng)
    assert len(index) == len(rest.ids)
    assert_exact(index, rest, k)
    # What was removed can come back, with another code.
    back = np.flatnonzero(gone)[::2]
    case.codes[back] ^= 1
    index.add(case.ids[back], case.codes[back])
    there = ~gone
    there[back] = True
    assert_exact(
        index, Case(case.bits, case.ids[there], case.codes[there], case.queries, case.rng), k
    )


def _present(index: HammingIndex, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Ids and codes of the case that are in the index now."""
    everything = index.search_radius(case.queries[:1], case.bits)[0].ids
    keep = np.isin(case.ids, everything)
    assert keep.sum() == len(index)
    return case.ids[keep], case.codes[keep]


@pytest.mark.parametrize("distinct", [1, 3, 256])
def test_many_blocks_and_chunks_are_one_exact_index(
    engine_name: str, distinct: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xmodal.hamming.index.CHUNK", 50_000)
    rng = np.random.default_rng(distinct)
    n = 120_000
    codes = rng.integers(0, distinct, (n + 2, 16), dtype=np.uint16).astype(np.uint8)
    case = Case(128, rng.permutation(n), codes[2:], codes[:2], rng)
    index = HammingIndex(128, engine_name)
    index.add(case.ids, case.codes)
    for k in (1, 10, 1000):
        assert_exact(index, case, k)
    gone = rng.random(n) < 0.3
    index.remove(case.ids[gone])
    case = Case(128, case.ids[~gone], case.codes[~gone], case.queries, rng)
    assert_exact(index, case, 100)
    assert_exact(index, case, 100, allowed=case.ids[:40_000])


def test_an_empty_index_finds_nothing(engine_name: str) -> None:
    index = HammingIndex(64, engine_name)
    query = np.zeros((2, 8), dtype=np.uint8)
    assert index.search(query, 3).ids.tolist() == [[-1] * 3] * 2
    assert [len(found.ids) for found in index.search_radius(query, 64)] == [0, 0]
    assert index.search(query[:0], 3).ids.shape == (0, 3)


def test_a_filter_that_allows_nothing_finds_nothing(engine_name: str) -> None:
    index = HammingIndex(8, engine_name)
    index.add(np.arange(5), np.zeros((5, 1), dtype=np.uint8))
    nothing = np.array([], dtype=np.int64)
    assert index.search(np.zeros((1, 1), np.uint8), 2, nothing).ids.tolist() == [[-1, -1]]
    assert len(index.search_radius(np.zeros((1, 1), np.uint8), 8, nothing)[0].ids) == 0


def test_chunks_stay_few_however_small_the_batches(engine_name: str) -> None:
    index = HammingIndex(64, engine_name)
    codes = np.random.default_rng(0).integers(0, 256, (500, 8), dtype=np.uint8)
    for i in range(500):
        index.add(np.array([i]), codes[i : i + 1])
    assert len(index) == 500
    assert len(index._chunks) < 12
    assert index.search(codes[:1], 1).ids.tolist() == [[0]]
    assert engine.CHUNK >= 65_536
