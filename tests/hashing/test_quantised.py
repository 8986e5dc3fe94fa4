"""Any projection with any quantiser, as one hasher."""

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.hashing import create_hasher, load_hasher
from xmodal.quantising import create_quantiser, list_quantisers

NAMES = [info.name for info in list_quantisers()]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_every_quantiser_codes_saves_and_reports_its_losses(name, pairs, tmp_path):
    hasher = create_hasher("quantised", bits=32, quantiser=name).fit(pairs.images, pairs.texts)
    assert 0 < hasher.quantisation_loss_ <= hasher.hamming_loss_ < 1
    hasher.save(tmp_path / "q.npz")
    loaded = load_hasher(tmp_path / "q.npz")
    assert (loaded.quantisation_loss_, loaded.hamming_loss_) == (
        hasher.quantisation_loss_,
        hasher.hamming_loss_,
    )
    for use in ("encode_images", "encode_texts", "query_images", "query_texts"):
        np.testing.assert_array_equal(
            getattr(loaded, use)(pairs.images), getattr(hasher, use)(pairs.images)
        )


def test_code_is_that_of_the_quantiser_fitted_on_both_modalities(name, pairs):
    hasher = create_hasher("quantised", bits=16, quantiser=name, dims=24)
    hasher.fit(pairs.images, pairs.texts)
    pcah = create_hasher("pcah", bits=24).fit(pairs.images, pairs.texts)
    values = pcah.project_images(pairs.images)
    quantiser = create_quantiser(name, 16).fit(np.vstack([values, pcah.project_texts(pairs.texts)]))
    np.testing.assert_array_equal(hasher.encode_images(pairs.images), quantiser.encode(values))
    np.testing.assert_allclose(
        hasher.query_images(pairs.images), quantiser.weights(values), atol=1e-5
    )


def test_signs_of_a_projection_are_the_code_of_its_hasher(pairs):
    for projection in ("pcah", "itq", "cca-itq"):
        plain = create_hasher(projection, bits=16).fit(pairs.images, pairs.texts)
        signs = create_hasher("quantised", bits=16, projection=projection, quantiser="sign")
        signs.fit(pairs.images, pairs.texts)
        np.testing.assert_array_equal(
            plain.encode_texts(pairs.texts), signs.encode_texts(pairs.texts)
        )


@pytest.mark.parametrize(
    ("quantiser", "dims"),
    [("sign", 32), ("double-bit", 16), ("manhattan", 16), ("variable-bit", 32), ("rotation", 32)],
)
def test_projection_has_the_dimensions_that_the_quantiser_wants(pairs, quantiser, dims):
    hasher = create_hasher("quantised", bits=32, quantiser=quantiser)
    assert hasher.fit(pairs.images, pairs.texts).projection_.bits == dims


@pytest.mark.parametrize("quantiser", ["double-bit", "manhattan", "variable-bit", "rotation"])
def test_features_may_have_fewer_dimensions_than_bits(pairs, quantiser):
    hasher = create_hasher("quantised", bits=64, quantiser=quantiser)
    hasher.fit(pairs.images, pairs.texts)
    assert hasher.encode_images(pairs.images).shape == (240, 8)


def test_losses_at_the_same_dimensions_fall_with_bits(name, pairs):
    losses = [
        create_hasher("quantised", bits=bits, quantiser=name, dims=32)
        .fit(pairs.images, pairs.texts)
        .quantisation_loss_
        for bits in (8, 16, 32)
    ]
    assert losses == sorted(losses, reverse=True)


def test_few_texts_count_as_much_as_many_images(pairs):
    few = create_hasher("quantised", bits=16, quantiser="manhattan", projection="lsh", dims=8)
    few.fit(pairs.images, pairs.texts[:24])
    images = few.projection_.project_images(pairs.images)
    texts = few.projection_.project_texts(np.repeat(pairs.texts[:24], 10, axis=0))
    expected = create_quantiser("manhattan", 16).fit(np.vstack([images, texts]))
    np.testing.assert_allclose(few.thresholds_, expected.thresholds_, atol=1e-6)


@pytest.mark.parametrize("projection", ["lemon", "scm-seq"])
def test_supervised_projections_get_the_labels(pairs, projection):
    hasher = create_hasher("quantised", bits=32, projection=projection, quantiser="double-bit")
    assert hasher.needs_labels
    assert hasher.needs_pairs
    assert not hasher.needs_shared_space
    with pytest.raises(HasherError, match="labels: expected an array"):
        hasher.fit(pairs.images, pairs.texts)
    hasher.fit(pairs.images, pairs.texts[:, :20], pairs.labels)
    assert hasher.encode_texts(pairs.texts[:, :20]).shape == (240, 4)


def test_labels_count_beside_the_features_as_they_do_for_the_projection(pairs):
    assert create_hasher("quantised").feature_weight == np.inf
    fused = create_hasher("fused")
    assert create_hasher("quantised", projection="fused").feature_weight == fused.feature_weight


def test_parameters_reach_both_steps(pairs):
    hasher = create_hasher(
        "quantised",
        bits=32,
        projection="sh",
        quantiser="manhattan",
        quantiser_parameters={"regions": 9},
        projection_parameters={"seed": 7},
    ).fit(pairs.images, pairs.texts)
    assert hasher.projection_.get_params()["seed"] == 7
    assert (hasher.directions_ != 0).sum(axis=1).tolist() == [8, 8, 8, 8, 0, 0, 0, 0]


def test_wrong_parameters_are_named(pairs):
    for parameters, message in (
        ({"projection": "pch"}, "unknown hasher 'pch': did you mean 'pcah'"),
        ({"quantiser": "signs"}, "unknown quantiser 'signs': did you mean 'sign'"),
        ({"dims": 12}, "dims: expected a multiple of 8 .* found 12"),
        ({"dims": 8, "quantiser": "sign"}, "dims: expected at least 32 for 32 bits .* found 8"),
        ({"quantiser_parameters": {"regions": 4}}, "variable-bit: unknown parameter 'regions'"),
    ):
        with pytest.raises(HasherError, match=message):
            create_hasher("quantised", bits=32, **parameters).fit(pairs.images, pairs.texts)
