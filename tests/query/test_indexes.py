"""Which index answers a search, and that each gives the same answer."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from xmodal.hamming import HammingIndex, memory
from xmodal.query import indexes
from xmodal.query.indexes import Indexes
from xmodal.query.streamed import StreamedIndex
from xmodal.store import loading, segments
from xmodal.store.database import Database
from xmodal.store.models import EncoderRecord, HasherRecord, Item, Segment
from xmodal.store.segments import append_codes, delete_codes

BYTES = 9


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "library.db")
    with database.transaction() as session:
        session.add(EncoderRecord(id=1, identifier="toy:1", spec="toy", dim=8))
        session.flush()
        session.add(HasherRecord(id=1, encoder_id=1, name="itq", bits=8 * BYTES, blob=b""))
    yield database
    database.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 64 codes, batches of 200, and every library is a large one."""
    monkeypatch.setattr(segments, "SEGMENT_CODES", 64)
    monkeypatch.setattr(segments, "_SMALL", 32)
    monkeypatch.setattr(loading, "CHUNK", 200)
    monkeypatch.setattr(indexes, "LARGE", 0)


def fill(database: Database, ids: np.ndarray, seed: int = 0) -> np.ndarray:
    codes = np.random.default_rng(seed).integers(0, 16, (len(ids), BYTES), dtype=np.uint8)
    with database.transaction() as session:
        append_codes(session, 1, "image", ids, codes)
    return codes


@pytest.mark.parametrize("step", [1, 3])
def test_the_file_answers_as_an_index_in_memory_does(database, small, step):
    rng = np.random.default_rng(step)
    ids = np.concatenate([np.arange(500), 1000 + rng.permutation(500)]) * step
    codes = fill(database, ids[:900])
    late = fill(database, ids[900:], seed=1)
    with database.transaction() as session:
        delete_codes(session, 1, "image", ids[::7])
    index = HammingIndex(8 * BYTES)
    index.add(ids, np.concatenate([codes, late]))
    index.remove(ids[::7])
    notes: list[str] = []
    with database.session() as session:
        streamed = StreamedIndex(session, 1, "image", notes.append)
        assert len(streamed) == len(index)
        for k in (1, 20, 2000):
            found, expected = streamed.search(codes[:4], k), index.search(codes[:4], k)
            np.testing.assert_array_equal(found.ids, expected.ids)
            np.testing.assert_array_equal(found.distances, expected.distances)
        some = rng.permutation(index.search(codes[:1], 2000).ids[0, :300])
        np.testing.assert_array_equal(streamed.codes(some), index.codes(some))
    assert notes == []


@pytest.mark.parametrize("kind", ["few", "many", "none", "unknown", "all"])
def test_what_is_allowed_is_searched_alike_in_the_file_and_in_memory(database, small, kind):
    rng = np.random.default_rng(1)
    ids = np.concatenate([np.arange(500), 1000 + 3 * np.arange(300)])
    codes = fill(database, ids)
    with database.transaction() as session:
        delete_codes(session, 1, "image", ids[::7])
    index = HammingIndex(8 * BYTES)
    index.add(ids, codes)
    index.remove(ids[::7])
    allowed = {
        "few": np.array([3, 250, 1003]), "many": np.sort(rng.choice(2000, 1500, replace=False)),
        "none": np.array([], dtype=np.int64), "unknown": np.array([700, 5000]),
        "all": np.arange(2500),
    }[kind]  # fmt: skip
    with database.session() as session:
        streamed = StreamedIndex(session, 1, "image", print)
        found = streamed.search(codes[:4], 40, allowed=allowed)
    wanted = index.search(codes[:4], 40, allowed=allowed)
    np.testing.assert_array_equal(found.ids, wanted.ids)
    np.testing.assert_array_equal(found.distances, wanted.distances)
    assert set(found.ids[found.ids >= 0].tolist()) <= set(allowed.tolist())


def test_segments_without_anything_that_is_allowed_are_not_read(database, small):
    codes = fill(database, np.arange(300))
    with database.transaction() as session:
        broken = session.scalars(select(Segment).where(Segment.first_id == 64)).one()
        broken.codes = broken.codes[:-1] + b"\xff"
    notes: list[str] = []
    with database.session() as session:
        streamed = StreamedIndex(session, 1, "image", notes.append)
        assert streamed.search(codes[:1], 3, allowed=np.array([2, 200])).ids.max() == 200
        assert notes == []
        streamed.search(codes[:1], 3, allowed=np.array([70]))
    assert len(notes) == 1


