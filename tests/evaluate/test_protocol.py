"""Trials that never ask what was learned from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.errors import UsageError
from xmodal.evaluate import Measure, evaluate_features, evaluate_hasher, split_rows
from xmodal.hashing import create_hasher


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.float32)[rng.integers(4, size=180)]
    item = labels @ rng.normal(size=(4, 24)) + rng.normal(size=(180, 24))
    images, texts = item + 0.4 * rng.normal(size=(2, 180, 24)) + [[[3]], [[-3]]]
    return images.astype(np.float32), texts.astype(np.float32), labels


def _fit(name, **parameters):
    return lambda x, y, z: create_hasher(name, **parameters).fit(x, y, z)


@given(st.integers(6, 500), st.integers(0, 99))
def test_no_row_is_in_two_parts_and_none_is_lost(rows, seed):
    split = split_rows(rows, seed=seed)
    parts = np.concatenate([split.query, split.training, split.database])
    assert sorted(parts.tolist()) == list(range(rows))
    assert min(len(split.query), len(split.training), len(split.database)) >= 1


def test_same_seed_same_split_and_another_seed_another():
    first, same, other = (split_rows(100, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.query, same.query)
    assert (first.query != other.query).any()


def test_queries_are_capped_and_the_rest_joins_the_database():
    split = split_rows(60_000)
    assert (len(split.query), len(split.training), len(split.database)) == (2_000, 30_000, 28_000)


def test_too_few_rows_are_refused():
    with pytest.raises(UsageError, match=r"rows: expected enough for queries .* found 2"):
        split_rows(2)


def test_hasher_learns_from_training_rows_alone(data):
    images, texts, labels = data
    seen = []

    def fit(x, y, z):
        seen.append((x, y, z))
        return create_hasher("itq", bits=8).fit(x, y)

    evaluate_hasher(fit, images, texts, labels, splits=2, seed=5)
    for number, (x, y, z) in enumerate(seen):
        rows = split_rows(len(images), seed=5 + number).training
        np.testing.assert_array_equal(x, images[rows])
        np.testing.assert_array_equal(y, texts[rows])
        np.testing.assert_array_equal(z, labels[rows])


def test_labels_help_the_labels_and_the_plain_code_its_own_text(data):
    lemon = evaluate_hasher(_fit("lemon", bits=16), *data)
    itq = evaluate_hasher(_fit("itq", bits=16), *data)
    for direction in ("text_to_image", "image_to_text"):
        gain = lemon.label_map[direction].minus(itq.label_map[direction])
        assert gain.mean > gain.half_width > 0
        assert itq.own_recall[direction].mean > lemon.own_recall[direction].mean


def test_centred_features_find_their_own_partner(data):
    features = evaluate_features(*data)
    assert features.own_recall["text_to_image"].mean > 0.9
    assert features.label_map["image_to_text"].mean > 0.4


def test_asymmetric_ranking_finds_more_than_hamming_distance(data):
    own = [
        evaluate_hasher(_fit("itq", bits=16), *data, asymmetric=asymmetric, k=3).own_recall
        for asymmetric in (True, False)
    ]
    assert own[0]["text_to_image"].mean > own[1]["text_to_image"].mean


def test_measures_of_a_direction_by_hand():
    # Own features, one class each: no database row is relevant, the partner comes first.
    images = np.eye(12, dtype=np.float32)
    found = evaluate_features(images, images, np.eye(12), splits=1)
    assert np.isnan(found.label_map["text_to_image"].values).all()
    assert np.isnan(found.label_map["text_to_image"].mean)
    np.testing.assert_array_equal(found.own_recall["image_to_text"].values, [[1, 1]])


def test_missing_halves_and_unlabelled_rows_are_no_queries(data):
    images, texts, labels = (part.copy() for part in data)
    texts[::3], images[1::5], labels[::4] = np.nan, np.nan, np.nan
    found = evaluate_hasher(_fit("itq", bits=8), images, texts, labels, splits=1)
    query = split_rows(len(images)).query
    asked = ~np.isnan(texts[query, 0])
    both = asked & ~np.isnan(images[query, 0])
    defined = ~np.isnan(found.label_map["text_to_image"].values[0])
    np.testing.assert_array_equal(defined, asked & ~np.isnan(labels[query, 0]))
    np.testing.assert_array_equal(~np.isnan(found.own_recall["image_to_text"].values[0]), both)


def test_interval_is_that_of_one_split():
    values = np.random.default_rng(0).normal(size=(4, 100))
    measure = Measure(values)
    assert measure.mean == pytest.approx(values.mean())
    assert measure.half_width == pytest.approx(1.96 * values.std(ddof=1) / 10)
    assert str(Measure(np.array([[0.25, 0.75]]))) == "0.500 ± 0.490"
    assert np.isnan(Measure(np.full((1, 3), np.nan)).half_width)


def test_measures_of_different_trials_do_not_subtract():
    with pytest.raises(UsageError, match="measures of different trials"):
        Measure(np.ones((1, 2))).minus(Measure(np.ones((1, 3))))


def test_row_counts_must_match(data):
    images, texts, labels = data
    with pytest.raises(UsageError, match="expected equally many rows, found 180, 179, 180"):
        evaluate_features(images, texts[1:], labels)
