"""Precision and recall by cut-off and by Hamming radius, and relevance from labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.errors import UsageError
from xmodal.evaluate import (
    graded_relevance,
    precision_at,
    precision_curve,
    precision_recall_by_radius,
    precision_within,
    recall_at,
    recall_curve,
    recall_within,
)


def test_curves_are_the_single_measures_side_by_side():
    relevant = np.random.default_rng(0).random((5, 30)) < 0.3
    relevant[0] = False
    cuts = [1, 7, 30, 99]
    for number, k in enumerate(cuts):
        np.testing.assert_allclose(
            precision_curve(relevant, cuts)[:, number], precision_at(relevant, k)
        )
        np.testing.assert_allclose(recall_curve(relevant, cuts)[:, number], recall_at(relevant, k))


def test_by_radius_by_hand():
    precision, recall = precision_recall_by_radius([[2, 0, 3, 2]], [[1, 0, 1, 0]], 4)
    np.testing.assert_allclose(precision, [[0, 0, 1 / 3, 1 / 2, 1 / 2]])
    np.testing.assert_allclose(recall, [[0, 0, 1 / 2, 1, 1]])


def test_an_empty_lookup_has_no_precision_and_counts_nothing_within_radius_2():
    distances, relevant = [[3, 4], [0, 4]], [[1, 1], [1, 0]]
    precision, recall = precision_recall_by_radius(distances, relevant, 4)
    assert np.isnan(precision[0, :3]).all()
    np.testing.assert_array_equal(recall[0, :3], 0)
    np.testing.assert_array_equal(precision_within(distances, relevant), [0, 1])
    assert np.isnan(precision_within([[0, 1]], [[0, 0]])[0])


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 99))
def test_the_widest_lookup_finds_everything_and_recall_never_falls(items, seed):
    rng = np.random.default_rng(seed)
    distances, relevant = rng.integers(0, 9, (3, items)), rng.random((3, items)) < 0.4
    precision, recall = precision_recall_by_radius(distances, relevant, 8)
    np.testing.assert_allclose(precision[:, 8], relevant.mean(axis=1))
    known = relevant.any(axis=1)
    assert (recall[known, 8] == 1).all()
    assert (np.diff(recall[known], axis=1) >= 0).all()
    for radius in (0, 2, 8):
        found = precision_within(distances, relevant, radius)[known]
        np.testing.assert_allclose(found, np.nan_to_num(precision[known, radius]))
        np.testing.assert_allclose(recall_within(distances, relevant, radius), recall[:, radius])


def test_graded_relevance_counts_shared_labels_or_takes_their_cosine():
    queries, items = [[1, 1, 0, 0]], [[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(graded_relevance(queries, items), [[2, 1, 0, 0]])
    cosine = graded_relevance(queries, items, "cosine")
    np.testing.assert_allclose(cosine, [[2 / np.sqrt(8), 1 / np.sqrt(2), 0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: precision_recall_by_radius([[9]], [[1]], 8), "expected 0 to 8 bits, found 9 to 9"),
        (lambda: precision_within([[0.5]], [[1]]), "whole Hamming distances, found dtype float64"),
        (lambda: precision_within([[1, 2]], [[1]]), r"relevant: expected shape \(1, 2\)"),
        (lambda: precision_curve([[1, 0]], [0]), "k must be at least 1, not 0"),
        (lambda: graded_relevance([[1]], [[1, 0]]), "expected 1 columns, .* found 2"),
        (lambda: graded_relevance([[1]], [[1]], "most"), "expected shared or cosine, found 'most'"),
        (lambda: graded_relevance([1], [[1]]), r"query_labels: expected shape .* found shape \(1,"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(UsageError, match=message):
        call()
