"""The network: what it learns, what it leaves alone, and that NumPy runs what PyTorch trained."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from xmodal.errors import HasherError
from xmodal.evaluate import average_precision, in_ranked_order, mean_of, rank_items
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing import create_hasher
from xmodal.hashing.mlp_training import Head, Learner, Rows, choose_rounds, loss, scale_of


def _label_map(hasher, query, base):
    own, other = (
        unpack_signs(codes).astype(int)
        for codes in (hasher.encode_texts(query.texts), hasher.encode_images(base.images))
    )
    relevant = query.labels @ base.labels.T > 0
    return mean_of(average_precision(in_ranked_order(relevant, rank_items(-own @ other.T))))


def _rows(images, texts, labels):
    return Rows(images, texts, labels, (images.mean(axis=0), texts.mean(axis=0)))


def _small(**parameters):
    return create_hasher("mlp", **{"bits": 16, "rounds": 10, **parameters})


@pytest.fixture(scope="module")
def split(pairs):
    return pairs.part(slice(40, 140)), pairs.part(slice(0, 40)), pairs.part(slice(140, None))


@pytest.fixture(scope="module")
def taught(split):
    train, _, _ = split
    return _small().fit(train.images, train.texts, train.labels)


def test_numpy_runs_what_pytorch_trained(pairs):
    rows = _rows(pairs.images, pairs.texts, pairs.labels)
    learner = Learner(rows, rows.labelled, bits=16, seed=0, width=512)
    for _ in range(3):
        learner.round()
    hasher = _small(rounds=3).fit(pairs.images, pairs.texts, pairs.labels)
    everything = np.arange(len(pairs.images))
    for modality, project in enumerate((hasher.project_images, hasher.project_texts)):
        with torch.no_grad():
            trained = learner.heads[modality](rows.standardised(modality, everything)).numpy()
        own = project(pairs.images if modality == 0 else pairs.texts)
        np.testing.assert_allclose(own, trained, atol=1e-5)
        np.testing.assert_array_equal(learner.codes(modality, everything) > 0, own > 0)


def test_coding_with_a_saved_network_does_not_import_pytorch(taught, split, tmp_path):
    _, query, _ = split
    taught.save(tmp_path / "mlp.hasher")
    np.save(tmp_path / "rows.npy", query.texts)
    code = (
        "import sys, numpy as np; from xmodal.hashing import load_hasher, list_hashers;"
        f"list_hashers(); hasher = load_hasher(r'{tmp_path / 'mlp.hasher'}');"
        f"codes = hasher.encode_texts(np.load(r'{tmp_path / 'rows.npy'}'));"
        "print('torch' in sys.modules, codes.tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", taught.encode_texts(query.texts).tobytes().hex()]


def test_classes_that_no_hyperplane_parts_are_learned(pairs_of):
    """Two classes in opposite quadrants (exclusive or): every linear bit is blind to them."""
    rng = np.random.default_rng(0)
    where = rng.uniform(-1, 1, size=(900, 2)).astype(np.float32)
    labels = np.eye(2)[(where[:, 0] * where[:, 1] > 0).astype(int)]
    data = type(pairs_of(2))(where, where + 0.01, labels)
    train, query, base = (data.part(slice(*at)) for at in ((0, 500), (500, 600), (600, None)))
    quality = {
        hasher.name: _label_map(hasher.fit(train.images, train.texts, train.labels), query, base)
        for hasher in (_small(bits=8, rounds=20), create_hasher("lemon", bits=8))
    }
    assert quality["mlp"] > 0.85
    assert quality["lemon"] < 0.65


def test_labels_beat_the_plain_code_on_rows_never_seen(taught, split):
    train, query, base = split
    itq = create_hasher("itq", bits=16).fit(train.images, train.texts)
    assert _label_map(taught, query, base) > 1.25 * _label_map(itq, query, base)


def test_halves_without_their_other_modality_still_teach(split):
    """No row is a pair: without the halves there would be nothing to learn from."""
    train, query, base = split
    images, texts = train.images.copy(), train.texts.copy()
    images[::2], texts[1::2] = np.nan, np.nan
    mlp = _small().fit(images, texts, train.labels)
    itq = create_hasher("itq", bits=16).fit(train.images, train.texts)
    assert _label_map(mlp, query, base) > 1.25 * _label_map(itq, query, base)


def test_soft_labels_teach_like_hard_ones(taught, split):
    train, query, base = split
    soft = _small().fit(train.images, train.texts, np.clip(0.7 * train.labels + 0.1, 0, 1))
    assert _label_map(soft, query, base) > 0.9 * _label_map(taught, query, base)


def test_rows_may_have_several_labels(split):
    """Half of the rows carry a second label; a query finds the rows of either."""
    train, query, base = split
    second = np.eye(2)[(train.images[:, 0] > np.median(train.images[:, 0])).astype(int)]
    mlp = _small().fit(train.images, train.texts, np.hstack([train.labels, second[:, :1]]))
    itq = create_hasher("itq", bits=16).fit(train.images, train.texts)
    assert _label_map(mlp, query, base) > 1.1 * _label_map(itq, query, base)


def test_rows_without_labels_tell_only_means_and_scales(split):
    train, _, _ = split
    labels = train.labels.copy()
    labels[60:] = np.nan
    rows = _rows(train.images, train.texts, labels)
    assert rows.labelled.tolist() == list(range(60))
    some = _small().fit(train.images, train.texts, labels)
    np.testing.assert_allclose(some.image_mean_, train.images.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(some.text_scale_, 1 / train.texts.std(axis=0), rtol=1e-4)
    # What unlabelled rows are does not matter beyond that.
    order = np.r_[:60, 99:59:-1]
    other = _small().fit(train.images[order], train.texts[order], labels)
    np.testing.assert_allclose(
        some.project_texts(train.texts), other.project_texts(train.texts), atol=1e-3
    )


def test_fitting_leaves_random_states_and_threads_alone(split):
    train, _, _ = split
    torch.manual_seed(5)
    np.random.seed(5)
    threads = torch.get_num_threads()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    _small(rounds=1).fit(train.images, train.texts, train.labels)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    assert torch.get_num_threads() == threads


def test_codes_do_not_depend_on_threads_or_on_the_global_random_state(split):
    train, query, _ = split
    threads = torch.get_num_threads()
    projections = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            torch.manual_seed(number)
            hasher = _small(rounds=3).fit(train.images, train.texts, train.labels)
            projections.append(hasher.project_images(query.images))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(*projections)


def test_number_of_rounds_is_chosen_from_rows_held_out(pairs, monkeypatch):
    """A fifth of the rows judges, and the learner never sees them."""
    seen = []
    monkeypatch.setattr(
        "xmodal.hashing.mlp_training.Learner",
        lambda rows, chosen, *rest: seen.append(chosen) or Learner(rows, chosen, *rest),
    )
    rows = _rows(pairs.images, pairs.texts, pairs.labels)
    monkeypatch.setattr("xmodal.hashing.mlp_training.MAX_ROUNDS", 4)
    assert 1 <= choose_rounds(rows, bits=16, seed=0, width=16) <= 4
    (learned,) = seen
    assert len(learned) == 192
    assert len(np.unique(learned)) == 192


def test_rounds_are_settled_where_nothing_can_be_ranked():
    """Every row has a class of its own: no two held-out rows are relevant to one another."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 6)).astype(np.float32)
    rows = _rows(features, features, np.eye(40, dtype=np.float32))
    assert choose_rounds(rows, bits=8, seed=0, width=8) == 5


