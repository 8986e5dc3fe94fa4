"""Who asks, who teaches, who is searched, and what a mean over queries and splits is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.errors import UsageError
from xmodal.evaluate import Measure, Split, split_rows
from xmodal.evaluate.splits import check_split


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


def test_a_published_split_may_search_its_training_rows_but_no_query():
    published = Split(np.arange(3), np.arange(3, 9), np.arange(3, 12))
    assert check_split(published, 12).searches_training_rows
    assert not split_rows(12).searches_training_rows


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([0], [1, 2], [2, 0]), "split.query: expected no row of split.database, found 1"),
        (([0, 1], [1, 0], [2]), "split.query: expected no row of split.training, found 2"),
        (([0], [1], [4]), "split.database: expected rows from 0 to 3, found 4 to 4"),
        (([], [1], [2]), "split.query: expected rows, found none"),
    ],
)
def test_impossible_splits_are_refused(parts, message):
    with pytest.raises(UsageError, match=message):
        check_split(Split(*(np.array(part, np.int64) for part in parts)), 4)


def test_the_interval_of_one_split_is_that_of_its_queries():
    values = np.random.default_rng(0).normal(size=(1, 100))
    measure = Measure(values)
    assert measure.mean == pytest.approx(values.mean())
    assert measure.half_width == pytest.approx(1.96 * values.std(ddof=1) / 10)
    assert str(Measure(np.array([[0.25, 0.75]]))) == "0.500 ± 0.490"
    undefined = Measure(np.full((1, 3), np.nan))
    assert np.isnan(undefined.half_width)
    assert str(undefined) == "–"


def test_the_interval_counts_queries_once_and_adds_what_differs_between_splits():
    one = np.random.default_rng(0).normal(size=(1, 100))
    same, apart = np.repeat(one, 4, axis=0), one + np.array([[-1.0], [1.0], [-1.0], [1.0]])
    # The same queries four times tell no more than once; splits that disagree tell less.
    assert Measure(same).half_width == pytest.approx(Measure(one).half_width)
    between = np.var([-1, 1, -1, 1], ddof=1) / 4
    expected = 1.96 * np.sqrt(one.var(ddof=1) / 100 + between)
    assert Measure(apart).half_width == pytest.approx(expected)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        splits = rng.normal(0, 0.1, (8, 1)) + rng.normal(0, 1, (8, 50))
        measure = Measure(splits)
        inside += abs(measure.mean) < measure.half_width
    assert inside >= 0.95 * 400  # cautious: these splits share no rows


def test_a_paired_difference_is_narrower_than_its_parts():
    queries = np.random.default_rng(0).normal(size=(3, 200))
    before, after = Measure(queries), Measure(queries + 0.1)
    gain = after.minus(before)
    assert gain.mean == pytest.approx(0.1)
    assert gain.half_width < 1e-9 < before.half_width


def test_measures_of_different_trials_do_not_subtract():
    with pytest.raises(UsageError, match="measures of different trials"):
        Measure(np.ones((1, 2))).minus(Measure(np.ones((1, 3))))
