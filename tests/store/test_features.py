"""Features come back as they were written, in the order asked for."""

import numpy as np
import pytest

from xmodal.errors import LibraryError, UsageError
from xmodal.store.features import iter_features, read_features, write_features
from xmodal.store.models import Feature, Item

DIM = 8


@pytest.fixture
def with_items(database):
    with database.transaction() as session:
        for number in range(1, 2001):
            kind = "image" if number % 2 else "text"
            session.add(Item(id=number, kind=kind, content_hash=number.to_bytes(16)))
    return database


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, DIM)).astype(np.float32)


def test_features_are_kept_at_half_precision_and_read_in_any_order(with_items):
    features = rows(2000)
    with with_items.transaction() as session:
        write_features(session, 1, np.arange(1, 2001), features)
    wanted = np.random.default_rng(0).permutation(np.r_[1:2001, 5, 5])
    with with_items.session() as session:
        found = read_features(session, 1, wanted)
    assert found.dtype == np.float32
    assert np.array_equal(found, features[wanted - 1].astype(np.float16).astype(np.float32))


def test_an_item_without_a_feature_is_a_row_of_nan(with_items):
    with with_items.transaction() as session:
        write_features(session, 1, [3], rows(1))
    with with_items.session() as session:
        found = read_features(session, 1, [2, 3])
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_iterating_gives_one_kind_in_batches_by_id(with_items):
    with with_items.transaction() as session:
        write_features(session, 1, np.arange(1, 2001), rows(2000))
    with with_items.session() as session:
        batches = list(iter_features(session, 1, "image", 300))
    assert [len(ids) for ids, _ in batches] == [300, 300, 300, 100]
    assert np.array_equal(np.concatenate([ids for ids, _ in batches]), np.arange(1, 2001, 2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_values_that_no_encoder_gives_are_refused(with_items, bad):
    features = rows(3)
    features[1, 2] = bad
    with pytest.raises(UsageError, match="row 1"), with_items.transaction() as session:
        write_features(session, 1, [1, 2, 3], features)
    with with_items.session() as session:
        assert session.get(Feature, (1, 1)) is None


def test_a_zero_row_and_a_wrong_width_are_refused(with_items):
    with pytest.raises(UsageError, match="row 0"), with_items.transaction() as session:
        write_features(session, 1, [1], np.zeros((1, DIM)))
    with pytest.raises(UsageError, match=r"\(1, 8\)"), with_items.transaction() as session:
        write_features(session, 1, [1], np.ones((1, 9)))


def test_a_cut_off_vector_is_named(with_items):
    with with_items.transaction() as session:
        session.add(Feature(encoder_id=1, item_id=4, vector=b"\0" * 5))
    with with_items.session() as session, pytest.raises(LibraryError, match="item 4"):
        read_features(session, 1, [4])


def test_writing_again_replaces(with_items):
    with with_items.transaction() as session:
        write_features(session, 1, [1, 2], rows(2))
        write_features(session, 1, [2, 3], rows(3)[:2])
    with with_items.session() as session:
        found = read_features(session, 1, [1, 2, 3])
    expected = np.vstack([rows(2)[:1], rows(3)[:2]]).astype(np.float16).astype(np.float32)
    assert np.array_equal(found, expected)


def test_an_item_twice_in_one_call_is_refused(with_items):
    with pytest.raises(UsageError, match="each item once"), with_items.transaction() as session:
        write_features(session, 1, [1, 1], rows(2))


def test_nothing_is_read_and_written_as_well(with_items):
    with with_items.transaction() as session:
        write_features(session, 1, [], np.empty((0, DIM), np.float32))
        assert read_features(session, 1, []).shape == (0, DIM)
        assert list(iter_features(session, 1, "image", 10)) == []


def test_an_encoder_that_is_not_there_is_named(with_items):
    with with_items.session() as session, pytest.raises(LibraryError, match="no encoder 9"):
        read_features(session, 9, [1])


def test_the_check_counts_cut_off_vectors(with_items):
    with with_items.transaction() as session:
        write_features(session, 1, [3], rows(1))
        session.add_all(Feature(encoder_id=1, item_id=i, vector=b"\0" * 5) for i in (4, 5))
    assert with_items.check() == ["2 features of toy:1 are damaged, the first that of item 4"]