def _loss(codes, labels, rows, proxies):
    return float(
        loss(
            torch.tensor(np.array(codes), dtype=torch.float32),
            torch.tensor(labels, dtype=torch.float32),
            torch.tensor(rows),
            torch.tensor(np.array(proxies), dtype=torch.float32),
        )
    )


def test_loss_is_least_where_classes_are_opposite_and_agree_with_their_proxies():
    labels = [[1, 0], [0, 1], [1, 0], [0, 1]]
    halves = [0, 1, 0, 1]
    a, b, c = np.ones(8), -np.ones(8), np.r_[np.ones(4), -np.ones(4)]
    best = _loss([a, b, a, b], labels, halves, [a, b])
    # By hand: all terms 0 but the contrast, log of all others to the one positive, at cosines ±1.
    assert best == pytest.approx(np.log(1 + 2 * np.exp(-2 / 0.3)), rel=1e-4)
    for worse in (
        _loss([a, a, a, a], labels, halves, [a, b]),
        _loss([a, b, c, b], labels, halves, [a, b]),
        _loss([a, b, a, b], labels, halves, [b, a]),
        _loss([a / 2, b / 2, a / 2, b / 2], labels, halves, [a, b]),
    ):
        assert worse > best + 0.01


def test_rows_that_share_one_of_two_labels_are_not_pushed_apart():
    a = np.ones(8)
    c = np.r_[np.ones(6), -np.ones(2)]
    proxies = [a, c, -a]
    sharing = _loss([a, c], [[1, 1, 0], [0, 1, 0]], [0, 1], proxies)
    foreign = _loss([a, c], [[1, 0, 0], [0, 1, 0]], [0, 1], proxies)
    assert sharing < foreign - 0.3


def test_vanishing_soft_labels_teach_nothing_and_spoil_nothing(split):
    train, query, _ = split
    labels = np.where(train.labels > 0, train.labels, 1e-22)
    labels[::3] = 1e-22
    mlp = _small(rounds=3).fit(train.images, train.texts, labels)
    assert np.isfinite(mlp.project_images(query.images)).all()


def test_constant_columns_tell_nothing(split):
    train, query, _ = split
    images = np.hstack([train.images, np.full((len(train.images), 1), 7.1, np.float32)])
    assert scale_of(images, images.mean(axis=0)).nonzero()[0].tolist() == list(range(32))
    mlp = _small(rounds=1).fit(images, train.texts, train.labels)
    asked = np.hstack([query.images, np.full((len(query.images), 1), -100.0, np.float32)])
    still = np.hstack([query.images, np.full((len(query.images), 1), 7.1, np.float32)])
    np.testing.assert_array_equal(mlp.encode_images(asked), mlp.encode_images(still))


def test_head_without_noise_is_a_function_of_its_input():
    head = Head(4, bits=8, width=8, generator=torch.Generator().manual_seed(0))
    x = torch.ones(2, 4)
    assert torch.equal(head(x), head(x))
    noise = torch.Generator().manual_seed(1)
    assert not torch.equal(head(x, noise), head(x, noise))


def test_missing_pytorch_says_what_to_install(split, monkeypatch):
    train, _, _ = split
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(HasherError, match=r"mlp: learning needs PyTorch.*install the pack"):
        _small().fit(train.images, train.texts, train.labels)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 0}, "width: expected an integer from 1, found 0"),
        ({"width": 1.5}, "width: expected an integer from 1, found 1.5"),
        ({"rounds": -1}, "rounds: expected None or an integer from 1, found -1"),
        ({"rounds": True}, "rounds: expected None or an integer from 1, found True"),
    ],
)
def test_wrong_parameters_are_named(pairs, parameters, message):
    with pytest.raises(HasherError, match=message):
        _small(**parameters).fit(pairs.images, pairs.texts, pairs.labels)
