"""open_clip models run in ONNX Runtime as they run in PyTorch, from any source, and safely."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xmodal.encoders import load_encoder
from xmodal.encoders.exported import IMAGE, TEXT, TOKENIZER
from xmodal.errors import EncoderError

CLIP = {
    "embed_dim": 64,
    "vision_cfg": {
        "image_size": 64,
        "layers": 2,
        "width": 64,
        "head_width": 32,
        "patch_size": 16,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 2,
        "layers": 2,
    },
}
TEXTS = [
    "a dog on the beach",
    "",
    "Zwei Boote – bei Nebel!",
    "猫在海滩上 🐈",
    "very " * 200 + "long",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache, monkeypatch):
    monkeypatch.setenv("XMODAL_CACHE", str(cache))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with a small random CLIP in three forms, registered as ``tiny-clip``."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("models")
    configs = folder / "configs"
    configs.mkdir()
    (configs / "tiny-clip.json").write_text(json.dumps(CLIP))
    (configs / "tiny-other.json").write_text(json.dumps({**CLIP, "embed_dim": 32}))
    open_clip.add_model_config(configs)
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-clip", load_weights=False).eval()
    save_file(model.state_dict(), folder / "w.safetensors")
    torch.save(model.state_dict(), folder / "w.pt")
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, folder / "training.pt")
    return folder


@pytest.fixture(scope="module")
def clip(models, cache):
    """The encoder of the safetensors file, and the same model in open_clip itself."""
    import open_clip

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_CACHE", str(cache))
        encoder = load_encoder(f"open_clip:tiny-clip/{models / 'w.safetensors'}", offline=True)
    model, _, transform = open_clip.create_model_and_transforms("tiny-clip", load_weights=False)
    open_clip.load_checkpoint(model, str(models / "w.safetensors"))
    return encoder, model.eval(), transform, open_clip.get_tokenizer("tiny-clip")


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    sizes = [(200, 100), (64, 64), (47, 90), (265, 500), (640, 480)]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8)) for w, h in sizes]


def test_towers_agree_with_pytorch(clip, pictures):
    import torch

    encoder, model, transform, tokenize = clip
    with torch.no_grad():
        pixels = torch.stack([transform(picture) for picture in pictures])
        images = model.encode_image(pixels, normalize=True).numpy()
        texts = model.encode_text(tokenize(TEXTS), normalize=True).numpy()
    assert (encoder.dim, encoder.image_size) == (64, 64)
    assert np.abs(encoder.encode_images(pictures) - images).max() < 1e-4
    assert np.abs(encoder.encode_texts(TEXTS) - texts).max() < 1e-4


def test_a_panorama_is_the_mean_of_its_parts(clip, pictures):
    encoder, *_ = clip
    wide = pictures[-1].resize((700, 200))
    parts = [wide.crop((175 * n, 0, 175 * (n + 1), 200)) for n in range(4)]
    mean = encoder.encode_images(parts).mean(axis=0)
    seen = encoder.encode_images([pictures[0], wide, pictures[1]])
    assert np.abs(seen[1] - mean / np.linalg.norm(mean)).max() < 1e-4
    alone = encoder.encode_images([pictures[0], pictures[1]])
    assert np.abs(seen[[0, 2]] - alone).max() < 1e-4


def test_pytorch_path_of_a_gpu_gives_the_same_features(clip, pictures, monkeypatch):
    encoder, *_ = clip
    images, texts = encoder.encode_images(pictures), encoder.encode_texts(TEXTS)
    on_device = encoder._on_device
    monkeypatch.setattr(encoder, "_tower", lambda name, inputs: on_device(name, "cpu"))
    assert np.abs(encoder.encode_images(pictures) - images).max() < 1e-4
    assert np.abs(encoder.encode_texts(TEXTS) - texts).max() < 1e-4


def test_empty_lists_give_no_rows_and_load_no_tower(models):
    encoder = load_encoder(f"open_clip:tiny-clip/{models / 'w.safetensors'}")
    assert encoder.encode_images([]).shape == (0, 64)
    assert encoder.encode_texts([]).shape == (0, 64)
    assert encoder._sessions == {}


def test_batches_do_not_change_the_features(clip):
    encoder, *_ = clip
    texts = [f"text number {i}" for i in range(70)]
    features = encoder.encode_texts(texts)
    assert features.shape == (70, 64)
    assert features.dtype == np.float32
    assert features[69] == pytest.approx(encoder.encode_texts(texts[69:])[0], abs=1e-5)


@pytest.mark.parametrize("file", ["w.pt", "training.pt"])
def test_pickled_state_dict_gives_the_features_of_the_safetensors_file(clip, models, file):
    encoder, *_ = clip
    other = load_encoder(f"open_clip:tiny-clip/{models / file}")
    assert np.abs(other.encode_texts(TEXTS) - encoder.encode_texts(TEXTS)).max() < 1e-5
    assert other.id != encoder.id
    assert other.id.startswith("open_clip:tiny-clip:")


def test_id_follows_the_content_not_the_path(clip, models, tmp_path):
    shutil.copy(models / "w.safetensors", tmp_path / "copy.safetensors")
    copy = load_encoder(f"open_clip:tiny-clip/{tmp_path / 'copy.safetensors'}")
    assert copy.id == clip[0].id
    assert load_encoder(copy.spec).id == copy.id


class Attack:
    """Runs ``os.mkdir`` of whoever unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_weights_that_contain_code_are_refused_and_the_code_does_not_run(models, tmp_path):
    import torch

    torch.save({"weight": Attack(tmp_path / "owned")}, tmp_path / "evil.pt")
    with pytest.raises(EncoderError, match=r"evil\.pt holds more than weights"):
        load_encoder(f"open_clip:tiny-clip/{tmp_path / 'evil.pt'}")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_damaged_or_foreign_weights_are_named(models, tmp_path, suffix):
    whole = (models / f"w{suffix}").read_bytes()
    path = tmp_path / f"half{suffix}"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EncoderError, match=r"half\.|holds more"):
        load_encoder(f"open_clip:tiny-clip/{path}")
    with pytest.raises(EncoderError, match=r"cannot load .* as tiny-other"):
        load_encoder(f"open_clip:tiny-other/{models / ('w' + suffix)}")
    with pytest.raises(EncoderError, match="there is no weights file"):
        load_encoder(f"open_clip:tiny-clip/{tmp_path / ('absent' + suffix)}")


