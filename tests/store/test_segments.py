"""Segments keep exactly the codes put in, say when they are damaged, and survive kills."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from xmodal.errors import CodesError
from xmodal.hamming.packing import from_planes
from xmodal.store.database import Database
from xmodal.store.loading import load_codes
from xmodal.store.models import EncoderRecord, HasherRecord, Segment
from xmodal.store.segments import (
    SEGMENT_CODES,
    append_codes,
    count_codes,
    delete_codes,
    merge_segments,
)

HASHER, BYTES = 1, 9


def codes_of(ids, salt: int = 0) -> np.ndarray:
    """A code that tells its id, so that a mixed-up one is seen."""
    rng = [np.random.default_rng([int(i), salt]) for i in ids]
    return np.array([r.integers(0, 256, BYTES) for r in rng], np.uint8).reshape(len(ids), BYTES)


def stored(database: Database) -> dict[int, bytes]:
    with database.session() as session:
        loaded = load_codes(session, HASHER, "image")
    assert loaded.problems == []
    found: dict[int, bytes] = {}
    for ids, planes in loaded.batches:
        for i, code in zip(ids, from_planes(planes, BYTES), strict=True):
            assert int(i) not in found, "an id came twice"
            found[int(i)] = code.tobytes()
    return found


def segments(database: Database) -> int:
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(Segment)) or 0


ids = st.lists(st.integers(1, 60), min_size=1, max_size=25, unique=True)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), ids, st.integers(0, 3)),
        st.tuples(st.just("delete"), ids, st.just(0)),
        st.tuples(st.just("merge"), st.just([]), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(operations)
def test_any_sequence_of_appends_deletions_and_merges_equals_a_dictionary(steps):
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "library.db")
        with database.transaction() as session:
            session.add(EncoderRecord(id=1, identifier="toy:1", spec="toy", dim=8))
            session.flush()
            session.add(HasherRecord(id=HASHER, encoder_id=1, name="itq", bits=72, blob=b""))
        model: dict[int, bytes] = {}
        for action, numbers, salt in steps:
            with database.transaction() as session:
                chosen = np.array(numbers, np.int64)
                if action == "append":
                    codes = codes_of(numbers, salt)
                    append_codes(session, HASHER, "image", chosen, codes)
                    model |= {i: c.tobytes() for i, c in zip(numbers, codes, strict=True)}
                elif action == "delete":
                    gone = delete_codes(session, HASHER, "image", chosen)
                    assert gone == len(model.keys() & set(numbers))
                    model = {i: code for i, code in model.items() if i not in numbers}
                else:
                    merge_segments(session, HASHER, "image")
            with database.session() as session:
                assert count_codes(session, HASHER, "image") == len(model)
        assert stored(database) == model
        assert database.check() == []
        database.close()


def test_modalities_and_hashers_do_not_see_one_another(database):
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.array([1, 2]), codes_of([1, 2]))
        append_codes(session, HASHER, "text", np.array([2, 3]), codes_of([2, 3]))
        delete_codes(session, HASHER, "text", np.array([2]))
    assert set(stored(database)) == {1, 2}


def test_a_large_batch_makes_full_segments_and_merging_joins_small_ones(database):
    many = np.arange(1, SEGMENT_CODES + 101, dtype=np.int64)
    codes = np.random.default_rng(0).integers(0, 256, (len(many), BYTES), dtype=np.uint8)
    with database.transaction() as session:
        append_codes(session, HASHER, "image", many, codes)
    assert segments(database) == 2
    for start in range(100_000, 100_050, 10):
        few = np.arange(start, start + 10)
        with database.transaction() as session:
            append_codes(session, HASHER, "image", few, codes_of(few))
    before = stored(database)
    assert segments(database) == 7
    with database.transaction() as session:
        merge_segments(session, HASHER, "image")
    assert segments(database) == 2
    assert stored(database) == before


def test_ids_that_run_are_stored_by_their_ends(database):
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.arange(5, 30), codes_of(range(5, 30)))
        segment = session.scalars(select(Segment)).one()
        assert (segment.first_id, segment.last_id, segment.ids) == (5, 29, None)


def test_codes_lie_word_by_word_little_endian(database):
    codes = codes_of([1, 2, 3])
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.array([1, 2, 3]), codes)
        blob = session.scalars(select(Segment)).one().codes
    first = b"".join(code[:8].tobytes() for code in codes)
    second = b"".join(code[8:].tobytes() + bytes(7) for code in codes)
    assert blob == first + second


@pytest.mark.parametrize("column", ["codes", "ids", "deleted", "checksum"])
def test_a_flipped_bit_is_named_and_the_other_segments_are_still_read(database, column):
    with database.transaction() as session:
        append_codes(session, HASHER, "image", np.array([1, 3, 7, 8]), codes_of([1, 3, 7, 8]))
        append_codes(session, HASHER, "image", np.array([20, 21]), codes_of([20, 21]))
        delete_codes(session, HASHER, "image", np.array([3]))
    with database.transaction() as session:
        segment = session.scalars(select(Segment).where(Segment.first_id == 1)).one()
        value = bytearray(getattr(segment, column))
        value[-1] ^= 1
        setattr(segment, column, bytes(value))
    with database.session() as session:
        loaded = load_codes(session, HASHER, "image")
    assert [int(i) for ids, _ in loaded.batches for i in ids] == [20, 21]
    assert len(loaded.problems) == 1
    assert "segment 1" in loaded.problems[0]
    assert "damaged" in database.check()[0]


def test_a_damaged_segment_is_left_alone_by_merging(database):
    for number in (1, 2, 3):
        with database.transaction() as session:
            append_codes(session, HASHER, "image", np.array([number]), codes_of([number]))
    with database.transaction() as session:
        session.get_one(Segment, 2).codes = bytes(16)
    with database.transaction() as session:
        merge_segments(session, HASHER, "image")
    with database.session() as session:
        loaded = load_codes(session, HASHER, "image")
    assert [int(i) for ids, _ in loaded.batches for i in ids] == [1, 3]
    assert len(loaded.problems) == 1


@pytest.mark.parametrize(
    ("numbers", "codes", "message"),
    [
        ([1, 1], np.zeros((2, BYTES), np.uint8), "each id once"),
        ([1], np.zeros((2, BYTES), np.uint8), "one id for each code"),
        ([1], np.zeros((1, 8), np.uint8), "9"),
        ([1], np.zeros((1, BYTES), np.int32), "uint8"),
        ([0.5], np.zeros((1, BYTES), np.uint8), "integer"),
    ],
)
def test_wrong_ids_and_codes_are_refused_and_nothing_is_stored(database, numbers, codes, message):
    with pytest.raises(CodesError, match=message), database.transaction() as session:
        append_codes(session, HASHER, "image", np.array(numbers), codes)
    assert stored(database) == {}


KILLED = """
import sys, numpy as np
from pathlib import Path
from xmodal.store.database import Database
from xmodal.store.segments import append_codes, delete_codes, merge_segments
database = Database.open(sys.argv[1], create=False)
n = int(sys.argv[2])
while True:
    ids = np.arange(n, n + 10)
    codes = np.repeat((ids % 251).astype(np.uint8)[:, None], 9, axis=1)
    with database.transaction() as session:
        append_codes(session, 1, "image", ids, np.ascontiguousarray(codes))
        delete_codes(session, 1, "image", ids[:2])
        merge_segments(session, 1, "image")
    print(n, flush=True)
    n += 10
