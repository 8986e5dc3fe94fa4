"""The code of a library without labels."""

import numpy as np
import pytest

from xmodal.evaluate import mean_of, own_item_recall
from xmodal.hashing import create_hasher


def _shared_space(rows, dim, seed=0, spectrum=0.5, noise=0.35):
    """Features of pictures and their captions with a falling spectrum, in two cones."""
    rng = np.random.default_rng(seed)
    scale = np.arange(1, dim + 1) ** -spectrum
    item = rng.normal(size=(rows, dim)) * scale
    images, texts = item + noise * rng.normal(size=(2, rows, dim)) * scale
    return images + 3, texts - 3


def _own_recall(hasher, images, texts, k=10):
    signs = np.where(hasher.project_images(images) > 0, 1.0, -1.0)
    return mean_of(own_item_recall(-hasher.query_texts(texts) @ signs.T, np.arange(len(texts)), k))


def _cosine_recall(images, texts, k=10):
    x, y = images - images.mean(axis=0), texts - texts.mean(axis=0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    return mean_of(own_item_recall(-y @ x.T, np.arange(len(texts)), k))


def test_codes_keep_the_recall_of_centred_features():
    images, captions = _shared_space(500, 128)
    words = _shared_space(1000, 128, seed=7)[1]
    hasher = create_hasher("itq", bits=128).fit(images, words)
    assert _own_recall(hasher, images, captions) >= 0.97 * _cosine_recall(images, captions)


def test_few_pictures_and_many_words_are_enough():
    images, captions = _shared_space(300, 96)
    words = _shared_space(1000, 96, seed=7)[1]
    hasher = create_hasher("itq", bits=96).fit(images[:30], words)
    assert _own_recall(hasher, images, captions) >= 0.9 * _cosine_recall(images, captions)


def test_more_bits_than_dimensions_still_help():
    images, captions = _shared_space(400, 16, noise=0.6)
    recall = [
        _own_recall(create_hasher("itq", bits=bits).fit(images, captions), images, captions, k=5)
        for bits in (16, 32, 128)
    ]
    assert recall[0] < recall[1] < recall[2]


def test_no_bit_repeats_another():
    images, captions = _shared_space(300, 16)
    hasher = create_hasher("itq", bits=128).fit(images, captions)
    columns = hasher.image_projection_ / np.linalg.norm(hasher.image_projection_, axis=0)
    alike = np.abs(columns.T @ columns) - np.eye(128)
    assert alike.max() < 0.9999


@pytest.mark.parametrize("rank", [1, 5])
def test_data_of_few_dimensions_get_a_code_of_full_length(rank):
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(rank, 64))
    images, texts = (rng.normal(size=(40, rank)) @ basis for _ in range(2))
    hasher = create_hasher("itq", bits=128).fit(images, texts)
    assert hasher.encode_texts(texts).shape == (40, 16)
    assert np.isfinite(hasher.project_images(images)).all()


def test_modalities_without_a_common_direction_are_coded():
    rng = np.random.default_rng(0)
    images, texts = np.zeros((2, 50, 8))
    images[:, :4], texts[:, 4:] = rng.normal(size=(2, 50, 4))
    hasher = create_hasher("itq", bits=8).fit(images, texts)
    assert len(np.unique(hasher.encode_images(images), axis=0)) > 4


def test_the_row_count_of_a_modality_is_not_its_weight():
    images, texts = _shared_space(200, 32)
    once = create_hasher("itq", bits=32).fit(images, texts)
    often = create_hasher("itq", bits=32).fit(images, np.tile(texts, (5, 1)))
    np.testing.assert_array_equal(once.encode_images(images), often.encode_images(images))


def test_texts_of_another_dimension_are_refused():
    with pytest.raises(ValueError, match="texts: expected 32 columns, the images' feature space"):
        create_hasher("itq", bits=8).fit(np.eye(32), np.eye(16))
