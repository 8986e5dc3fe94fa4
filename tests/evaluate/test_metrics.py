"""Measures of a ranking, by hand and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, ndcg_score

from xmodal.errors import UsageError
from xmodal.evaluate import (
    average_precision,
    in_ranked_order,
    mean_of,
    ndcg_at,
    own_item_recall,
    precision_at,
    rank_items,
    recall_at,
)


def test_ties_are_ranked_by_column():
    np.testing.assert_array_equal(rank_items([[3, 1, 3, 1, 2]]), [[1, 3, 4, 0, 2]])


def test_ranking_of_many_ties_is_the_one_of_distance_then_column():
    distances = np.random.default_rng(0).integers(0, 5, size=(20, 300))
    for row, ranking in zip(distances, rank_items(distances), strict=True):
        assert ranking.tolist() == sorted(range(300), key=lambda i: (row[i], i))


def test_average_precision_by_hand():
    ranked = [[1, 0, 1, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]
    found = average_precision(ranked)
    np.testing.assert_allclose(found, [(1 + 2 / 3 + 3 / 5) / 3, 1 / 2, np.nan, 1])
    assert mean_of(found) == pytest.approx(((1 + 2 / 3 + 3 / 5) / 3 + 1 / 2 + 1) / 3)


def test_cut_average_precision_divides_by_what_could_be_shown():
    ranked = [[1, 0, 1, 1], [0, 0, 1, 0]]
    np.testing.assert_allclose(average_precision(ranked, 2), [(1 + 0) / 2, 0])
    np.testing.assert_allclose(average_precision(ranked, 3), [(1 + 2 / 3) / 3, 1 / 3])
    np.testing.assert_allclose(average_precision([[1, 1, 0, 0]], 1), [1])
    np.testing.assert_allclose(average_precision(ranked, 99), average_precision(ranked))


def test_precision_and_recall_by_hand():
    ranked = [[1, 0, 1, 1], [0, 0, 0, 1]]
    np.testing.assert_allclose(precision_at(ranked, 2), [0.5, 0])
    np.testing.assert_allclose(precision_at(ranked, 9), [0.75, 0.25])
    np.testing.assert_allclose(recall_at(ranked, 2), [1 / 3, 0])
    assert np.isnan(recall_at([[0, 0]], 1)).all()


def test_ndcg_by_hand():
    found = ndcg_at([[1, 3, 0, 2]], 3)
    got = 1 + 3 / np.log2(3) + 0
    best = 3 + 2 / np.log2(3) + 1 / 2
    np.testing.assert_allclose(found, [got / best])


def test_own_item_counts_when_any_of_several_is_shown():
    distances = [[0, 1, 2, 3], [3, 2, 1, 0]]
    np.testing.assert_array_equal(own_item_recall(distances, [1, 0], 2), [1, 0])
    np.testing.assert_array_equal(own_item_recall(distances, [[3, 1], [0, 1]], 2), [1, 0])


def test_own_item_behind_a_tie_is_not_counted():
    assert own_item_recall([[5, 5]], [1], 1)[0] == 0
    assert own_item_recall([[5, 5]], [0], 1)[0] == 1


_RELEVANCE = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        arrays(np.bool_, n),
        st.permutations(range(n)),
        arrays(np.int64, n, elements=st.integers(0, 4)),
    )
)


@settings(deadline=None)
@given(_RELEVANCE)
def test_equals_scikit_learn_without_ties(case):
    relevant, distances, gains = (np.array(part) for part in case)
    ranking = rank_items(distances[None])
    if relevant.any():
        found = average_precision(in_ranked_order(relevant[None], ranking))[0]
        assert found == pytest.approx(average_precision_score(relevant, -distances))
    if gains.any():
        found = ndcg_at(in_ranked_order(gains[None], ranking), 5)[0]
        assert found == pytest.approx(ndcg_score(gains[None], -distances[None], k=5))


@settings(deadline=None)
@given(_RELEVANCE)
def test_all_measures_lie_between_0_and_1_and_a_perfect_ranking_has_1(case):
    relevant = np.sort(case[0])[None, ::-1]
    for k in (1, 3, None):
        assert np.isnan(average_precision(relevant, k)[0]) or average_precision(relevant, k) == 1
        worst = average_precision(relevant[:, ::-1], k)
        assert np.isnan(worst[0]) or 0 <= worst[0] <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: average_precision([1, 0]), r"relevant: expected shape .* found shape \(2,\)"),
        (lambda: rank_items([[np.nan, 1]]), "distances: expected numbers, found NaN"),
        (lambda: precision_at([[1, 0]], 0), "k must be at least 1, not 0"),
        (lambda: ndcg_at([[-1, 0]]), "gains: expected values from 0, found -1"),
        (lambda: own_item_recall([[1, 2]], [2], 1), "own: expected columns from 0 to 1"),
        (lambda: rank_items(np.empty((3, 0))), "distances: expected shape"),
        (lambda: in_ranked_order([[1, 0, 1]], rank_items([[1, 2]])), "relevance: expected shape"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()
