"""Semantic and instance bits in one code."""

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.hashing import create_hasher
from xmodal.hashing.fused import Fused
from xmodal.hashing.fused_choice import APART, SHARED, choose_halves


@pytest.fixture(scope="module")
def fused(pairs):
    return create_hasher("fused", bits=32).fit(pairs.images, pairs.texts, pairs.labels)


def test_code_is_the_semantic_code_then_the_instance_code(fused, pairs):
    semantic = create_hasher("posterior-itq", bits=16).fit(pairs.images, pairs.texts, pairs.labels)
    instance = create_hasher(fused.instance_.name, bits=16).fit(pairs.images, pairs.texts)
    np.testing.assert_array_equal(
        fused.encode_texts(pairs.texts),
        np.hstack([semantic.encode_texts(pairs.texts), instance.encode_texts(pairs.texts)]),
    )


def test_halves_count_the_same_however_large_their_projections(pairs):
    fused = create_hasher("fused", bits=32, semantic_share=0.5)
    fused.fit(pairs.images, pairs.texts, pairs.labels)
    signs = np.where(fused.project_images(pairs.images) > 0, 1.0, -1.0)
    weights = fused.query_texts(pairs.texts)
    semantic, instance = (
        (weights[:, half] @ signs[:, half].T).std(axis=1)
        for half in (slice(0, 16), slice(16, None))
    )
    np.testing.assert_allclose(semantic, instance, rtol=0.35)
    assert abs(np.log(semantic.mean() / instance.mean())) < 0.1


def test_share_of_one_ranks_by_the_semantic_half_alone(pairs):
    fused = create_hasher("fused", bits=32, semantic_share=1.0)
    fused.fit(pairs.images, pairs.texts, pairs.labels)
    weights = fused.query_images(pairs.images)
    assert not weights[:, 16:].any()
    assert weights[:, :16].any()


@pytest.mark.parametrize(("bits", "semantic"), [(16, 8), (24, 8), (32, 16), (64, 24), (128, 48)])
def test_halves_are_whole_bytes(pairs, bits, semantic):
    fused = create_hasher("fused", bits=bits).fit(pairs.images, pairs.texts, pairs.labels)
    assert (fused.semantic_.bits, fused.instance_.bits) == (semantic, bits - semantic)


def test_hashers_fitted_on_different_rows_join(pairs, tmp_path):
    lemon = create_hasher("lemon", bits=8).fit(pairs.images, pairs.texts, pairs.labels)
    itq = create_hasher("itq", bits=24).fit(pairs.images[:50], pairs.texts)
    fused = Fused.join(lemon, itq, pairs.images, pairs.texts[:100])
    assert fused.bits == 32
    np.testing.assert_array_equal(
        fused.encode_images(pairs.images)[:, 1:], itq.encode_images(pairs.images)
    )
    fused.save(tmp_path / "f.npz")
    loaded = Fused.load(tmp_path / "f.npz")
    np.testing.assert_array_equal(loaded.query_texts(pairs.texts), fused.query_texts(pairs.texts))
    again = create_hasher("fused", **fused.get_params())
    again.fit(pairs.images, pairs.texts, pairs.labels)
    assert again.semantic_.bits == 8


def test_parameters_of_the_halves_are_passed_on(pairs):
    fused = create_hasher("fused", bits=16, semantic="lemon", semantic_parameters={"ridge": 30.0})
    fused.fit(pairs.images, pairs.texts, pairs.labels)
    assert fused.semantic_.ridge_ == 30.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bits": 8}, "instance bits: expected a multiple of 8 from 8"),
        ({"bits": 32, "semantic_bits": 32}, "instance bits: .*found 0"),
        ({"bits": 32, "semantic_bits": 12}, "semantic_bits: .*found 12"),
        ({"bits": 32, "semantic_share": 2}, "semantic_share: expected a number from 0 to 1"),
        ({"bits": 32, "instance": "itk"}, "did you mean 'itq'"),
        (
            {"bits": 32, "semantic_parameters": {"rigde": 1}},
            "posterior-itq: unknown parameter 'rigde'",
        ),
    ],
)
def test_wrong_parameters_are_named(pairs, parameters, message):
    with pytest.raises(HasherError, match=message):
        create_hasher("fused", **parameters).fit(pairs.images, pairs.texts, pairs.labels)


def test_halves_of_different_feature_spaces_do_not_join(pairs):
    lemon = create_hasher("lemon", bits=8).fit(pairs.images[:, :16], pairs.texts, pairs.labels)
    itq = create_hasher("itq", bits=8).fit(pairs.images, pairs.texts)
    with pytest.raises(HasherError, match="itq: expected a hasher fitted on images of 16 columns"):
        Fused.join(lemon, itq, pairs.images, pairs.texts)
    with pytest.raises(HasherError, match="itq: not fitted yet"):
        Fused.join(lemon, create_hasher("itq"), pairs.images, pairs.texts)


def _chosen(images, texts, labels, names=SHARED, shares=(0.5,)):
    semantic = create_hasher("posterior-itq", bits=16)
    halves = [create_hasher(name, bits=32) for name in names]
    return choose_halves(semantic, halves, shares, images, texts, labels)


def test_instance_half_is_the_one_that_finds_own_partners():
    rng = np.random.default_rng(5)
    labels = np.eye(4)[rng.integers(4, size=400)]
    items = rng.normal(size=(400, 48)) * np.linspace(2, 0.2, 48) + labels @ rng.normal(size=(4, 48))
    images, texts = items + 0.3 * rng.normal(size=(2, *items.shape))
    assert _chosen(images, texts, labels)[0] != "cca-itq"
    turned = texts @ np.linalg.qr(np.random.default_rng(6).normal(size=(48, 48)))[0]
    assert _chosen(images, turned, labels)[0] == "cca-itq"


def test_share_follows_what_is_harder_to_find(pairs_of):
    rng = np.random.default_rng(0)
    pairs = pairs_of(rows=600, dim=64, classes=20)
    shares = (0.1, 0.5, 0.9)
    alike = pairs.images + 0.1 * rng.normal(size=pairs.images.shape)  # partners are found anyhow
    easy = _chosen(pairs.images, alike, pairs.labels, shares=shares)[1]
    noise = np.eye(20)[rng.integers(20, size=600)]  # labels that nothing tells
    useless = _chosen(pairs.images, pairs.texts, noise, shares=shares)[1]
    assert useless < easy


def test_too_few_rows_decide_nothing(pairs):
    few = pairs.part(slice(0, 40))
    assert _chosen(few.images, few.texts, few.labels, APART, (0.3, 0.5)) == ("cca-itq", 0.3)


def test_given_halves_and_share_are_taken_as_they_are(pairs):
    fused = create_hasher("fused", bits=32, instance="lsh", semantic="lemon", semantic_share=0.3)
    fused.fit(pairs.images, pairs.texts, pairs.labels)
    assert (fused.semantic_.name, fused.instance_.name, fused.share_) == ("lemon", "lsh", 0.3)


def test_code_of_modalities_without_a_shared_space(pairs):
    fused = create_hasher("fused", bits=32)
    fused.fit(pairs.images, pairs.texts[:, :20], pairs.labels)
    assert fused.instance_.name == "cca-itq"


def test_half_that_does_not_learn_on_is_named_before_the_other_learns(pairs):
    fused = create_hasher("fused", bits=32, semantic="batch")
    fused.fit(pairs.images, pairs.texts, pairs.labels)
    with pytest.raises(HasherError, match="batch: learns from all rows at once"):
        fused.partial_fit(pairs.images, pairs.texts, pairs.labels)