def run_python(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_once_cached_neither_pytorch_nor_open_clip_is_imported(clip):
    process = run_python(
        "import sys; from PIL import Image; from xmodal.encoders import load_encoder;"
        "e = load_encoder(sys.argv[1]); e.encode_texts(['a dog']);"
        "loaded = sorted(e._sessions); e.encode_images([Image.new('RGB', (99, 70))]);"
        "print(*loaded, *{'torch', 'open_clip', 'timm', 'transformers'} & {*sys.modules})",
        clip[0].spec,
    )
    out, err = process.communicate(timeout=60)
    assert (out.strip(), err) == (TEXT, "")


def test_two_processes_that_export_at_once_do_not_damage_each_other(models, tmp_path, monkeypatch):
    monkeypatch.setenv("XMODAL_CACHE", str(tmp_path / "fresh"))
    code = (
        "import sys, open_clip; open_clip.add_model_config(sys.argv[1]);"
        "from xmodal.encoders import load_encoder;"
        "said = []; e = load_encoder(sys.argv[2], notify=said.append);"
        "print(len(said), e.id, *e.encode_texts(['a dog'])[0])"
    )
    spec = f"open_clip:tiny-clip/{models / 'w.safetensors'}"
    both = [run_python(code, models / "configs", spec) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [err for _, err in outputs] == ["", ""]
    (said_a, *a), (said_b, *b) = (out.split() for out, _ in outputs)
    assert a == b
    assert {said_a, said_b} == {"0", "1"}, "the second waits for the first and takes its files"


@pytest.mark.parametrize("name", [IMAGE, TEXT, TOKENIZER])
def test_damaged_export_is_made_again(clip, pictures, name):
    encoder, *_ = clip
    images, texts = encoder.encode_images(pictures), encoder.encode_texts(TEXTS)
    path = encoder._exported.folder / name
    os.truncate(path, path.stat().st_size // 2)
    again = load_encoder(encoder.spec)
    assert np.abs(again.encode_images(pictures) - images).max() < 1e-5
    assert np.abs(again.encode_texts(TEXTS) - texts).max() < 1e-5


def test_folder_without_configuration_is_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"holds no open_clip_config\.json"):
        load_encoder(f"open_clip:local-dir:{tmp_path}")


def test_tag_in_the_hub_cache_loads_without_a_connection(clip, models, tmp_path, monkeypatch):
    from huggingface_hub import constants
    from open_clip import pretrained

    snapshot = tmp_path / "models--org--tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--org--tiny" / "refs").mkdir()
    (tmp_path / "models--org--tiny" / "refs" / "main").write_text("abc")
    shutil.copy(models / "w.safetensors", snapshot / "open_clip_model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    published = {"hf_hub": "org/tiny/", "mean": (0.5,) * 3, "quick_gelu": True}
    monkeypatch.setitem(pretrained._PRETRAINED, "tiny-clip", {"mine": published})
    monkeypatch.delenv("XMODAL_OFFLINE")

    def connect(*args):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", connect)
    encoder = load_encoder("open_clip:tiny-clip/mine")
    assert encoder.id.split(":")[2] == clip[0].id.split(":")[2]
    assert encoder.id != clip[0].id, "the tag asks for another mean and activation"
    assert not np.allclose(encoder.encode_texts(TEXTS), clip[0].encode_texts(TEXTS))
    shutil.rmtree(snapshot)
    assert load_encoder("open_clip:tiny-clip/mine").id == encoder.id
