"""Measures of tied distances are the means over all orders of the tied."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from xmodal.evaluate import (
    average_precision,
    expected_average_precision,
    expected_ndcg_at,
    expected_precision_at,
    expected_recall_at,
    in_ranked_order,
    ndcg_at,
    precision_at,
    rank_items,
    recall_at,
)

_CASES = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.lists(st.integers(0, 3), min_size=n, max_size=n),
        st.integers(1, n),
    )
)


def _over_all_orders(measure, distances, gains):
    """The mean of a measure of ranked relevance over every order in which items may be stored."""
    found = []
    for order in permutations(range(len(distances))):
        d, g = np.array(distances)[None, list(order)], np.array(gains)[None, list(order)]
        found.append(measure(in_ranked_order(g, rank_items(d)))[0])
    return np.mean(found)


@settings(deadline=None, max_examples=30)
@given(_CASES)
def test_equal_the_mean_over_every_order_of_the_items(case):
    distances, gains, k = case
    relevant = np.array(gains) > 0
    pairs = [
        (expected_average_precision([distances], [relevant]), average_precision, relevant),
        (
            expected_average_precision([distances], [relevant], k),
            lambda ranked: average_precision(ranked, k),
            relevant,
        ),
        (
            expected_precision_at([distances], [relevant], k),
            lambda ranked: precision_at(ranked, k),
            relevant,
        ),
        (
            expected_recall_at([distances], [relevant], k),
            lambda ranked: recall_at(ranked, k),
            relevant,
        ),
        (expected_ndcg_at([distances], [gains], k), lambda ranked: ndcg_at(ranked, k), gains),
    ]
    for found, measure, relevance in pairs:
        np.testing.assert_allclose(found[0], _over_all_orders(measure, distances, relevance))


@settings(deadline=None)
@given(_CASES)
def test_expected_ndcg_equals_scikit_learn_with_ties(case):
    distances, gains, k = case
    if len(gains) > 1 and any(gains):
        found = expected_ndcg_at([distances], [gains], k)[0]
        assert found == pytest.approx(ndcg_score([gains], -np.array([distances]), k=k))


def test_by_hand():
    # One relevant item, equally likely at rank 2 or 3; nothing else is relevant.
    found = expected_average_precision([[0, 1, 1]], [[False, True, False]])
    np.testing.assert_allclose(found, [(1 / 2 + 1 / 3) / 2])
    assert np.isnan(expected_average_precision([[0, 1]], [[False, False]])[0])


def test_the_order_of_the_items_does_not_matter():
    rng = np.random.default_rng(0)
    distances, relevant = rng.integers(0, 6, (3, 200)), rng.random((3, 200)) < 0.2
    order = rng.permutation(200)
    for measure in (expected_average_precision, lambda d, r: expected_precision_at(d, r, 7)):
        np.testing.assert_allclose(
            measure(distances, relevant), measure(distances[:, order], relevant[:, order])
        )


def test_without_ties_nothing_changes():
    rng = np.random.default_rng(1)
    distances, relevant = rng.permuted(np.tile(np.arange(50), (4, 1)), axis=1), rng.random((4, 50))
    ranked = in_ranked_order(relevant > 0.7, rank_items(distances))
    np.testing.assert_allclose(
        expected_average_precision(distances, relevant > 0.7, 20), average_precision(ranked, 20)
    )
