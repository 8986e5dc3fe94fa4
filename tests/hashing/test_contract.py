"""What every hasher promises; a new one is tested by being registered."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from xmodal.errors import HasherError
from xmodal.hashing import create_hasher, list_hashers, load_hasher

BITS = 16
NOT_RANDOM = {"pcah", "sh", "ssh", "splh", "scm-orth", "scm-seq", "quantised"}
# Semi-supervised: all rows teach these, so a few labelled ones are enough.
FEW_LABELS = {"ssh", "splh"}


@pytest.fixture(params=[info.name for info in list_hashers()])
def name(request):
    return request.param


@pytest.fixture
def fitted(name, pairs):
    return create_hasher(name, bits=BITS).fit(pairs.images, pairs.texts, pairs.labels)


def test_code_is_the_packed_sign_of_the_projection(fitted, pairs):
    for project, encode, rows in (
        (fitted.project_images, fitted.encode_images, pairs.images),
        (fitted.project_texts, fitted.encode_texts, pairs.texts),
    ):
        reals, codes = project(rows), encode(rows)
        assert reals.dtype == np.float32
        assert reals.shape == (len(rows), BITS)
        assert codes.dtype == np.uint8
        assert codes.flags.c_contiguous
        np.testing.assert_array_equal(codes, np.packbits(reals > 0, axis=1))


def test_query_weights_rank_own_text_above_most_others(fitted, pairs):
    signs = np.where(fitted.project_texts(pairs.texts) > 0, 1.0, -1.0)
    scores = fitted.query_images(pairs.images) @ signs.T
    ahead = (scores > np.diag(scores)[:, None]).mean()
    # All-at-once supervised bits beyond the classes are noise (see scm-orth): hence not less.
    assert ahead < 0.25


def test_fit_leaves_parameters_and_arrays_untouched(name, pairs):
    hasher = create_hasher(name, bits=BITS, seed=3)
    before = hasher.get_params()
    images, labels = pairs.images.copy(), pairs.labels.copy()
    assert hasher.fit(images, pairs.texts, labels) is hasher
    assert hasher.get_params() == before
    np.testing.assert_array_equal(images, pairs.images)
    np.testing.assert_array_equal(labels, pairs.labels)


def test_means_of_both_modalities_are_kept(fitted, pairs):
    np.testing.assert_allclose(fitted.image_mean_, pairs.images.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(fitted.text_mean_, pairs.texts.mean(axis=0), atol=1e-4)


def test_same_seed_gives_same_codes_and_another_seed_others(name, pairs):
    codes = [
        create_hasher(name, bits=BITS, seed=seed)
        .fit(pairs.images, pairs.texts, pairs.labels)
        .encode_images(pairs.images)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert (codes[0] != codes[2]).any() or name in NOT_RANDOM


def test_code_of_a_row_does_not_depend_on_its_batch(fitted, pairs):
    together = fitted.encode_images(pairs.images)
    alone = np.vstack([fitted.encode_images(row[None]) for row in pairs.images])
    np.testing.assert_array_equal(together, alone)


def test_no_rows_give_no_codes(fitted, pairs):
    assert fitted.encode_images(pairs.images[:0]).shape == (0, BITS // 8)


def test_half_precision_and_lists_are_accepted(fitted, pairs):
    assert fitted.encode_images(pairs.images[:2].astype(np.float16)).shape == (2, BITS // 8)
    assert fitted.encode_images(pairs.images[:2].tolist()).shape == (2, BITS // 8)


def test_missing_pictures_and_texts_are_left_out(name, pairs):
    images, texts = pairs.images.copy(), pairs.texts.copy()
    images[::4], texts[1::4] = np.nan, np.nan
    hasher = create_hasher(name, bits=BITS).fit(images, texts, pairs.labels)
    np.testing.assert_allclose(hasher.image_mean_, np.nanmean(images, axis=0), atol=1e-4)
    assert np.isfinite(hasher.project_images(pairs.images)).all()
    assert np.isfinite(hasher.query_texts(pairs.texts)).all()


@pytest.mark.parametrize("to_path", [True, False])
def test_saved_hasher_codes_as_before(fitted, pairs, tmp_path, to_path):
    file = tmp_path / "a.hasher" if to_path else io.BytesIO()
    fitted.save(file)
    if isinstance(file, io.BytesIO):
        file.seek(0)
    loaded = load_hasher(file)
    assert type(loaded) is type(fitted)
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(
        loaded.encode_images(pairs.images), fitted.encode_images(pairs.images)
    )
    np.testing.assert_array_equal(loaded.query_texts(pairs.texts), fitted.query_texts(pairs.texts))
    assert [p.name for p in tmp_path.iterdir()] == (["a.hasher"] if to_path else [])


def test_file_is_readable_without_xmodal_and_without_pickle(fitted, tmp_path):
    fitted.save(tmp_path / "h.npz")
    with np.load(tmp_path / "h.npz", allow_pickle=False) as stored:
        header = json.loads(str(stored["header"]))
        arrays = {key: stored[key].dtype for key in stored.files if key != "header"}
    assert header["class"] == fitted.name
    assert header["params"]["bits"] == BITS
    assert all(dtype.kind == "f" for dtype in arrays.values())


def test_load_of_another_class_says_which(fitted, tmp_path):
    fitted.save(tmp_path / "h.npz")
    other = next(info.name for info in list_hashers() if info.name != fitted.name)
    with pytest.raises(HasherError, match=f"expected a {other} hasher, found {fitted.name}"):
        type(create_hasher(other)).load(tmp_path / "h.npz")


def test_unfitted_hasher_says_so(name, pairs, tmp_path):
    hasher = create_hasher(name, bits=BITS)
    for use in (
        lambda: hasher.encode_images(pairs.images),
        lambda: hasher.query_texts(pairs.texts),
        lambda: hasher.save(tmp_path / "h.npz"),
    ):
        with pytest.raises(HasherError, match=f"{name}: not fitted yet"):
            use()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[:, :-1], "images: expected 32 columns.*found 31"),
        (lambda x: x[0], r"images: expected shape \(rows, columns\), found shape \(32,\)"),
        (lambda x: x.astype(str), "images: expected an array of real numbers, found dtype <U"),
        (lambda x: np.where(np.eye(240, 32) > 0, np.nan, x), "images: expected finite.*row 0"),
        (lambda x: np.where(np.eye(240, 32, -5) > 0, np.inf, x), "images: .*found inf in row 5"),
    ],
)
def test_wrong_features_are_named_when_encoding(fitted, pairs, spoil, message):
    with pytest.raises(HasherError, match=message):
        fitted.encode_images(spoil(pairs.images))


def _with(array, index, value):
    copy = array.copy()
    copy[index] = value
    return copy


@pytest.mark.parametrize(
    ("argument", "spoil", "message"),
    [
        ("images", lambda x: np.ones_like(x), "images: expected features that differ, found 240"),
        ("texts", lambda x: np.ones_like(x), "texts: expected features that differ"),
        ("images", lambda x: _with(x, (3, 2), np.inf), "images: .*found inf in row 3"),
        ("texts", lambda x: _with(x, (3, 2), np.nan), "texts: .*missing row is NaN.*found nan"),
        ("images", lambda x: np.full_like(x, np.nan), "images: expected at least 2 rows, found 0"),
        ("texts", lambda x: x[:1], "texts: expected at least 2 rows, found 1"),
        ("images", lambda x: x.astype(object), "images: .*found dtype object"),
        ("images", lambda x: x[:, :0], "images: expected at least 1 column, found 0"),
    ],
)
def test_wrong_features_are_named_when_fitting(name, pairs, argument, spoil, message):
    arrays = {"images": pairs.images, "texts": pairs.texts, "labels": pairs.labels}
    arrays[argument] = spoil(arrays[argument])
    with pytest.raises(HasherError, match=message):
        create_hasher(name, bits=BITS).fit(**arrays)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda z: None, "labels: expected an array .* found None"),
        (lambda z: z[:-1], "labels: expected 240 rows, one per feature row, found 239"),
        (lambda z: z[:, :0], "labels: expected at least 1 columns, found 0"),
        (lambda z: np.ones_like(z), "labels: expected rows with different labels, found 240"),
        (lambda z: 2 * z, "labels: expected values from 0 to 1.*found 2"),
        (lambda z: _with(z, (0, 0), np.nan), "labels: expected values from 0 to 1.*found nan"),
        (lambda z: np.full_like(z, np.nan), "labels: expected at least 2 labelled rows, found 0"),
        (lambda z: _with(z, slice(8, None), np.nan), "expected more labelled rows than .* found 8"),
    ],
)
def test_wrong_labels_are_named(name, pairs, spoil, message):
    hasher = create_hasher(name, bits=BITS)
    if not hasher.needs_labels:
        pytest.skip("takes no labels")
    if name in FEW_LABELS and message.startswith("expected more labelled"):
        pytest.skip("learns from few labels")
    with pytest.raises(HasherError, match=message):
        hasher.fit(pairs.images, pairs.texts, spoil(pairs.labels))


def test_row_counts_must_match_where_rows_are_pairs(name, pairs):
    hasher = create_hasher(name, bits=BITS)
    if hasher.needs_pairs:
        with pytest.raises(HasherError, match="texts: expected 240 rows, one per image, found 200"):
            hasher.fit(pairs.images, pairs.texts[:200], pairs.labels)
    else:
        hasher.fit(pairs.images, pairs.texts[:200], pairs.labels)


def test_failed_fit_leaves_nothing_that_encodes(fitted, pairs):
    with pytest.raises(HasherError):
        fitted.fit(np.ones_like(pairs.images), pairs.texts, pairs.labels)
    assert fitted.encode_images(pairs.images[:1]).shape == (1, BITS // 8)  # refused before learning


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a hasher"),
        (b"not a hasher at all", "expected a hasher"),
        (b"PK\x03\x04 cut off", "expected a hasher"),
    ],
)
def test_file_that_is_no_hasher_is_named(tmp_path, content, message):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    with pytest.raises(HasherError, match=message) as caught:
        load_hasher(path)
    assert str(path) in str(caught.value)
    with pytest.raises(HasherError, match=message):
        load_hasher(io.BytesIO(content))


def test_truncated_or_foreign_npz_is_no_hasher(fitted, tmp_path):
    path = tmp_path / "h.npz"
    fitted.save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(HasherError, match="expected a hasher"):
        load_hasher(path)
    np.savez(path, header=np.array('{"other": 1}'))
    with pytest.raises(HasherError, match="header names no format"):
        load_hasher(path)
    np.save(tmp_path / "array.npy", np.ones(3))
    with pytest.raises(HasherError, match="expected a hasher"):
        load_hasher(tmp_path / "array.npy")
    with pytest.raises(HasherError, match="no such file"):
        load_hasher(tmp_path / "nothing.npz")


def test_hasher_without_its_arrays_is_refused(fitted, tmp_path):
    path = tmp_path / "h.npz"
    fitted.save(path)
    with np.load(path) as stored:
        kept = {key: stored[key] for key in stored.files if "mean_" not in key}
    np.savez(path, **kept)
    with pytest.raises(HasherError, match="expected a hasher"):
        load_hasher(path)


def test_damaged_array_is_refused_not_decoded(fitted):
    buffer = io.BytesIO()
    fitted.save(buffer)
    content = bytearray(buffer.getvalue())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    with pytest.raises(HasherError, match="expected a hasher"):
        load_hasher(io.BytesIO(bytes(content)))


def test_file_of_a_newer_xmodal_asks_for_an_upgrade(tmp_path):
    np.savez(tmp_path / "h.npz", header=np.array(json.dumps({"format": 99, "class": "itq"})))
    with pytest.raises(HasherError, match="upgrade xmodal"):
        load_hasher(tmp_path / "h.npz")


def test_pickled_array_is_never_run(tmp_path):
    np.savez(tmp_path / "h.npz", header=np.array({"format": 1}, dtype=object))
    with pytest.raises(HasherError, match="expected a hasher"):
        load_hasher(tmp_path / "h.npz")


def test_hashing_and_evaluate_start_without_heavy_packages():
    code = (
        "import sys, xmodal.hashing, xmodal.evaluate, xmodal.hashing.fused, xmodal.hashing.lemon;"
        "print([m for m in ('torch', 'scipy', 'sklearn', 'sqlalchemy', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
