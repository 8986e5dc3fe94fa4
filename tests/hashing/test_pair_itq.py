"""A shared space bent to where pairs agree."""

import numpy as np

from xmodal.evaluate import mean_of, own_item_recall
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing import create_hasher
from xmodal.hashing.pair_itq import ISOTROPIC


def _pairs(rows, seed):
    """Items of 64 dimensions; image and text differ much in the first 16, little in the others."""
    rng = np.random.default_rng(seed)
    items = rng.normal(size=(rows, 64))
    noise = rng.normal(size=(2, rows, 64)) * np.where(np.arange(64) < 16, 3.0, 0.3)
    return (items + noise).astype(np.float32)


def _own_recall(hasher, images, texts):
    scores = hasher.query_texts(texts) @ unpack_signs(hasher.encode_images(images)).T
    return mean_of(own_item_recall(-scores, np.arange(len(images)), 5))


def test_directions_in_which_pairs_differ_count_less():
    unseen = _pairs(300, 1)
    learned = _pairs(500, 0)
    bent, plain = (create_hasher(name, bits=64).fit(*learned) for name in ("pair-itq", "itq"))
    assert _own_recall(bent, *unseen) > _own_recall(plain, *unseen) + 0.2
    weight = np.linalg.norm(bent.image_projection_, axis=1)
    assert weight[16:].min() > weight[:16].max()


def test_without_pairs_the_space_is_not_bent():
    images, texts = _pairs(200, 2)
    none = np.full_like(images, np.nan)
    hasher = create_hasher("pair-itq", bits=32)
    hasher.fit(np.vstack([images, none]), np.vstack([none, texts]))
    np.testing.assert_array_equal(hasher._sums.difference(), np.eye(64))
    assert np.isfinite(hasher.project_images(images)).all()


def test_few_pairs_bend_little():
    few, many = (
        create_hasher("pair-itq", bits=32).fit(*_pairs(rows, 3))._sums.difference()
        for rows in (5, 5000)
    )
    spread = [np.ptp(np.linalg.eigvalsh(d)) / np.trace(d) * len(d) for d in (few, many)]
    assert spread[0] < spread[1]
    assert np.linalg.eigvalsh(many)[0] > ISOTROPIC * 0.9 * np.trace(many) / len(many)


def test_unpaired_rows_join_the_directions():
    images, texts = _pairs(200, 4)
    words = _pairs(400, 5)[1]
    more = create_hasher("pair-itq", bits=32).fit(
        np.vstack([images, np.full_like(words, np.nan)]), np.vstack([texts, words])
    )
    plain = create_hasher("pair-itq", bits=32).fit(images, texts)
    assert more.encode_images(images).tobytes() != plain.encode_images(images).tobytes()
    np.testing.assert_allclose(more.text_mean_, np.vstack([texts, words]).mean(axis=0), atol=1e-4)
