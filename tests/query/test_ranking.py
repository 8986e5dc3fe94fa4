"""The three stages of a ranking agree with what they stand for, alone and together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.encoders.base import normalise
from xmodal.hamming import HammingIndex
from xmodal.hashing import create_hasher
from xmodal.query.ranking import mix, rank


@pytest.fixture(scope="module")
def space():
    """Two hundred pictures, their sentences nearby, and a hasher of that space."""
    rng = np.random.default_rng(0)
    subjects = rng.standard_normal((200, 40))
    images = normalise(subjects + 0.3 * rng.standard_normal((200, 40)) + 2.0)
    texts = normalise(subjects + 0.3 * rng.standard_normal((200, 40)) - 1.0)
    return images, texts, create_hasher("itq", bits=64).fit(images, texts)


def index_of(hasher, images, ids):
    index = HammingIndex(hasher.bits)
    index.add(ids, hasher.encode_images(images))
    return index


def test_where_features_are_kept_an_unsupervised_code_ranks_by_the_centred_cosine(space):
    images, texts, hasher = space
    ids = np.arange(100, 300)
    index = index_of(hasher, images, ids)
    cosines = normalise(texts - hasher.text_mean_) @ normalise(images - hasher.image_mean_).T
    for row in range(10):
        ranking = rank(texts[row], "text", index, "image", hasher, 20, lambda i: images[i - 100])
        assert ranking.ids.tolist() == (np.argsort(-cosines[row])[:20] + 100).tolist()
        assert np.allclose(ranking.scores, np.sort(cosines[row])[::-1][:20], atol=1e-5)


def test_codes_alone_rank_by_the_asymmetric_score(space):
    images, texts, hasher = space
    ids = np.arange(200)
    index = index_of(hasher, images, ids)
    signs = np.where(hasher.project_images(images) > 0, 1.0, -1.0)
    scores = hasher.query_texts(texts[:1]) @ signs.T
    ranking = rank(texts[0], "text", index, "image", hasher, 200, None)
    assert np.allclose(scores[0][ranking.ids], np.sort(scores[0])[::-1], atol=1e-3)
    assert -1 <= ranking.scores.min() <= ranking.scores.max() <= 1


def test_distances_are_those_of_the_codes(space):
    images, texts, hasher = space
    index = index_of(hasher, images, np.arange(200))
    ranking = rank(texts[3], "text", index, "image", hasher, 200, None)
    query = np.unpackbits(hasher.encode_texts(texts[3:4]), axis=1)
    items = np.unpackbits(hasher.encode_images(images), axis=1)
    assert ranking.distances.tolist() == (query != items).sum(1)[ranking.ids].tolist()


def test_items_without_a_kept_feature_are_ranked_among_the_others(space):
    images, texts, hasher = space
    index = index_of(hasher, images, np.arange(200))

    def some(ids):
        features = images[ids].copy()
        features[ids % 2 == 1] = np.nan
        return features

    ranking = rank(texts[7], "text", index, "image", hasher, 200, some)
    assert sorted(ranking.ids.tolist()) == list(range(200))
    assert np.isfinite(ranking.scores).all()
    assert ranking.ids.tolist().index(7) < 10


def test_an_empty_index_gives_an_empty_ranking(space):
    images, texts, hasher = space
    index = index_of(hasher, images[:0], np.arange(0))
    assert list(rank(texts[0], "text", index, "image", hasher, 5, None).rows()) == []


scores = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=40)


@settings(max_examples=60)
@given(scores, st.floats(0, 10))
def test_mixing_keeps_the_order_when_both_scores_agree(values, weight):
    ordered = np.sort(np.array(values, np.float32))
    mixed = mix(ordered, ordered.copy(), weight)
    assert np.all(np.diff(mixed) >= -1e-5)


def test_an_infinite_weight_leaves_the_cosines_as_they_are():
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, 50).astype(np.float32)
    mixed = mix(rng.standard_normal(50).astype(np.float32), cosines, float("inf"))
    assert np.allclose(mixed, cosines, atol=1e-6)


def test_equal_scores_do_not_divide_by_zero():
    same = np.full(5, 0.5, np.float32)
    assert np.isfinite(mix(same, same, 0.5)).all()
