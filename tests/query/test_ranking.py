"""The three stages of a ranking agree with what they stand for, alone and together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.encoders.base import normalise
from xmodal.hamming import HammingIndex, asymmetric_scores
from xmodal.hashing import create_hasher
from xmodal.query import ranking as ranking_module
from xmodal.query.ranking import Term, mix, rank, rank_terms


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


@pytest.mark.parametrize("weight", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("with_features", [True, False])
@pytest.mark.parametrize("modality", ["text", "image"])
def test_one_term_is_ranked_as_ever_to_the_bit(space, weight, with_features, modality):
    """Written out: the code, the asymmetric score and the centred cosine of one feature."""
    images, texts, hasher = space
    index = index_of(hasher, images, np.arange(200))
    feature = (texts if modality == "text" else images)[3]
    row = feature[None, :]
    code = hasher.encode_texts(row) if modality == "text" else hasher.encode_images(row)
    weights = (hasher.query_texts(row) if modality == "text" else hasher.query_images(row))[0]
    hits = index.search(code, 200)
    ids, distances = hits.ids[0], hits.distances[0]
    scores = asymmetric_scores(weights, index.codes(ids))
    scores = scores / (float(np.linalg.norm(weights)) * np.sqrt(len(weights)))
    if with_features:
        mean = hasher.text_mean_ if modality == "text" else hasher.image_mean_
        cosines = normalise(images[ids] - hasher.image_mean_) @ normalise(row - mean)[0]
        scores = mix(scores, cosines.astype(np.float32), hasher.feature_weight)
    order = np.lexsort((ids, distances, -scores))[:20]
    read = images.__getitem__ if with_features else None
    found = rank_terms([Term(feature, modality, weight)], index, "image", hasher, 20, read)
    np.testing.assert_array_equal(found.ids, ids[order])
    np.testing.assert_array_equal(found.distances, distances[order])
    np.testing.assert_array_equal(found.scores, scores[order].astype(np.float32))


def test_the_same_term_twice_ranks_as_once_and_the_order_of_terms_does_not_matter(space):
    images, texts, hasher = space
    index = index_of(hasher, images, np.arange(200))

    def found(*terms):
        ranking = rank_terms(terms, index, "image", hasher, 20, images.__getitem__)
        return ranking.ids.tolist(), ranking.scores

    once, scores = found(Term(texts[0], "text"))
    twice, again = found(Term(texts[0], "text", 2.0), Term(texts[0], "text", 0.5))
    assert once == twice
    assert np.allclose(scores, again, atol=1e-5)
    both = Term(texts[0], "text"), Term(images[9], "image", 0.4)
    assert found(*both)[0] == found(*reversed(both))[0]


def test_two_meanings_find_both_and_a_weight_leans_to_one(space):
    images, texts, hasher = space
    index = index_of(hasher, images, np.arange(200))

    def places(weight):
        terms = [Term(texts[0], "text", weight), Term(images[9], "image")]
        ids = rank_terms(terms, index, "image", hasher, 200, images.__getitem__).ids.tolist()
        return ids.index(0), ids.index(9)

    assert sorted(places(1.0)) == [0, 1]
    assert places(9.0)[0] == 0
    assert places(0.1)[1] == 0
    plain = [Term(texts[0], "text"), Term(images[9], "image")]
    assert rank_terms(plain, index, "image", hasher, 5, None).ids.tolist()[:2] in ([0, 9], [9, 0])


def test_only_what_is_allowed_and_not_dropped_is_found(space):
    images, texts, hasher = space
    index = index_of(hasher, images, np.arange(200))
    terms = [Term(texts[3], "text")]
    everything = rank_terms(terms, index, "image", hasher, 200, images.__getitem__).ids
    allowed = np.array([1, 3, 50, 60, 199])
    some = rank_terms(terms, index, "image", hasher, 9, images.__getitem__, allowed).ids
    assert some.tolist() == [i for i in everything.tolist() if i in allowed]
    nothing = np.array([], dtype=np.int64)
    assert len(rank_terms(terms, index, "image", hasher, 9, None, nothing).ids) == 0
    odd = rank_terms(terms, index, "image", hasher, 9, None, None, lambda ids: ids % 2 == 0).ids
    assert len(odd) == 9
    assert (odd % 2 == 1).all()


def test_what_is_dropped_is_made_up_for_from_farther_away(space, monkeypatch):
    images, texts, hasher = space
    monkeypatch.setattr(ranking_module, "SHORTLIST", 10)
    monkeypatch.setattr(ranking_module, "SHORTLIST_PER_RESULT", 1)
    index = index_of(hasher, images, np.arange(200))
    terms = [Term(texts[3], "text")]
    nearest = rank_terms(terms, index, "image", hasher, 150, None).ids[:150]
    far = rank_terms(terms, index, "image", hasher, 9, None, None, lambda i: np.isin(i, nearest))
    assert len(far.ids) == 9
    assert not set(far.ids.tolist()) & set(nearest.tolist())
    gone = rank_terms(terms, index, "image", hasher, 9, None, None, lambda ids: ids >= 0)
    assert len(gone.ids) == 0
