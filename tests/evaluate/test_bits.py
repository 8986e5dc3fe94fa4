"""How many bits: hand-made curves give known answers; nested codes are cut, others learned anew."""

from dataclasses import dataclass

import numpy as np
import pytest

from xmodal.errors import UsageError
from xmodal.evaluate import BitsChoice, Measure, choose_bits, evaluate_hasher, weigh_lengths
from xmodal.hashing import create_hasher, list_hashers
from xmodal.hashing.registry import hasher_class


@dataclass(frozen=True)
class Pairs:
    images: np.ndarray
    texts: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Items of five classes in two modalities, which lie in two cones of one space."""
    rng = np.random.default_rng(0)
    labels = np.eye(5, dtype=np.float32)[rng.integers(5, size=240)]
    item = labels @ rng.normal(size=(5, 32)) + rng.normal(size=(240, 32))
    images, texts = item + 0.4 * rng.normal(size=(2, 240, 32)) + 5 * rng.normal(size=(2, 1, 32))
    return Pairs(images, texts, labels)


def _curve(*means: float, noise: float = 0.0) -> dict[int, Measure]:
    """Lengths 16, 32, … with these mean qualities over 200 queries, which differ alike."""
    spread = np.random.default_rng(0).normal(size=200)
    spread -= spread.mean()
    own = np.random.default_rng(1).normal(size=(len(means), 200))
    own -= own.mean(axis=1, keepdims=True)
    return {
        16 * 2**number: Measure((mean + 0.1 * spread + noise * own[number])[None, :])
        for number, mean in enumerate(means)
    }


def test_the_shortest_length_that_keeps_the_share_is_chosen():
    curve = _curve(0.60, 0.75, 0.79, 0.80)
    assert weigh_lengths({"map": curve}, keep=0.98).bits == 64
    assert weigh_lengths({"map": curve}, keep=0.93).bits == 32
    assert weigh_lengths({"map": curve}, keep=1.0).bits == 128


def test_every_measure_must_be_kept():
    quality = {"map": _curve(0.70, 0.80, 0.80, 0.80), "own_recall@10": _curve(0.3, 0.5, 0.6, 0.9)}
    assert weigh_lengths({"map": quality["map"]}).bits == 32
    assert weigh_lengths(quality).bits == 128


def test_a_measure_that_falls_with_length_leaves_the_best_compromise():
    quality = {"map": _curve(0.9, 0.8, 0.5, 0.4), "own_recall@10": _curve(0.2, 0.7, 0.8, 0.9)}
    assert weigh_lengths(quality, keep=0.98).bits == 32


def test_a_choice_is_sure_only_beyond_its_interval():
    clear = weigh_lengths({"map": _curve(0.60, 0.799, 0.80, 0.80)})
    assert (clear.bits, clear.sure) == (32, True)
    noisy = weigh_lengths({"map": _curve(0.60, 0.799, 0.80, 0.80, noise=0.3)})
    assert (noisy.bits, noisy.sure) == (32, False)


def test_each_further_byte_is_told_with_a_paired_interval():
    steps = weigh_lengths({"map": _curve(0.60, 0.70, 0.74, 0.74)}).steps
    assert [(step.shorter, step.longer, step.bytes) for step in steps] == [
        (16, 32, 2.0),
        (32, 64, 4.0),
        (64, 128, 8.0),
    ]
    first = steps[0].per_byte["map"]
    assert first.mean == pytest.approx(0.05)
    # Queries differ by far more than the lengths do; only the pairs show how sure the gain is.
    assert first.half_width < 1e-6


def test_a_measure_that_no_query_defines_is_left_out():
    empty = {bits: Measure(np.full((1, 200), np.nan)) for bits in (16, 32)}
    choice = weigh_lengths({"map": empty, "own_recall@10": _curve(0.5, 0.9)})
    assert list(choice.quality) == ["own_recall@10"]
    with pytest.raises(UsageError, match="no labels and no pairs to judge map"):
        weigh_lengths({"map": empty})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"keep": 0.0}, "keep: expected a share above 0 up to 1, found 0"),
        ({"keep": 1.5}, "keep"),
        ({"lengths": [32]}, "lengths: expected at least two different ones"),
        ({"lengths": [32, 32]}, "lengths"),
    ],
)
def test_what_cannot_be_asked_is_an_error(pairs, arguments, told):
    def fit(bits, x, y, known):
        return create_hasher("lsh", bits=bits).fit(x, y)

    with pytest.raises(UsageError, match=told):
        choose_bits(fit, pairs.images, pairs.texts, pairs.labels, **arguments)


def test_a_nested_code_is_learned_once_and_measured_as_if_it_were_short(pairs):
    learned = []

    def fit(bits, x, y, known):
        learned.append(bits)
        return create_hasher("pcah", bits=bits).fit(x, y)

    arrays = (pairs.images, pairs.texts, pairs.labels)
    choice = choose_bits(fit, *arrays, lengths=(8, 16, 32), splits=2, measures=("map",))
    assert learned == [32, 32]  # once a split
    for asymmetric in (True, False):
        choice = choose_bits(
            fit, *arrays, lengths=(8, 16, 32), splits=2, measures=("map",), asymmetric=asymmetric
        )
        short = evaluate_hasher(
            lambda x, y, known: create_hasher("pcah", bits=8).fit(x, y),
            *arrays, splits=2, asymmetric=asymmetric,
        ).label_map  # fmt: skip
        values = np.mean([short[direction].values for direction in short], axis=0)
        np.testing.assert_allclose(choice.quality["map"][8].values, values, atol=1e-12)


def test_other_codes_are_learned_at_each_length(pairs):
    learned = []

    def fit(bits, x, y, known):
        learned.append(bits)
        return create_hasher("itq", bits=bits).fit(x, y)

    choice = choose_bits(fit, pairs.images, pairs.texts, pairs.labels, lengths=(8, 32), splits=2)
    assert sorted(learned) == [8, 8, 32, 32]
    assert isinstance(choice, BitsChoice)
    assert str(choice).splitlines()[0].split() == ["bits", "map", "own_recall@10"]


# A prefix of lsh is a shorter code of another draw.
NESTED = [
    info.name for info in list_hashers() if hasher_class(info.name).nested and info.name != "lsh"
]


@pytest.mark.parametrize("name", NESTED)
def test_the_first_bits_of_a_nested_code_are_the_shorter_code(pairs, name):
    arrays = (pairs.images, pairs.texts, pairs.labels)
    long, short = (create_hasher(name, bits=bits).fit(*arrays) for bits in (24, 8))
    cut = long.encode_images(pairs.images)[:, :1]
    same = np.unpackbits(cut ^ short.encode_images(pairs.images), axis=1).mean(axis=0)
    # The similarity of five classes has no more directions than that: any others do for scm-orth.
    defined = same[:5] if name == "scm-orth" else same
    # The sign of an eigenvector is arbitrary: a bit may be the other way round throughout.
    assert np.all(np.minimum(defined, 1 - defined) < 0.01)


def test_the_first_bits_of_scm_seq_repeat_one_another_so_that_it_is_not_nested(pairs):
    long = create_hasher("scm-seq", bits=128).fit(pairs.images, pairs.texts, pairs.labels)
    short = create_hasher("scm-seq", bits=8).fit(pairs.images, pairs.texts, pairs.labels)
    different = [
        len(np.unique(hasher.encode_images(pairs.images)[:, 0])) for hasher in (long, short)
    ]
    assert different[0] < different[1] / 2
    assert not long.nested