"""


def test_kill_at_any_moment_keeps_whole_transactions(database):
    committed, start = 0, 10
    for round_ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(database.path), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.03 * round_)
        os.kill(child.pid, signal.SIGKILL)
        child.stdout.read()
        child.wait()
        assert database.check() == []
        found = stored(database)
        # Each transaction adds ten ids and takes the first two away again: all of it or nothing.
        last = max(found) // 10 * 10
        expected = {n + k for n in range(10, last + 10, 10) for k in range(2, 10)}
        assert set(found) == expected
        assert all(code == bytes([i % 251]) * BYTES for i, code in found.items())
        assert last >= committed
        committed, start = last, last + 10


def test_many_small_commits_leave_few_segments_and_do_not_touch_large_ones(database):
    many = np.arange(SEGMENT_CODES, dtype=np.int64)
    codes = np.random.default_rng(0).integers(0, 256, (len(many), BYTES), dtype=np.uint8)
    with database.transaction() as session:
        append_codes(session, HASHER, "image", many, codes)
        large = session.scalars(select(Segment.id)).one()
    for number in range(150):
        with database.transaction() as session:
            few = np.arange(2) + 100_000 + 2 * number
            append_codes(session, HASHER, "image", few, codes_of(few))
    assert segments(database) < 70
    found = stored(database)
    assert len(found) == SEGMENT_CODES + 300
    assert found[100_299] == codes_of([100_299])[0].tobytes()
    with database.session() as session:
        assert session.get(Segment, large).count == SEGMENT_CODES
