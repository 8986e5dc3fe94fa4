"""Rows that real collections have: every hasher learns from them or says what is wrong."""

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.hashing import create_hasher, list_hashers

BITS = 16
PARAMETERS = {"mlp": {"rounds": 1, "width": 16}, "triplet": {"steps": 40}}


@pytest.fixture(params=[info.name for info in list_hashers()])
def hasher(request):
    return create_hasher(request.param, bits=BITS, **PARAMETERS.get(request.param, {}))


def _codes_all(hasher, pairs):
    """Whether every row gets finite values, and rows get codes that differ."""
    reals = hasher.project_images(pairs.images), hasher.query_texts(pairs.texts)
    assert all(np.isfinite(values).all() for values in reals)
    return len(np.unique(hasher.encode_images(pairs.images), axis=0)) > 4


def test_a_class_with_a_single_row_is_learned_with_the_rest(hasher, pairs):
    labels = np.hstack([pairs.labels, np.zeros((240, 1), np.float32)])
    labels[7] = [0, 0, 0, 0, 0, 1]
    assert _codes_all(hasher.fit(pairs.images, pairs.texts, labels), pairs)


def test_rows_without_any_label_are_learned_with_the_rest(hasher, pairs):
    labels = pairs.labels.copy()
    labels[:40] = 0
    assert _codes_all(hasher.fit(pairs.images, pairs.texts, labels), pairs)


@pytest.mark.parametrize("value", [0.0, 1e5 / 3])
def test_constant_columns_tell_nothing_and_do_no_harm(hasher, pairs, value):
    images, texts = pairs.images.copy(), pairs.texts.copy()
    images[:, 3] = texts[:, 3] = value
    odd = type(pairs)(images, texts, pairs.labels)
    hasher.fit(images, texts, pairs.labels)
    assert _codes_all(hasher, odd)


def test_equal_rows_and_rows_at_the_mean_are_coded(hasher, pairs):
    images, texts = pairs.images.copy(), pairs.texts.copy()
    images[100:], texts[100:] = images[:140], texts[:140]
    images[0], texts[0] = images[1:].mean(axis=0), texts[1:].mean(axis=0)
    odd = type(pairs)(images, texts, pairs.labels)
    assert _codes_all(hasher.fit(images, texts, pairs.labels), odd)


def test_fewer_rows_than_bits_are_learned_from_or_named(hasher, pairs):
    few = pairs.part(slice(0, 12))
    if (refused := _refusal(hasher, few)) is None:
        _codes_all(hasher, few)
        return
    assert refused.split(":")[0] in ("images", "texts", "labels", "bits")
    assert "expected" in refused
    assert "found" in refused
    with pytest.raises(HasherError, match="not fitted yet"):
        hasher.encode_images(few.images)


def _refusal(hasher, pairs):
    try:
        hasher.fit(pairs.images, pairs.texts, pairs.labels)
    except HasherError as error:
        return str(error)
    return None


def test_columns_of_very_different_size_are_coded(hasher, pairs):
    size = np.logspace(-4, 4, 32, dtype=np.float32)
    odd = type(pairs)(size * pairs.images, size * pairs.texts, pairs.labels)
    assert _codes_all(hasher.fit(odd.images, odd.texts, odd.labels), odd)


@pytest.mark.filterwarnings("error")
def test_values_beyond_single_precision_are_named(hasher, pairs):
    images = pairs.images.astype(np.float64)
    images[100, 3] = 1e300
    with pytest.raises(HasherError, match=r"images: expected finite .*found inf in row 100"):
        hasher.fit(images, pairs.texts, pairs.labels)


def test_whole_numbers_and_lists_are_accepted(hasher, pairs):
    images, texts = (np.rint(10 * f).astype(np.int16) for f in (pairs.images, pairs.texts))
    hasher.fit(images, texts, pairs.labels.astype(bool))
    as_lists = hasher.encode_images(images[:5].tolist())
    np.testing.assert_array_equal(as_lists, hasher.encode_images(images[:5]))
