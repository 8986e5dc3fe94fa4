"""The bytes of a segment: every length and every bit is checked; merging holds few at a time."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from xmodal.hamming.packing import to_planes, word_count
from xmodal.store import segments
from xmodal.store.layout import (
    DamagedSegmentError,
    pack_deleted,
    pack_segment,
    unpack_live,
    unpack_segment,
)
from xmodal.store.loading import load_codes
from xmodal.store.models import Base, Segment
from xmodal.store.segments import (
    append_codes,
    count_codes,
    delete_codes,
    merge_segments,
)
from xmodal.store.sqlite import APPLICATION_ID

HASHER, BYTES = 1, 9
id_lists = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40, unique=True)


def packed(ids: list[int], code_bytes: int = BYTES, seed: int = 0):
    planes = to_planes(
        np.random.default_rng(seed).integers(0, 256, (len(ids), code_bytes), dtype=np.uint8)
    )
    return pack_segment(np.sort(np.array(ids, np.int64)), planes), planes


@given(id_lists, st.integers(1, 128), st.data())
def test_what_is_packed_comes_back_without_what_is_deleted(ids, code_bytes, data):
    segment, planes = packed(ids, code_bytes)
    live = np.array(data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids))))
    words = word_count(code_bytes)
    for deleted, kept in ((None, np.ones(len(ids), bool)), (pack_deleted(live), live)):
        found_ids, found = unpack_segment(replace(segment, deleted=deleted), words)
        assert np.array_equal(found_ids, np.sort(np.array(ids, np.int64))[kept])
        assert np.array_equal(found, planes[:, kept])


@given(id_lists, st.data())
@settings(max_examples=60)
def test_no_single_flipped_bit_goes_unseen(ids, data):
    segment, _ = packed(ids)
    segment = replace(segment, deleted=pack_deleted(np.ones(len(ids), bool)))
    column = data.draw(
        st.sampled_from(["codes", "checksum", "deleted"] + ["ids"] * (segment.ids is not None))
    )
    value = bytearray(getattr(segment, column))
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedSegmentError):
        unpack_segment(replace(segment, **{column: bytes(value)}), word_count(BYTES))


@pytest.mark.parametrize(
    "change",
    [
        {"codes": b""},
        {"codes": bytes(16 * 4)},
        {"codes": bytes(16 * 3 + 1)},
        {"ids": b"1234567"},
        {"ids": bytes(8 * 4)},
        {"ids": None},
        {"count": 4},
        {"count": 2},
        {"first_id": 0},
        {"last_id": 10**15},
        {"deleted": b""},
        {"deleted": pack_deleted(np.ones(9, bool))},
    ],
)
def test_a_wrong_length_or_number_is_damage(change):
    segment, _ = packed([1, 5, 6])
    with pytest.raises(DamagedSegmentError):
        unpack_segment(replace(segment, **change), word_count(BYTES))


def test_another_code_length_is_damage():
    segment, _ = packed([1, 5, 6])
    with pytest.raises(DamagedSegmentError, match="expected 24 bytes of codes, found 48"):
        unpack_segment(segment, words=1)


def test_no_bitmap_means_that_all_are_live():
    assert unpack_live(3, None).tolist() == [True] * 3


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight codes a segment, and merging that holds about twenty at a time."""
    monkeypatch.setattr(segments, "SEGMENT_CODES", 8)
    monkeypatch.setattr(segments, "_SMALL", 4)
    monkeypatch.setattr(segments, "_MERGE_CODES", 20)


def codes_of(ids) -> np.ndarray:
    return np.array([[i % 256] * BYTES for i in ids], np.uint8).reshape(len(ids), BYTES)


def test_merging_many_small_segments_in_steps_loses_none(database, small_segments):
    rng = np.random.default_rng(0)
    ids = rng.permutation(100)
    with database.transaction() as session:
        for start in range(0, 100, 3):
            some = ids[start : start + 3]
            append_codes(session, HASHER, "image", some, codes_of(some))
        assert delete_codes(session, HASHER, "image", np.arange(0, 100, 7)) == 15
        merge_segments(session, HASHER, "image")
    with database.session() as session:
        counts = session.scalars(select(Segment.count).order_by(Segment.id)).all()
        loaded = load_codes(session, HASHER, "image")
        assert count_codes(session, HASHER, "image") == 85
    assert counts == [8] * 10 + [5]
    expected = np.setdiff1d(np.arange(100), np.arange(0, 100, 7))
    ids = np.concatenate([np.array(ids) for ids, _ in loaded.batches])
    planes = np.concatenate([planes for _, planes in loaded.batches], axis=1)
    order = np.argsort(ids)
    assert np.array_equal(ids[order], expected)
    assert np.array_equal(planes[:, order], to_planes(codes_of(expected)))


def test_merging_again_changes_nothing(database, small_segments):
    with database.transaction() as session:
        for number in range(10):
            append_codes(session, HASHER, "image", np.array([number]), codes_of([number]))
        merge_segments(session, HASHER, "image")
    before = rows(database)
    with database.transaction() as session:
        merge_segments(session, HASHER, "image")
    assert rows(database) == before


def rows(database) -> list:
    with database.session() as session:
        return session.execute(select(Segment.id, Segment.checksum).order_by(Segment.id)).all()


def test_a_segment_without_live_codes_is_removed(database):
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.array([1, 2]), codes_of([1, 2]))
        delete_codes(session, HASHER, "image", np.array([1]))
        delete_codes(session, HASHER, "image", np.array([1, 2, 3]))
    assert rows(database) == []


def test_codes_of_a_damaged_segment_can_be_given_anew(database):
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.array([1, 2]), codes_of([1, 2]))
        session.execute(update(Segment).values(codes=b"gone"))
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.array([1, 2]), codes_of([1, 2]))
    with database.session() as session:
        loaded = load_codes(session, HASHER, "image")
    assert [int(i) for ids, _ in loaded.batches for i in ids] == [1, 2]
    assert loaded.problems == []


def test_ids_and_codes_of_a_segment_are_no_part_of_the_session(database):
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.array([1, 2]), codes_of([1, 2]))
        load_codes(session, HASHER, "image")
        assert len(session.identity_map) == 0


def test_the_bytes_lie_where_the_format_page_says():
    codes = np.random.default_rng(0).integers(0, 256, (3, BYTES), dtype=np.uint8)
    segment = pack_segment(np.array([2, 4, 9]), to_planes(codes))
    for i in range(3):
        for b in range(BYTES):
            assert segment.codes[8 * (3 * (b // 8) + i) + b % 8] == codes[i, b]
    head = b"".join(number.to_bytes(8, "little") for number in (3, 2, 9))
    ids = b"".join(number.to_bytes(8, "little") for number in (2, 4, 9))
    assert segment.ids == ids
    # Neither fills a row of 512 words: the sums of no rows are 512 zeros, and the words follow.
    whole = head + bytes(4096) + ids + bytes(4096) + segment.codes
    assert segment.checksum == hashlib.blake2b(whole, digest_size=16).digest()
    deleted = pack_deleted(np.array([True, False, True]))
    assert deleted == hashlib.blake2b(b"\x40", digest_size=16).digest() + b"\x40"


def test_the_format_page_names_every_table_and_column():
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
    for table in Base.metadata.sorted_tables:
        for name in (table.name, *table.columns.keys()):
            assert f"`{name}`" in page, f"{table.name}: {name}"
    assert f"application_id = {APPLICATION_ID}" in page
