"""Decoders of videos: what crashes or hangs in the middle of one costs that file, and no more."""

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from toy_room import ToyRoom

from xmodal.ingest import decoders as decoders_module
from xmodal.ingest.decoders import Decoders
from xmodal.store.models import Frame

pytest.importorskip("av")

Save = Callable[..., Path]

# In place of the real one in every decoder process, as in test_decoders.py: what goes wrong in the
# middle of a video whose name says it.
TRAP = """
import ctypes, os, time
from xmodal.ingest import video
real = video.video_frames

def trapped(path, min_side, admit, tick):
    for number, frame in enumerate(real(path, min_side, admit, tick)):
        yield frame
        if path.name.startswith("crash") and number == 1:
            ctypes.string_at(0)
        if path.name.startswith("hang") and number == 1:
            time.sleep(60)
        if path.name.startswith("slow") and number == 1:
            for _ in range(18):
                time.sleep(0.2)
                tick()

video.video_frames = trapped
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals are POSIX")
def test_a_video_that_crashes_or_hangs_its_decoder_costs_one_file_and_a_slow_one_none(
    room: ToyRoom,
    photo_folder: Path,
    save_video: Save,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "sitecustomize.py").write_text(TRAP)
    monkeypatch.setattr(sys, "path", [str(trap), *sys.path])
    monkeypatch.setattr(decoders_module, "SECONDS", 3.0)
    own = Decoders()
    monkeypatch.setattr("xmodal.ingest.reading.decoders", own)
    for name, colour in (("crash", "red"), ("hang", "blue"), ("slow", "grey")):
        save_video(photo_folder / f"{name}.mp4", (colour, 5.5))
    threads = threading.active_count()
    counts = room.index(photo_folder)
    own.close()
    assert threading.active_count() == threads
    reasons = {failure.path.name: failure.reason for failure in counts.failures}
    assert reasons == {
        "crash.mp4": "its decoder crashed (SIGSEGV)",
        "hang.mp4": "decoding it took more than 3 s",
    }
    assert counts.indexed == 30 + 1
    # Frames of the two that failed are there, and not found.
    with room.database.session() as session:
        stored = session.scalar(select(func.count()).select_from(Frame)) or 0
    assert stored > len(room.live()) - 30
    assert room.coded() == room.live()