def test_the_first_search_of_many_codes_reads_the_file_and_the_second_loads_it(database, small):
    fill(database, np.arange(300))
    kept = Indexes(database, print)
    with database.session() as session:
        first, second, third = (kept.get(session, 1, "image") for _ in range(3))
    assert isinstance(first, StreamedIndex)
    assert isinstance(second, HammingIndex)
    assert third is second


def test_few_codes_are_loaded_at_once(database):
    fill(database, np.arange(300))
    with database.session() as session:
        assert isinstance(Indexes(database, print).get(session, 1, "image"), HammingIndex)


def test_codes_that_another_connection_wrote_are_found(database):
    fill(database, np.arange(300))
    kept = Indexes(database, print)
    with database.session() as session:
        before = kept.get(session, 1, "image")
    other = Database.open(database.path)
    with other.transaction() as session:
        session.add(Item(kind="text", content_hash=b"1" * 16))
    with database.session() as session:
        assert kept.get(session, 1, "image") is before  # its segments are as they were
    fill(other, np.arange(300, 310))
    with database.session() as session:
        assert len(kept.get(session, 1, "image")) == 310
    with other.transaction() as session:
        delete_codes(session, 1, "image", np.array([5]))
    other.close()
    with database.session() as session:
        assert len(kept.get(session, 1, "image")) == 309


@pytest.mark.parametrize("large", [True, False])
def test_a_damaged_segment_is_named_and_the_rest_is_searched(database, small, monkeypatch, large):
    monkeypatch.setattr(indexes, "LARGE", 0 if large else 1 << 30)
    codes = fill(database, np.arange(300))
    with database.transaction() as session:
        broken = session.scalars(select(Segment).where(Segment.first_id == 64)).one()
        broken.codes = broken.codes[:-1] + b"\xff"
    notes: list[str] = []
    with database.session() as session:
        hits = Indexes(database, notes.append).get(session, 1, "image").search(codes[60:70], 1)
    assert hits.ids[:4, 0].tolist() == [60, 61, 62, 63]
    assert not set(hits.ids[:, 0].tolist()) & set(range(64, 128))
    (note,) = notes
    assert f"segment {broken.id} (image codes of hasher 1, 64 items from id 64) is damaged" in note


def test_a_segment_of_an_impossible_size_is_damaged(database):
    codes = fill(database, np.arange(300))
    fill(database, np.arange(300, 310))
    with database.transaction() as session:
        session.scalars(select(Segment).where(Segment.first_id == 300)).one().count = 1 << 40
    notes: list[str] = []
    with database.session() as session:
        hits = Indexes(database, notes.append).get(session, 1, "image").search(codes[:1], 1)
    assert hits.ids.tolist() == [[0]]
    assert len(notes) == 1


def test_damaged_pages_of_the_file_cost_their_segment_only(database):
    """What SQLite itself finds, not the checksum: a page that leads nowhere."""
    with database.transaction() as session:
        for first, value in ((0, 1), (20_000, 0xAB), (40_000, 3)):
            codes = np.full((20_000, BYTES), value, np.uint8)
            append_codes(session, 1, "image", np.arange(first, first + 20_000), codes)
    database.close()
    content = bytearray(database.path.read_bytes())
    page = next(
        at for at in range(0, len(content), 4096) if content[at + 4 : at + 4096] == b"\xab" * 4092
    )
    content[page : page + 4] = b"\xff" * 4
    database.path.write_bytes(content)
    again = Database.open(database.path)
    notes: list[str] = []
    with again.session() as session:
        hits = StreamedIndex(session, 1, "image", notes.append).search(
            np.zeros((1, 9), np.uint8), 3
        )
        assert hits.ids.tolist() == [[0, 1, 2]]
    again.close()
    (note,) = notes
    assert "20000 items from id 20000) is damaged: database disk image is malformed" in note


def test_codes_that_do_not_fit_into_memory_are_read_from_the_file(database, small, monkeypatch):
    monkeypatch.setattr(indexes, "LARGE", 1 << 30)
    monkeypatch.setattr(memory, "_SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    codes = fill(database, np.arange(300))
    notes: list[str] = []
    with database.session() as session:
        index = Indexes(database, notes.append).get(session, 1, "image")
        assert index.search(codes[:1], 1).ids.tolist() == [[0]]
    (note,) = notes
    assert "300 codes need 4.8 kB of memory and 1.0 kB are free" in note
