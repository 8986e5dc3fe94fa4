"""HammingIndex: what it refuses, what it keeps, and what threads see."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.errors import CodesError
from xmodal.hamming import Chunk, HammingIndex, Neighbours, pack_bits, to_planes


@pytest.fixture
def index() -> HammingIndex:
    """Codes 0..9 under ids 0..9: the distance to zero is the popcount of the id."""
    index = HammingIndex(8)
    index.add(np.arange(10), np.arange(10, dtype=np.uint8)[:, None])
    return index


ZERO = np.zeros((1, 1), dtype=np.uint8)
IDS = np.arange(20, 22)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda i: i.add(IDS, np.zeros((2, 2), np.uint8)), r"\(n, 1\) \(8 bits\), found \(2, 2\)"),
        (lambda i: i.add(IDS, np.zeros((2, 1), np.int8)), "uint8, found int8"),
        (lambda i: i.add(IDS, np.zeros((3, 1), np.uint8)), "found 2 ids, 3 codes"),
        (lambda i: i.add(IDS.astype(float), np.zeros((2, 1), np.uint8)), "int64, found float64"),
        (lambda i: i.add(IDS.astype(np.uint64), np.zeros((2, 1), np.uint8)), "found uint64"),
        (lambda i: i.add([20, 21], np.zeros((2, 1), np.uint8)), "found list"),
        (lambda i: i.add(IDS[:, None], np.zeros((2, 1), np.uint8)), r"\(n,\), found \(2, 1\)"),
        (lambda i: i.add(-IDS, np.zeros((2, 1), np.uint8)), "0 or greater, found -21"),
        (lambda i: i.add(IDS * 0 + 30, np.zeros((2, 1), np.uint8)), "id 30: more than once"),
        (lambda i: i.add(IDS - 12, np.zeros((2, 1), np.uint8)), "id 8, 9: in the index already"),
        (lambda i: i.add_planes(IDS, np.zeros((2, 2), np.uint64)), r"\(1, n\), found \(2, 2\)"),
        (lambda i: i.add_planes(IDS, np.full((1, 2), 256, np.uint64)), "zeros after the 8 bits"),
        (lambda i: i.remove(IDS), "id 20, 21: not in the index"),
        (lambda i: i.remove(np.arange(50)), r"id 10, 11, 12 \(and 37 more\): not in the index"),
        (lambda i: i.remove(IDS * 0), "id 0: more than once"),
        (lambda i: i.search(ZERO, 0), "k must be at least 1, not 0"),
        (lambda i: i.search(ZERO, 2.0), "k as an integer, found 2.0"),
        (lambda i: i.search(ZERO[0], 1), r"found \(1,\)"),
        (lambda i: i.search(ZERO.astype(np.float32), 1), "found float32"),
        (lambda i: i.search(ZERO, 1, np.ones(10)), "allowed of dtype int64, found float64"),
        (lambda i: i.search(ZERO, 1, np.ones((10, 1), bool)), r"allowed of shape \(m,\), found"),
        (lambda i: i.search_weighted(np.ones(16), 1), r"\(8,\) or \(q, 8\), found \(16,\)"),
        (lambda i: i.search_weighted(np.full(8, np.nan), 1), "finite values in a query"),
        (lambda i: i.search_weighted(ZERO, 1), "a query of dtype float32, found uint8"),
        (lambda i: i.search_weighted(np.ones(8), 0), "k must be at least 1, not 0"),
        (lambda i: i.search_radius(ZERO, -1), "radius must be at least 0, not -1"),
        (lambda i: HammingIndex(12), "multiple of 8 from 8 to 1024, not 12"),
        (lambda i: HammingIndex(0), "not 0"),
        (
            lambda i: HammingIndex(8, engine="abacus"),
            "engine 'abacus'; choose one of: auto, numpy",
        ),
    ],
)
def test_wrong_input_is_named_and_changes_nothing(index, call, expected) -> None:  # type: ignore[no-untyped-def]
    before = index.search(ZERO, 10)
    with pytest.raises(CodesError, match=expected):
        call(index)
    after = index.search(ZERO, 10)
    assert len(index) == 10
    np.testing.assert_array_equal(before.ids, after.ids)
    np.testing.assert_array_equal(before.distances, after.distances)


def test_ties_are_in_the_order_of_ids(index: HammingIndex) -> None:
    hits = index.search(ZERO, 10)
    assert hits.ids.tolist() == [[0, 1, 2, 4, 8, 3, 5, 6, 9, 7]]
    assert hits.distances.tolist() == [[0, 1, 1, 1, 1, 2, 2, 2, 2, 3]]


def test_what_the_caller_writes_later_does_not_reach_added_codes() -> None:
    ids, codes = np.arange(3), np.zeros((3, 8), dtype=np.uint8)
    index = HammingIndex(64)
    index.add(ids, codes)
    ids += 100
    codes += 1
    hits = index.search(np.zeros((1, 8), np.uint8), 3)
    assert hits.ids.tolist() == [[0, 1, 2]]
    assert hits.distances.tolist() == [[0, 0, 0]]


def test_ascending_planes_are_adopted_without_a_copy() -> None:
    planes = to_planes(np.zeros((5, 16), dtype=np.uint8))
    index = HammingIndex(128)
    index.add_planes(np.arange(5), planes)
    assert np.shares_memory(index._chunks[0].planes, planes)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_strided_and_read_only_arrays_work(engine: str) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (40, 32), dtype=np.uint8)[::2, ::2]
    codes.flags.writeable = False
    ids = np.arange(40)[::2]
    ids.flags.writeable = False
    index = HammingIndex(128, engine)
    index.add(ids, codes)
    hits = index.search(codes[::3], 1, allowed=ids[::3])
    assert hits.ids[:, 0].tolist() == ids[::3].tolist()
    planes = to_planes(codes)
    planes.flags.writeable = False
    other = HammingIndex(128, engine)
    other.add_planes(ids[::2], planes[:, ::2])
    other.remove(ids[:1])
    assert other.search(codes[4:5], 1).ids.tolist() == [[8]]


def test_planes_with_a_run_of_ids_take_a_range(index: HammingIndex) -> None:
    planes = to_planes(np.arange(5, dtype=np.uint8)[:, None])
    index.add_planes(range(100, 105), planes)
    assert index.search(ZERO, 2).ids.tolist() == [[0, 100]]
    with pytest.raises(CodesError, match="id 104: in the index already"):
        index.add_planes(range(104, 109), planes)
    for wrong in (range(200, 210, 2), range(-2, 3)):
        with pytest.raises(CodesError, match="range of step 1 from 0 or greater"):
            index.add_planes(wrong, planes)
    index.remove(np.array([101, 103]))
    assert index.search_radius(ZERO, 8, np.arange(100, 200))[0].ids.tolist() == [100, 102, 104]


@given(st.integers(0, 40), st.integers(0, 60), st.integers(0, 2**32))
def test_a_bitmap_allows_what_the_list_of_its_ids_does(n: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, 2), dtype=np.uint8)
    bitmap = rng.random(size) < rng.random()
    for ids in (np.arange(n), np.sort(rng.choice(50, n, replace=False))):
        index = HammingIndex(16)
        index.add(ids, codes)
        index.remove(ids[::5])
        query = np.zeros((2, 2), np.uint8)
        found = index.search(query, 9, bitmap)
        expected = index.search(query, 9, np.flatnonzero(bitmap))
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.distances, expected.distances)


def test_memory_that_is_not_there_is_asked_for_first(
    index: HammingIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xmodal.hamming.memory.free_memory", lambda: 3_000_000_000)
    with pytest.raises(MemoryError, match=r"results for each query need 12\.0 GB .* 3\.0 GB are"):
        index.search(ZERO, 10**9)
    codes = np.broadcast_to(np.zeros(1, np.uint8), (10**9, 1))  # a view of one byte
    ids = np.broadcast_to(np.zeros(1, np.int64), 10**9)
    monkeypatch.setattr("xmodal.hamming.index.check_ids", lambda ids: ids)  # it would copy them
    with pytest.raises(MemoryError, match=r"1,000,000,000 codes need 16\.0 GB"):
        index.add(ids, codes)
    assert len(index) == 10


def test_removing_everything_gives_the_memory_back(index: HammingIndex) -> None:
    index.remove(np.arange(10))
    assert len(index) == 0
    assert index._chunks == ()
    index.add(np.arange(10), np.arange(10, dtype=np.uint8)[:, None])
    assert len(index) == 10


def test_an_engine_of_ones_own_is_taken(index: HammingIndex) -> None:
    class Nothing:
        name = "nothing"

        def search(self, chunks: list[Chunk], queries: np.ndarray, k: int) -> list[Neighbours]:
            assert k == 2
            return [Neighbours(np.empty(0, np.int64), np.empty(0, np.int32))]

        search_radius = search

    index = HammingIndex(8, engine=Nothing())
    assert "nothing" in repr(index)
    assert index.search(ZERO, 2).ids.tolist() == [[-1, -1]]


def test_a_search_sees_a_batch_as_a_whole_while_other_threads_write() -> None:
    """Each batch holds one code at every distance 0..7; a torn batch would be uneven."""
    ladder = np.array([[(1 << i) - 1] for i in range(8)], dtype=np.uint8)
    index = HammingIndex(8)
    done = threading.Event()
    torn: list[object] = []

    def write() -> None:
        for batch in range(300):
            index.add(np.arange(8) + 8 * batch, ladder)
            if batch % 3 == 2:
                index.remove(np.arange(8) + 8 * (batch - 1))
        done.set()

    def read() -> None:
        while not done.is_set():
            found = index.search_radius(ZERO, 8)[0]
            counts = np.bincount(found.distances, minlength=8)
            if len(set(counts.tolist())) != 1 or len(set(found.ids.tolist())) != len(found.ids):
                torn.append(counts)

    threads = [threading.Thread(target=target) for target in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn
    assert len(index) == 8 * 200


@given(st.permutations(range(30)))
def test_codes_are_read_back_by_id_whatever_their_order(order: list[int]) -> None:
    ids = np.array(order, np.int64) * 7
    codes = pack_bits(np.random.default_rng(1).standard_normal((30, 72)))
    index = HammingIndex(72)
    for part in (slice(0, 20), slice(20, 29), slice(29, 30)):
        index.add(ids[part], codes[part])
    wanted = np.array([0, 203, 7, 7])
    expected = [codes[order.index(i // 7)] for i in wanted]
    assert np.array_equal(index.codes(wanted), expected)
    index.remove(np.array([7]))
    with pytest.raises(CodesError, match="id 7, 8: not in the index"):
        index.codes(np.array([14, 8, 7]))
