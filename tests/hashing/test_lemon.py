"""The supervised default."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.errors import HasherError
from xmodal.evaluate import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing import create_hasher
from xmodal.hashing.lemon import LemonCodes, orthogonal_codes


def _label_map(hasher, query, base):
    own, other = (
        unpack_signs(codes).astype(int)
        for codes in (hasher.encode_texts(query.texts), hasher.encode_images(base.images))
    )
    relevant = query.labels @ base.labels.T > 0
    return mean_of(average_precision(in_ranked_order(relevant, rank_items(-own @ other.T))))


@pytest.fixture(scope="module")
def split(pairs):
    return pairs.part(slice(40, 140)), pairs.part(slice(0, 40)), pairs.part(slice(140, None))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(1, 16), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_real_codes_are_orthogonal_and_balanced(rows, bits, rank, seed):
    rng = np.random.default_rng(seed)
    wanted = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, bits))
    real = orthogonal_codes(wanted, rng)
    np.testing.assert_allclose(real.sum(axis=0), 0, atol=1e-6 * rows)
    if rows > bits:
        np.testing.assert_allclose(real.T @ real, rows * np.eye(bits), atol=1e-6 * rows)


def test_real_codes_are_the_nearest_ones():
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(50, 6))
    nearest = orthogonal_codes(wanted, rng)
    for seed in range(20):
        other = orthogonal_codes(
            wanted + 0.1 * np.random.default_rng(seed).normal(size=(50, 6)), rng
        )
        assert (wanted * other).sum() <= (wanted * nearest).sum() + 1e-9


def test_codes_agree_within_a_class_and_differ_between_classes():
    labels = np.eye(4)[np.arange(200) % 4]
    codes = LemonCodes(16, 4, np.random.default_rng(0)).learn(labels)
    agreement = codes @ codes.T / 16
    same = labels @ labels.T > 0
    assert agreement[same].mean() > 0.95
    assert agreement[~same].mean() < 0.05


def test_later_rows_get_the_codes_of_their_class():
    labels = np.eye(4)[np.arange(200) % 4]
    learner = LemonCodes(16, 4, np.random.default_rng(0))
    first, later = learner.learn(labels[:160]), learner.learn(labels[160:])
    agreement = later @ first.T / 16
    assert agreement[labels[160:] @ labels[:160].T > 0].mean() > 0.95


def test_labels_beat_the_plain_code_on_rows_never_seen(split):
    train, query, base = split
    lemon = create_hasher("lemon", bits=16).fit(train.images, train.texts, train.labels)
    itq = create_hasher("itq", bits=16).fit(train.images, train.texts)
    assert _label_map(lemon, query, base) > 1.25 * _label_map(itq, query, base)


def test_anchors_learn_what_is_not_linear():
    rng = np.random.default_rng(0)
    where = rng.uniform(-1, 1, size=(900, 2))
    ring = (np.linalg.norm(where, axis=1) > 0.75).astype(int)
    labels = np.eye(2)[ring]

    def quality(features):
        lemon = create_hasher("lemon", bits=8, features=features, anchors=60)
        lemon.fit(where[:500], where[:500] + 0.01, labels[:500])
        codes = unpack_signs(lemon.encode_images(where[500:])).astype(int)
        same = labels[500:] @ labels[500:].T > 0
        return mean_of(average_precision(in_ranked_order(same, rank_items(-codes @ codes.T))))

    assert quality("rbf") > 0.85 > quality("linear")


@pytest.mark.parametrize("features", ["linear", "rbf"])
def test_further_rows_improve_the_code(split, features):
    train, query, base = split
    lemon = create_hasher("lemon", bits=8, features=features, anchors=50)
    start, rest = train.part(slice(0, 20)), train.part(slice(20, None))
    lemon.partial_fit(start.images, start.texts, start.labels)
    before = _label_map(lemon, query, base)
    for rows in range(0, 80, 16):
        more = rest.part(slice(rows, rows + 16))
        lemon.partial_fit(more.images, more.texts, more.labels)
    at_once = create_hasher("lemon", bits=8, features=features, anchors=50)
    at_once.fit(train.images, train.texts, train.labels)
    assert _label_map(lemon, query, base) > before
    assert _label_map(lemon, query, base) > 0.97 * _label_map(at_once, query, base)
    np.testing.assert_allclose(lemon.image_mean_, train.images.mean(axis=0), atol=1e-4)


def test_further_rows_may_lack_labels_modalities_or_everything(split):
    train, query, base = split
    lemon = create_hasher("lemon", bits=8).fit(train.images, train.texts, train.labels)
    before = lemon.encode_images(query.images)
    lemon.partial_fit(
        base.images[:3], np.full_like(base.texts[:3], np.nan), np.full((3, 5), np.nan)
    )
    lemon.partial_fit(base.images[:1], base.texts[:1], base.labels[:1])
    lemon.partial_fit(base.images[:0], base.texts[:0], base.labels[:0])
    assert (lemon.encode_images(query.images) == before).mean() > 0.9


def test_rows_without_labels_do_not_change_the_hash_functions(split):
    train, query, _ = split
    labels = train.labels.copy()
    labels[60:] = np.nan
    some = create_hasher("lemon", bits=8).fit(train.images, train.texts, labels)
    known = train.part(slice(0, 60))
    only = create_hasher("lemon", bits=8).fit(known.images, known.texts, known.labels)
    np.testing.assert_array_equal(some.encode_texts(query.texts), only.encode_texts(query.texts))
    assert not np.allclose(some.image_mean_, only.image_mean_)


def test_halves_without_their_other_modality_still_teach(split):
    train, query, base = split
    images, texts = train.images.copy(), train.texts.copy()
    images[::2], texts[1::2] = np.nan, np.nan
    lemon = create_hasher("lemon", bits=16).fit(images, texts, train.labels)
    plain = create_hasher("itq", bits=16).fit(train.images, train.texts)
    assert _label_map(lemon, query, base) > _label_map(plain, query, base)


def test_soft_labels_teach_like_hard_ones(split):
    train, query, base = split
    soft = np.clip(0.7 * train.labels + 0.1, 0, 1)
    lemon = create_hasher("lemon", bits=16).fit(train.images, train.texts, soft)
    hard = create_hasher("lemon", bits=16).fit(train.images, train.texts, train.labels)
    assert _label_map(lemon, query, base) > 0.9 * _label_map(hard, query, base)


def test_ridge_is_chosen_from_rows_held_out(split):
    train, query, base = split
    lemon = create_hasher("lemon", bits=16).fit(train.images, train.texts, train.labels)
    assert lemon.ridge is None
    given = {
        ridge: _label_map(
            create_hasher("lemon", bits=16, ridge=ridge).fit(
                train.images, train.texts, train.labels
            ),
            query,
            base,
        )
        for ridge in (1.0, 10.0, 100.0, 1000.0)
    }
    assert _label_map(lemon, query, base) > max(given.values()) - 0.05


def test_class_with_one_row_is_learned_with_the_rest(split):
    train, _, _ = split
    labels = np.hstack([train.labels, np.zeros((len(train.labels), 1))])
    labels[0, -1] = 1
    create_hasher("lemon", bits=8).fit(train.images, train.texts, labels)


def test_rows_sorted_by_class_learn_in_chunks_as_well(split, monkeypatch):
    train, query, base = split
    order = np.argsort(train.labels.argmax(axis=1))
    monkeypatch.setattr("xmodal.hashing.supervised.CHUNK", 40)
    lemon = create_hasher("lemon", bits=16, ridge=100.0)
    lemon.fit(train.images[order], train.texts[order], train.labels[order])
    monkeypatch.undo()
    whole = create_hasher("lemon", bits=16, ridge=100.0)
    whole.fit(train.images, train.texts, train.labels)
    assert _label_map(lemon, query, base) > 0.9 * _label_map(whole, query, base)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"features": "cubic"}, "features: expected one of .*found 'cubic'"),
        ({"features": "rbf", "anchors": 0}, "anchors: expected an integer from 1, found 0"),
        ({"ridge": -1}, "ridge: expected None or a number above 0, found -1"),
    ],
)
def test_wrong_parameters_are_named(pairs, parameters, message):
    with pytest.raises(HasherError, match=message):
        create_hasher("lemon", bits=8, **parameters).fit(pairs.images, pairs.texts, pairs.labels)


def test_further_rows_must_fit_the_first(split, tmp_path):
    train, _, base = split
    lemon = create_hasher("lemon", bits=8).fit(train.images, train.texts, train.labels)
    with pytest.raises(HasherError, match="labels: expected 5 columns, found 4"):
        lemon.partial_fit(base.images, base.texts, base.labels[:, :4])
    with pytest.raises(HasherError, match="texts: expected 100 rows, one per image, found 9"):
        lemon.partial_fit(base.images, base.texts[:9], base.labels)
    lemon.save(tmp_path / "l.npz")
    with pytest.raises(HasherError, match="a loaded hasher cannot learn on"):
        type(lemon).load(tmp_path / "l.npz").partial_fit(base.images, base.texts, base.labels)
