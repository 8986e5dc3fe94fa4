"""Exported models compute what PyTorch computes, and the cache survives whatever is written."""

import os
from pathlib import Path

import numpy as np
import pytest

from xmodal.encoders.runtime import Session, cache_dir, export_onnx, replacing
from xmodal.errors import EncoderError


def export_network(path: Path) -> tuple:
    import torch

    torch.manual_seed(0)
    attention = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    module = torch.nn.Sequential(attention, torch.nn.Flatten(), torch.nn.Linear(80, 7)).eval()
    export_onnx(module, torch.randn(2, 5, 16), path, input_name="x", output_name="y")
    return module, torch


def test_exported_module_takes_any_batch_and_agrees_with_pytorch(tmp_path):
    module, torch = export_network(tmp_path / "new" / "net.onnx")
    session = Session(tmp_path / "new" / "net.onnx", threads=1)
    for batch in (1, 2, 5):
        inputs = torch.randn(batch, 5, 16)
        with torch.no_grad():
            expected = module(inputs).numpy()
        assert session.run(inputs.numpy()) == pytest.approx(expected, abs=1e-5)
    assert os.listdir(tmp_path / "new") == ["net.onnx"]


def test_export_prints_and_warns_nothing(tmp_path, capfd, recwarn):
    export_network(tmp_path / "net.onnx")
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_module_that_cannot_be_exported_leaves_nothing_behind(tmp_path):
    import torch

    class Unexportable(torch.nn.Module):
        def forward(self, x):
            raise NotImplementedError("no such operator")

    with pytest.raises(EncoderError, match=r"cannot export this model.*no such operator"):
        export_onnx(
            Unexportable(), torch.randn(2, 3, 3), tmp_path / "a", input_name="x", output_name="y"
        )
    assert os.listdir(tmp_path) == []


def test_module_with_a_fixed_batch_size_is_not_taken_for_good(tmp_path):
    import torch

    class Baked(torch.nn.Module):
        def forward(self, x):
            return x + torch.arange(int(x.shape[0]), dtype=torch.float32).sum()

    # Either an exporter keeps the batch free, or the check of the result refuses the model.
    try:
        export_onnx(Baked(), torch.randn(2, 3), tmp_path / "a", input_name="x", output_name="y")
    except EncoderError:
        return
    inputs = np.ones((4, 3), np.float32)
    assert Session(tmp_path / "a").run(inputs) == pytest.approx(inputs + 6)


@pytest.mark.parametrize("content", [b"", b"not a model", None])
def test_file_that_is_no_model_is_named_in_the_error(tmp_path, content):
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EncoderError, match=r"broken\.onnx"):
        Session(path)


def test_cache_folder_is_chosen_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XMODAL_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("XMODAL_CACHE")
    assert cache_dir().name == "xmodal"


def test_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted():
        with replacing(path) as target:
            target.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_cache_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")

    def write():
        with replacing(tmp_path / "file" / "inside"):
            pass

    with pytest.raises(EncoderError, match="XMODAL_CACHE"):
        write()
