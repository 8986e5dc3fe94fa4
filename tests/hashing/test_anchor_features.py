"""``features="rbf"`` is one mechanism: every hasher that takes it learns what is not linear."""

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.evaluate import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing import create_hasher, list_hashers, load_hasher

NAMES = [info.name for info in list_hashers() if "anchors" in create_hasher(info.name).get_params()]
TAKES_RBF = [name for name in NAMES if name != "agh"]


def test_all_that_are_linear_in_features_of_their_own_take_anchors():
    expected = {"cca-itq", "scm-orth", "scm-seq", "batch", "dlfh", "lemon", "triplet"}
    assert expected <= set(TAKES_RBF)


@pytest.fixture(scope="module")
def rings():
    """Points in a disc and on a ring around it, in two modalities."""
    rng = np.random.default_rng(0)
    where = rng.uniform(-1, 1, size=(700, 2)).astype(np.float32)
    labels = np.eye(2, dtype=np.float32)[(np.linalg.norm(where, axis=1) > 0.75).astype(int)]
    return where, where[:, ::-1] + np.float32(0.01), labels


@pytest.mark.parametrize("name", TAKES_RBF)
def test_anchors_learn_what_is_not_linear(name, rings):
    images, texts, labels = rings
    learned, unseen = slice(0, 400), slice(400, None)

    def quality(features):
        hasher = create_hasher(name, bits=8, features=features, anchors=60)
        hasher.fit(images[learned], texts[learned], labels[learned])
        x = unpack_signs(hasher.encode_images(images[unseen])).astype(int)
        y = unpack_signs(hasher.encode_texts(texts[unseen])).astype(int)
        same = labels[unseen] @ labels[unseen].T > 0
        return mean_of(average_precision(in_ranked_order(same, rank_items(-x @ y.T))))

    assert quality("rbf") > 0.6
    if name != "scm-orth":  # it has no more bits than the two dimensions
        assert quality("linear") < 0.55


@pytest.mark.parametrize("name", TAKES_RBF)
def test_anchors_are_saved_learn_on_and_are_checked(name, pairs, tmp_path):
    hasher = create_hasher(name, bits=16, features="rbf", anchors=40)
    hasher.fit(pairs.images, pairs.texts, pairs.labels)
    if hasher.streams:
        hasher.partial_fit(pairs.images[:50], pairs.texts[:50], pairs.labels[:50])
    assert hasher.image_anchors_.shape == (40, 32)
    hasher.save(tmp_path / "h.npz")
    np.testing.assert_array_equal(
        load_hasher(tmp_path / "h.npz").encode_texts(pairs.texts), hasher.encode_texts(pairs.texts)
    )
    for parameters, message in (
        ({"features": "cubic"}, "features: expected one of .*found 'cubic'"),
        ({"features": "rbf", "anchors": 0}, "anchors: expected an integer from 1, found 0"),
    ):
        with pytest.raises(HasherError, match=message):
            create_hasher(name, bits=16, **parameters).fit(pairs.images, pairs.texts, pairs.labels)
