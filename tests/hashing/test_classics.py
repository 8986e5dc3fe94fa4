"""The classic hashers have the properties that their papers prove."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.errors import HasherError
from xmodal.hashing import create_hasher
from xmodal.hashing.agh import anchor_weights, kmeans
from xmodal.hashing.isohash import isotropic_rotation
from xmodal.hashing.sh import lowest_modes


def test_lsh_bits_differ_in_proportion_to_the_angle():
    """Charikar 2002: P[bit differs] = angle / π."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 24)).astype(np.float32)
    hasher = create_hasher("lsh", bits=1024).fit(features, features)
    centred = features - features.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    bits = np.unpackbits(hasher.encode_images(features), axis=1)
    differing = (bits[:200] != bits[200:]).mean(axis=1)
    angles = np.arccos((centred[:200] * centred[200:]).sum(axis=1)) / np.pi
    # The standard error of a mean of 1,024 bits is at most 1/64.
    assert np.abs(differing - angles).max() < 4.5 / 64
    assert abs((differing - angles).mean()) < 0.01


@pytest.mark.parametrize("name", ["pcah", "isohash"])
def test_more_bits_than_dimensions_is_an_error_that_says_both_numbers(name, pairs):
    with pytest.raises(HasherError, match=r"at most 32.*found 40"):
        create_hasher(name, bits=40).fit(pairs.images, pairs.texts)


def test_pcah_bits_are_ordered_by_variance_so_that_prefixes_are_codes(pairs):
    long = create_hasher("pcah", bits=32).fit(pairs.images, pairs.texts)
    short = create_hasher("pcah", bits=16).fit(pairs.images, pairs.texts)
    assert np.array_equal(
        long.encode_images(pairs.images)[:, :2], short.encode_images(pairs.images)
    )


@given(
    st.lists(st.floats(0.01, 100), min_size=2, max_size=40).map(
        lambda values: np.sort(np.array(values))[::-1]
    ),
    st.integers(0, 5),
)
def test_isohash_rotation_gives_every_bit_the_mean_variance(variances, seed):
    """Kong & Li 2012: all diagonal entries of QᵀΛQ are tr(Λ)/k, and Q is a rotation."""
    q = isotropic_rotation(variances, np.random.default_rng(seed))
    assert np.allclose(q.T @ q, np.eye(len(variances)), atol=1e-9)
    diagonal = np.diag(q.T @ (variances[:, None] * q))
    assert np.allclose(diagonal, variances.mean(), rtol=1e-6, atol=1e-9 * variances[0])


def test_spectral_hashing_gives_wide_directions_more_bits():
    """Weiss et al. 2008: modes are taken in the order of m/R."""
    directions, frequencies = lowest_modes(np.array([8.0, 2.0, 1.0]), 8)
    assert np.bincount(directions).tolist() == [7, 1]
    assert np.all(np.diff(frequencies) >= 0)


def test_spectral_hashing_on_a_line_is_a_cosine_of_the_position():
    rng = np.random.default_rng(0)
    along = rng.uniform(-1, 1, 2000)
    features = np.stack([along, 1e-3 * rng.standard_normal(2000)], axis=1).astype(np.float32)
    hasher = create_hasher("sh", bits=8).fit(features, features)
    first = hasher.encode_images(features)[:, 0] >> 7
    # Rows of unit length: the two ends of the line differ in the first bit, and only they do.
    right = along > along.mean()
    assert (first == right).mean() in (pytest.approx(1, abs=0.02), pytest.approx(0, abs=0.02))


def test_anchor_weights_sum_to_one_over_the_nearest_anchors():
    """Liu et al. 2011, equation 2."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 6))
    anchors = kmeans(rows, 12, rng)
    z = anchor_weights(rows, anchors, 3, 1.0)
    assert np.allclose(z.sum(axis=1), 1)
    assert ((z > 0).sum(axis=1) <= 3).all()
    distances = ((rows[:, None] - anchors) ** 2).sum(axis=2)
    assert np.array_equal(z.argmax(axis=1), distances.argmin(axis=1))


def test_agh_bits_are_eigenvectors_balanced_and_uncorrelated(pairs):
    """Liu et al. 2011, equation 1: Yᵀ1 = 0 and YᵀY = nI before the sign, on the training rows."""
    rows = np.concatenate([pairs.images - pairs.images.mean(0), pairs.texts - pairs.texts.mean(0)])
    hasher = create_hasher("agh", bits=8, anchors=40).fit(pairs.images, pairs.texts)
    y = np.concatenate(
        [hasher.project_images(pairs.images), hasher.project_texts(pairs.texts)]
    ).astype(np.float64)
    assert len(y) == len(rows)
    assert np.abs(y.mean(axis=0)).max() < 1e-4
    assert np.allclose(y.T @ y / len(y), np.eye(8), atol=1e-3)


def test_agh_refuses_more_bits_than_it_has_eigenvectors(pairs):
    with pytest.raises(HasherError, match=r"at most 39.*found 40"):
        create_hasher("agh", bits=40, anchors=40).fit(pairs.images, pairs.texts)
