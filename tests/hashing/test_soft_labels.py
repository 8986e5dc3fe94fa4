"""Few labels teach more with soft labels beside them; many labels lose nothing; labels stay."""

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.evaluate import evaluate_hasher
from xmodal.hashing import create_hasher
from xmodal.hashing.soft_labels import soft_labels

CLASSES, DIM = 12, 64


def _world(rows: int = 900, seed: int = 0):
    """Items of one to three classes; the words of a class point roughly where its items are."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(CLASSES, DIM))
    labels = np.zeros((rows, CLASSES), np.float32)
    for row in labels:
        row[rng.choice(CLASSES, rng.integers(1, 4), replace=False)] = 1
    item = labels @ directions + rng.normal(size=(rows, DIM))
    cones = 4 * rng.normal(size=(2, 1, DIM))
    images, texts = item + 1.5 * rng.normal(size=(2, rows, DIM)) + cones
    words = directions + 0.8 * rng.normal(size=(CLASSES, DIM)) + cones[1]
    return images, texts, words, labels


def _label_map(known: int, soft: bool, bits: int) -> float:
    images, texts, words, labels = _world()

    def fit(x, y, given):
        hidden = np.full_like(given, np.nan)
        hidden[:known] = given[:known]
        if soft:
            hidden = soft_labels(x, y, words, hidden)
        return create_hasher("lemon", bits=bits, ridge=300.0).fit(x, y, hidden)

    found = evaluate_hasher(fit, images, texts, labels, splits=2)
    return float(np.mean([found.label_map[d].mean for d in found.label_map]))


def test_fifty_labels_rank_much_better_with_soft_labels_beside_them():
    alone, helped = _label_map(50, False, 32), _label_map(50, True, 32)
    assert helped > alone + 0.05


def test_soft_labels_do_not_hurt_where_most_rows_are_labelled():
    assert _label_map(400, True, 32) > _label_map(400, False, 32) - 0.005


def test_given_labels_are_kept_and_the_others_are_probabilities():
    images, texts, words, labels = _world()
    known = labels.copy()
    known[80:] = np.nan
    soft = soft_labels(images, texts, words, known)
    np.testing.assert_array_equal(soft[:80], labels[:80])
    assert np.all((soft[80:] > 0) & (soft[80:] < 1))
    # Calibrated: of the rows that are given p, about the share p has the label.
    guessed, true = soft[80:].ravel(), labels[80:].ravel()
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
        among = (guessed >= low) & (guessed < high)
        assert abs(guessed[among].mean() - true[among].mean()) < 0.15


def test_a_class_with_two_positives_is_still_found_by_its_words():
    images, texts, words, labels = _world(300)
    known = labels.copy()
    known[100:] = np.nan
    few = np.flatnonzero(known[:100, 0])
    known[few[2:], 0] = 0
    guessed = soft_labels(images, texts, words, known)[100:, 0]
    own = labels[100:, 0] > 0
    assert np.mean(guessed[own][:, None] > guessed[~own][None, :]) > 0.8
    assert guessed.max() < 0.9  # two positives among a hundred rows promise little


def test_missing_modalities_are_allowed_and_an_empty_row_stays_unlabelled():
    images, texts, words, labels = _world(200)
    known = labels.copy()
    known[60:] = np.nan
    images[:20], texts[30:90] = np.nan, np.nan
    images[199], texts[199] = np.nan, np.nan
    soft = soft_labels(images, texts, words, known)
    assert np.isfinite(soft[:199]).all()
    assert np.isnan(soft[199]).all()


def test_the_words_alone_serve_where_no_text_is_given():
    images, texts, words, labels = _world(400)
    known = labels.copy()
    known[40:] = np.nan
    soft = soft_labels(images, np.full_like(texts, np.nan), words, known, text_mean=texts.mean(0))
    own = labels[40:] > 0
    assert soft[40:][own].mean() > 2 * soft[40:][~own].mean()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"texts": np.zeros((5, 3))}, r"texts: expected shape \(6, 3\), found \(5, 3\)"),
        ({"classes": np.zeros((2, 4))}, r"classes: expected shape \(2, 3\), found \(2, 4\)"),
        ({"labels": np.zeros((6, 3))}, r"labels: expected shape \(6, 2\), found \(6, 3\)"),
        ({"labels": np.full((6, 2), np.nan)}, "labels: expected at least 2 labelled rows"),
        ({"labels": np.full((6, 2), 2.0)}, "labels: expected values from 0 to 1"),
        ({"images": np.full((6, 3), np.inf)}, "images: expected finite rows"),
        ({"images": np.zeros(6)}, "images: expected numbers of shape"),
    ],
)
def test_arrays_that_do_not_fit_are_named(change, told):
    rng = np.random.default_rng(0)
    arrays = {
        "images": rng.normal(size=(6, 3)),
        "texts": rng.normal(size=(6, 3)),
        "classes": rng.normal(size=(2, 3)),
        "labels": np.eye(2)[[0, 1, 0, 1, 0, 1]],
    }
    with pytest.raises(HasherError, match=told):
        soft_labels(**{**arrays, **change})
