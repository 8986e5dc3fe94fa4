"""The classic hashers have the properties that their papers prove."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.errors import HasherError
from xmodal.evaluate import evaluate_hasher
from xmodal.hashing import create_hasher
from xmodal.hashing.agh import anchor_weights, kmeans
from xmodal.hashing.cca_itq import correlated_directions
from xmodal.hashing.isohash import isotropic_rotation
from xmodal.hashing.scm import leading_pair, similarity
from xmodal.hashing.sh import lowest_modes
from xmodal.hashing.triplet import Triples


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


def test_bit_by_bit_repairs_what_all_at_once_loses_as_codes_grow(pairs_of):
    """Zhang & Li 2014, and claim 3 of the survey: SCM-Seq gains with length, SCM-Orth does not."""
    pairs = pairs_of(rows=900, dim=96, classes=6)
    quality = {
        (name, bits): np.mean(
            [
                measure.mean
                for measure in evaluate_hasher(
                    lambda x, y, z, n=name, b=bits: create_hasher(n, bits=b).fit(x, y, z),
                    pairs.images,
                    pairs.texts,
                    pairs.labels,
                    splits=2,
                ).label_map.values()
            ]
        )
        for name in ("scm-orth", "scm-seq")
        for bits in (8, 64)
    }
    assert quality["scm-orth", 64] < quality["scm-orth", 8]
    assert quality["scm-seq", 64] > quality["scm-seq", 8]
    assert quality["scm-seq", 64] > quality["scm-orth", 64] + 0.1


def test_scm_similarity_is_that_of_the_full_matrix(pairs):
    """Equation 7: the n × n matrix S is never formed, and its product is the same."""
    g = pairs.labels / np.linalg.norm(pairs.labels, axis=1, keepdims=True)
    x, y = (f - f.mean(axis=0, dtype=np.float64) for f in (pairs.images, pairs.texts))
    full = 16 * x.T @ (2 * g @ g.T - 1) @ y
    found = similarity(x.T @ g, y.T @ g, 16)
    assert np.allclose(found, full, rtol=1e-5, atol=1e-3 * np.abs(full).max())


def test_leading_pair_is_that_of_the_decomposition():
    matrix = np.random.default_rng(0).standard_normal((30, 20))
    left, right = leading_pair(matrix)
    assert left @ matrix @ right == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-6)


def test_cca_finds_the_correlation_of_spaces_that_share_nothing_else():
    rng = np.random.default_rng(0)
    common = rng.standard_normal((2000, 3))
    images = common @ rng.standard_normal((3, 20)) + 0.1 * rng.standard_normal((2000, 20))
    texts = common @ rng.standard_normal((3, 12)) + 0.1 * rng.standard_normal((2000, 12))
    a, b = images - images.mean(0), texts - texts.mean(0)
    x, y = correlated_directions(a.T @ a, b.T @ b, a.T @ b, rows=2000, ridge=1e-3, most=12)
    assert x.shape == (20, 3)
    a, b = images @ x, texts @ y
    for column in range(3):
        assert np.corrcoef(a[:, column], b[:, column])[0, 1] > 0.95


def test_semi_supervised_codes_gain_from_labels_what_pcah_cannot_know():
    """Wang et al. 2010: a few labelled rows turn the directions towards the classes."""
    rng = np.random.default_rng(1)
    classes = rng.integers(4, size=600)
    features = 3 * rng.standard_normal((600, 32))
    features[:, :4] = 2.5 * np.eye(4)[classes] + 0.4 * rng.standard_normal((600, 4))
    labels = np.full((600, 4), np.nan)
    labels[:120] = np.eye(4)[classes[:120]]
    rows = features[300:]
    same = classes[300:, None] == classes[300:]

    def quality(name):
        hasher = create_hasher(name, bits=8).fit(features, features, labels)
        bits = np.unpackbits(hasher.encode_images(rows), axis=1)
        near = (bits[:, None] != bits).sum(axis=2)
        return near[~same].mean() - near[same].mean()

    assert quality("ssh") > quality("pcah") + 0.1
    assert quality("splh") > quality("pcah") + 0.1


@pytest.mark.parametrize("name", ["batch", "dlfh"])
def test_discrete_codes_of_labelled_rows_are_those_of_their_class(name, pairs):
    hasher = create_hasher(name, bits=32).fit(pairs.images, pairs.texts, pairs.labels)
    images = np.unpackbits(hasher.encode_images(pairs.images), axis=1)
    texts = np.unpackbits(hasher.encode_texts(pairs.texts), axis=1)
    distance = (images[:, None] != texts).sum(axis=2)
    same = pairs.labels @ pairs.labels.T > 0
    assert distance[~same].mean() > 2.5 * distance[same].mean()


@pytest.mark.parametrize("name", ["batch", "dlfh"])
def test_a_method_of_all_rows_at_once_says_that_it_cannot_learn_on(name, pairs):
    hasher = create_hasher(name, bits=16)
    with pytest.raises(HasherError, match="all rows at once"):
        hasher.partial_fit(pairs.images, pairs.texts, pairs.labels)


def test_triplet_codes_order_unseen_triples(pairs_of):
    """Norouzi et al. 2012: the near one of a triple is nearer in Hamming distance."""
    pairs = pairs_of(rows=600)
    learned, unseen = pairs.part(slice(400)), pairs.part(slice(400, 600))
    hasher = create_hasher("triplet", bits=32).fit(learned.images, learned.texts, learned.labels)
    images = np.unpackbits(hasher.encode_images(unseen.images), axis=1)
    texts = np.unpackbits(hasher.encode_texts(unseen.texts), axis=1)
    distance = (images[:, None] != texts).sum(axis=2)
    anchor, near, far = Triples(unseen.labels > 0, np.random.default_rng(0)).draw(5000)
    assert len(anchor) > 3000
    assert (distance[anchor, near] < distance[anchor, far]).mean() > 0.9


def test_triples_share_a_label_with_the_near_row_only(pairs):
    has = pairs.labels > 0
    anchor, near, far = Triples(has, np.random.default_rng(0)).draw(500)
    assert (has[anchor] & has[near]).any(axis=1).all()
    assert not (has[anchor] & has[far]).any()


def test_triplet_names_labels_by_which_no_row_is_near(pairs):
    with pytest.raises(HasherError, match=r"labels: expected some of at least 0\.5"):
        create_hasher("triplet", bits=16).fit(pairs.images, pairs.texts, 0.4 * pairs.labels)
