"""Hashers that learn on give, rows in parts, what all rows at once give, and keep nothing more."""

import pickle

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.evaluate import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing import create_hasher, list_hashers
from xmodal.hashing.moments import Moments, Reservoir

BITS = 16
STREAMING = [info.name for info in list_hashers() if info.streams]
# Small differences turn into other codes that are as good: by a choice between near equals in a
# rotation or a sequence, by directions that tell nothing, or by codes that are learned in chunks.
AS_GOOD = {"itq", "pair-itq", "isohash", "splh", "scm-orth", "lemon", "posterior-itq", "fused"}


@pytest.fixture(params=STREAMING)
def name(request):
    return request.param


@pytest.fixture
def small_samples(monkeypatch):
    """Samples of at most 300 rows, so that few rows fill them."""
    start = Reservoir.__init__
    monkeypatch.setattr(
        Reservoir, "__init__", lambda self, size, seed: start(self, min(size, 300), seed)
    )


def _with_spectrum(pairs):
    """The same with columns of falling variance, as features have: directions can be told apart."""
    scale = (1 + np.arange(pairs.images.shape[1], dtype=np.float32)) ** -0.5
    return type(pairs)(scale * pairs.images, scale * pairs.texts, pairs.labels)


def _codes(hasher, pairs):
    return [
        unpack_signs(codes).astype(int)
        for codes in (hasher.encode_images(pairs.images), hasher.encode_texts(pairs.texts))
    ]


def _label_map(hasher, pairs):
    images, texts = _codes(hasher, pairs)
    relevant = pairs.labels @ pairs.labels.T > 0
    return mean_of(average_precision(in_ranked_order(relevant, rank_items(-texts @ images.T))))


def _learn_in_parts(hasher, pairs, parts):
    for numbers in np.array_split(np.arange(len(pairs.labels)), parts):
        part = pairs.part(slice(numbers[0], numbers[-1] + 1))
        hasher.partial_fit(part.images, part.texts, part.labels)
    return hasher


def test_rows_in_parts_give_the_codes_of_all_at_once(name, pairs_of):
    pairs, unseen = (_with_spectrum(pairs_of(rows=n, seed=n)) for n in (3000, 400))
    whole = create_hasher(name, bits=BITS).fit(pairs.images, pairs.texts, pairs.labels)
    parts = _learn_in_parts(create_hasher(name, bits=BITS), pairs, 5)
    np.testing.assert_allclose(parts.image_mean_, pairs.images.mean(axis=0), atol=1e-4)
    same = np.mean(np.equal(_codes(whole, unseen), _codes(parts, unseen)))
    if name in AS_GOOD:
        assert _label_map(parts, unseen) > _label_map(whole, unseen) - 0.02
    else:
        assert same >= 0.99


def test_what_is_kept_does_not_grow_with_the_rows(name, pairs_of, small_samples):
    pairs = pairs_of(rows=1600, dim=16)
    hasher = create_hasher(name, bits=BITS)
    kept = []
    for part in (slice(0, 400), slice(400, 700), slice(700, 1600)):
        hasher.partial_fit(pairs.images[part], pairs.texts[part], pairs.labels[part])
        kept.append(len(pickle.dumps(vars(hasher))))
    assert kept[2] < kept[1] + 50  # the digits of a random generator's state


def test_a_sample_is_the_same_however_rows_are_divided():
    values = np.arange(1000, dtype=np.float32)[:, None]
    whole, parts = Reservoir(50, seed=1), Reservoir(50, seed=1)
    whole.add(np.arange(1000), values)
    for numbers in np.array_split(np.arange(1000), 7):
        parts.add(numbers, values)
    np.testing.assert_array_equal(whole.arrays[0], parts.arrays[0])
    assert len(whole.arrays[0]) == 50
    assert abs(whole.arrays[0].mean() - 500) < 4 * 1000 / np.sqrt(12 * 50)


def test_moments_of_parts_are_those_of_all_rows_far_from_zero():
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(900, 5)) * [1, 2, 3, 4, 5] + 1e4).astype(np.float32)
    total = Moments(5)
    for part in np.array_split(rows, 4):
        total.merge(Moments.of(part))
    exact = rows.astype(np.float64)
    np.testing.assert_allclose(total.mean, exact.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(total.scatter / 900, np.cov(exact.T, bias=True), atol=1e-4)
    weights = rng.random(900)
    weighed = Moments.of(exact, weights)
    expected = np.cov(exact.T, aweights=weights, ddof=0)
    np.testing.assert_allclose(weighed.scatter / weights.sum(), expected, atol=1e-9)


def test_a_first_call_is_fit_and_a_loaded_hasher_cannot_learn_on(name, pairs, tmp_path):
    first = create_hasher(name, bits=BITS).partial_fit(pairs.images, pairs.texts, pairs.labels)
    fitted = create_hasher(name, bits=BITS).fit(pairs.images, pairs.texts, pairs.labels)
    for one, other in zip(_codes(first, pairs), _codes(fitted, pairs), strict=True):
        np.testing.assert_array_equal(one, other)
    first.save(tmp_path / "h.npz")
    with pytest.raises(HasherError, match=r"a loaded hasher cannot learn on; call fit\(\) again"):
        type(first).load(tmp_path / "h.npz").partial_fit(pairs.images, pairs.texts, pairs.labels)


def test_further_rows_may_lack_everything_but_must_fit_the_first(name, pairs):
    hasher = create_hasher(name, bits=BITS).fit(pairs.images, pairs.texts, pairs.labels)
    nothing = np.full_like(pairs.images[:3], np.nan)
    hasher.partial_fit(nothing, pairs.texts[:3], np.full_like(pairs.labels[:3], np.nan))
    hasher.partial_fit(pairs.images[:0], pairs.texts[:0], pairs.labels[:0])
    wrong = [((pairs.images[:, 1:], pairs.texts, pairs.labels), "images: expected 32 columns")]
    wrong += [((pairs.images, np.full_like(pairs.texts, np.inf), pairs.labels), "found inf")]
    if hasher.needs_pairs:
        wrong += [((pairs.images, pairs.texts[:9], pairs.labels), "texts: expected 240 rows")]
    if hasher.needs_labels:
        wrong += [((pairs.images, pairs.texts, pairs.labels[:, 1:]), "labels: expected 5 columns")]
        wrong += [((pairs.images, pairs.texts, None), "labels: expected an array .* found None")]
    for arrays, message in wrong:
        with pytest.raises(HasherError, match=message):
            hasher.partial_fit(*arrays)


@pytest.mark.parametrize("name", [info.name for info in list_hashers() if not info.streams])
def test_a_method_of_all_rows_at_once_says_what_to_do_instead(name, pairs):
    with pytest.raises(HasherError, match=rf"{name}: learns from all rows at once; call fit\(\)"):
        create_hasher(name, bits=BITS).partial_fit(pairs.images, pairs.texts, pairs.labels)


def test_every_method_whose_statistics_add_up_learns_on():
    of_sums = {"lsh", "pcah", "itq", "isohash", "sh", "agh", "cca-itq", "ssh", "splh"}
    assert of_sums | {"scm-orth", "scm-seq", "lemon", "triplet"} <= set(STREAMING)
    assert not {"batch", "dlfh"} & set(STREAMING)  # codes of all rows, learned together
