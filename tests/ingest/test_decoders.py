"""Decoder processes: what crashes, hangs or eats memory there costs one picture."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_room import ToyRoom

from xmodal.errors import MediaError
from xmodal.ingest import decoders as module
from xmodal.ingest.decode import decode_picture
from xmodal.ingest.decoders import Decoders, DecoderStopped

# A decoder that does what the name of the file says, in place of the real one: Python imports this
# module, as sitecustomize, in every process that has its folder in the path.
TRAP = """
import ctypes, os, signal, time
from xmodal.ingest import decode
real = decode.decode_picture

def trapped(stream, *args):
    name = os.path.basename(stream.name)
    print("noise between the answers", flush=True)
    if name.startswith("crash"):
        ctypes.string_at(0)
    if name.startswith("hang"):
        time.sleep(60)
    if name.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("odd"):
        raise KeyError("odd")
    if name.startswith("greedy"):
        bytearray(8_000_000_000)
    return real(stream, *args)

decode.decode_picture = trapped
"""


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    decoders = Decoders()
    yield decoders
    decoders.close()


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "trap"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(TRAP)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setattr(module, "SECONDS", 2.0)


def _picture(path: Path, size: tuple[int, int] = (60, 40)) -> Path:
    rng = np.random.default_rng(sum(os.fsencode(path.name)))
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path)
    return path


def test_a_process_gives_what_the_decoder_gives(decoders: Decoders, tmp_path: Path) -> None:
    path = _picture(tmp_path / "caf\udce9 ü.png" if os.name == "posix" else tmp_path / "ü.png")
    picture, expected = decoders.decode(path, 16), decode_picture(path, 16)
    assert (picture.width, picture.height) == (60, 40)
    assert np.array_equal(picture.image, expected.image)


def test_a_process_serves_many_pictures_and_says_why_one_is_refused(
    decoders: Decoders, tmp_path: Path
) -> None:
    good, bad = _picture(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    for _ in range(3):
        decoders.decode(good, 16)
        with pytest.raises(MediaError, match="not an image"):
            decoders.decode(bad, 16)
        with pytest.raises(OSError, match="No such file"):
            decoders.decode(tmp_path / "missing.png", 16)
    assert len(decoders._idle) == 1


def test_a_large_picture_asks_for_its_memory_first(decoders: Decoders, tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    Image.new("RGB", (3000, 2000), "teal").save(path)
    held: list[int] = []
    memory = decoders._memory
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            held.append(memory.used)
            time.sleep(0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    picture = decoders.decode(path, 100)
    done.set()
    thread.join()
    assert picture.image.size == (150, 100)
    assert max(held) == 27_000_000
    assert memory.used == 0


@pytest.mark.usefixtures("trap")
@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("crash.png", MediaError, r"its decoder crashed \(SIGSEGV\)"),
        ("hang.png", DecoderStopped, "decoding it took more than 2 s"),
        ("killed.png", DecoderStopped, "its decoder was ended"),
        ("odd.png", MediaError, "cannot be decoded: 'odd'"),
        ("greedy.png", MediaError, "not enough memory"),
    ],
)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are POSIX")
def test_what_a_decoder_does_costs_one_picture(
    name: str, error: type[Exception], reason: str, decoders: Decoders, tmp_path: Path
) -> None:
    bad, good = _picture(tmp_path / name), _picture(tmp_path / "good.png")
    started = time.monotonic()
    with pytest.raises(error, match=reason):
        decoders.decode(bad, 16)
    assert decoders.decode(good, 16).image.size == (30, 20)
    assert time.monotonic() - started < 10


@pytest.mark.usefixtures("trap")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are POSIX")
def test_an_index_run_goes_on_after_crashes_and_hangs(
    room: ToyRoom, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Decoders()
    monkeypatch.setattr("xmodal.ingest.reading.decoders", own)
    for name in ("crash 1.png", "crash 2.png", "hang.png"):
        _picture(photo_folder / name)
    counts = room.index(photo_folder)
    own.close()
    reasons = {failure.path.name: failure.reason for failure in counts.failures}
    assert counts.indexed == 30
    assert reasons == {
        "crash 1.png": "its decoder crashed (SIGSEGV)",
        "crash 2.png": "its decoder crashed (SIGSEGV)",
        "hang.png": "decoding it took more than 2 s",
    }
    assert room.coded() == room.live()


def test_a_process_that_nobody_asked_for_long_is_not_asked_again(
    decoders: Decoders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _picture(tmp_path / "good.png")
    decoders.decode(path, 16)
    first = decoders._idle[0]
    monkeypatch.setattr(module, "IDLE_SECONDS", 0)
    decoders.decode(path, 16)
    assert decoders._idle[0] is not first
    assert not first.running()
