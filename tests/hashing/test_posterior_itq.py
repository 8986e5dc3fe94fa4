"""Codes of calibrated probabilities: the supervised default."""

import itertools

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.evaluate import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing import create_hasher
from xmodal.hashing.calibration import calibrate, sigmoid
from xmodal.hashing.ridge import RidgeSums


def _label_map(hasher, pairs):
    scores = hasher.query_texts(pairs.texts) @ unpack_signs(hasher.encode_images(pairs.images)).T
    relevant = pairs.labels @ pairs.labels.T > 0
    return mean_of(average_precision(in_ranked_order(relevant, rank_items(-scores))))


@pytest.fixture(scope="module")
def hard(pairs_of):
    """Many classes and noisy features: learned from 600 rows, asked for 300 others."""
    pairs = pairs_of(rows=900, dim=64, classes=20, seed=3)
    return pairs.part(slice(0, 600)), pairs.part(slice(600, 900))


def test_codes_beat_signs_of_random_projections_of_the_same_scores(hard):
    learned, unseen = hard
    hasher = create_hasher("posterior-itq", bits=32)
    hasher.fit(learned.images, learned.texts, learned.labels)
    lsh_like = np.random.default_rng(0).normal(size=(20, 32))
    logits = [
        np.log(hasher._probabilities(f, m) + 1e-9)
        for f, m in ((unseen.texts, "text"), (unseen.images, "image"))
    ]
    signs = [np.sign((part - part.mean(axis=0)) @ lsh_like) for part in logits]
    relevant = unseen.labels @ unseen.labels.T > 0
    trivial = average_precision(in_ranked_order(relevant, rank_items(-(signs[0] @ signs[1].T))))
    assert _label_map(hasher, unseen) > mean_of(trivial) + 0.02


def test_longer_codes_are_never_worse(hard):
    learned, unseen = hard
    quality = []
    for bits in (16, 32, 64, 128):
        hasher = create_hasher("posterior-itq", bits=bits)
        hasher.fit(learned.images, learned.texts, learned.labels)
        quality.append(_label_map(hasher, unseen))
    assert all(b > a - 0.005 for a, b in itertools.pairwise(quality))


def test_probabilities_of_unseen_rows_are_calibrated(pairs_of):
    pairs = pairs_of(rows=3000, dim=32, classes=4, seed=1)
    hasher = create_hasher("posterior-itq", bits=16)
    hasher.fit(pairs.images[:1500], pairs.texts[:1500], pairs.labels[:1500])
    logits = super(type(hasher), hasher)._project(pairs.images[1500:], "image")
    said, true = sigmoid(logits).ravel(), pairs.labels[1500:].ravel()
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        those = (said >= low) & (said < low + 0.2)
        if those.sum() > 100:
            assert abs(said[those].mean() - true[those].mean()) < 0.08


def test_class_that_no_row_has_changes_no_ranking(pairs):
    labels = np.hstack([pairs.labels, np.zeros((len(pairs.labels), 1), np.float32)])
    plain, more = (
        create_hasher("posterior-itq", bits=16).fit(pairs.images, pairs.texts, known)
        for known in (pairs.labels, labels)
    )
    assert abs(_label_map(plain, pairs) - _label_map(more, pairs)) < 0.02


def test_soft_labels_count_by_how_sure_they_are(pairs):
    halves = pairs.labels * 0.5
    hasher = create_hasher("posterior-itq", bits=16).fit(pairs.images, pairs.texts, halves)
    logits = super(type(hasher), hasher)._project(pairs.images, "image")
    assert abs(sigmoid(logits)[pairs.labels > 0].mean() - 0.5) < 0.1


def test_wrong_ridge_is_named(pairs):
    with pytest.raises(HasherError, match="ridge: expected None or a number above 0, found -1"):
        create_hasher("posterior-itq", ridge=-1).fit(pairs.images, pairs.texts, pairs.labels)


def test_scores_left_out_equal_those_of_a_fit_without_the_row():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    features /= features.std(axis=0)
    sums = RidgeSums(6, 2)
    sums.add(features, labels)
    (found,) = sums.left_out(features, labels, [3.0])
    for row in (0, 7, 39):
        rest = np.delete(np.arange(40), row)
        x, mean = features[rest], features[rest].mean(axis=0)
        scale = features.std(axis=0)  # the scale is that of all rows
        gram = ((x - mean) / scale).T @ ((x - mean) / scale) + 3.0 * np.eye(6)
        target = ((x - mean) / scale).T @ (labels[rest] - labels[rest].mean(axis=0))
        alone = (features[row] - mean) / scale @ np.linalg.solve(gram, target)
        expected = alone + labels[rest].mean(axis=0) - labels.mean(axis=0)
        # The ridge and the centring by the mean of all rows differ in second order.
        np.testing.assert_allclose(found[row], expected, atol=0.02)


def test_picture_with_several_texts_is_left_out_with_all_of_them(pairs_of):
    pairs = pairs_of(rows=300, dim=64, classes=8, seed=4)
    once = create_hasher("posterior-itq", bits=16)
    once.fit(pairs.images[:150], pairs.texts[:150], pairs.labels[:150])
    noise = np.random.default_rng(0).normal(size=(4, 150, 64))
    texts = np.concatenate([pairs.texts[:150], *(pairs.texts[:150] + noise)])
    often = create_hasher("posterior-itq", bits=16)
    often.fit(np.tile(pairs.images[:150], (5, 1)), texts, np.tile(pairs.labels[:150], (5, 1)))
    unseen = pairs.part(slice(150, 300))
    said = [
        sigmoid(super(type(h), h)._project(unseen.images, "image")).max(axis=1).mean()
        for h in (once, often)
    ]
    assert abs(said[0] - said[1]) < 0.05  # five times the same is not five times as sure
    assert _label_map(often, unseen) > _label_map(once, unseen) - 0.02


def test_rows_without_any_noise_are_not_turned_round():
    rng = np.random.default_rng(0)
    labels = np.eye(4)[rng.integers(4, size=200)]
    images, texts = labels @ rng.normal(size=(4, 32)), labels @ rng.normal(size=(4, 16))
    for rows in (200, 40):  # copies of four rows, more and fewer than a picture may have captions
        hasher = create_hasher("posterior-itq", bits=16)
        hasher.fit(images[:rows], texts[:rows], labels[:rows])
        agree = unpack_signs(hasher.encode_images(images)) == unpack_signs(
            hasher.encode_texts(texts)
        )
        assert agree.mean() > 0.9


def test_calibration_of_a_rare_class_is_that_of_all():
    rng = np.random.default_rng(1)
    truth = rng.random((2000, 3)) < np.array([0.3, 0.3, 0.001])
    scores = truth * 2.0 + rng.normal(size=truth.shape)
    weights, _ = calibrate(scores[:, :, None], truth.astype(np.float64))
    assert abs(weights[2, 0] - weights[:2, 0].mean()) < 0.7
    assert (weights > 0.8).all()
