"""Runs that do not end well: Ctrl-C, kill -9, an encoder that fails; nothing done is lost twice."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import toy_room
from PIL import Image
from sqlalchemy import func, select, text
from toy import COLOURS, ToyEncoder
from toy_room import ToyRoom, open_room

from xmodal.encoders.base import Features
from xmodal.ingest import pipeline
from xmodal.ingest.report import IndexCounts, Progress
from xmodal.store.models import Feature, File, Item

Save = Callable[..., Path]


@pytest.fixture
def many(tmp_path: Path, save_picture: Save) -> Path:
    root = tmp_path / "many"
    for number in range(120):
        save_picture(root / f"{number:03d}.png", list(COLOURS)[number % 10], seed=number)
    return root


def _start(library: Path, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, toy_room.__file__, str(library), str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def _whole(room: ToyRoom, total: int) -> None:
    """Every picture exactly once, and a database without a scratch."""
    with room.database.session() as session:
        assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []
        for table in (File, Item, Feature):
            assert session.scalar(select(func.count()).select_from(table)) == total
    assert room.coded() == room.live()
    assert len(room.live()) == total


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_kill_at_any_moment_loses_at_most_the_batch_in_flight(many: Path, tmp_path: Path) -> None:
    chance = random.Random(0)
    library = tmp_path / "library.db"
    committed = 0
    for _ in range(12):
        process = _start(library, many)
        timer = threading.Timer(chance.uniform(0, 0.15), process.kill)
        timer.start()
        output, errors = process.communicate(timeout=60)
        timer.cancel()
        assert process.returncode in (0, -signal.SIGKILL), errors
        room = open_room(library)
        with room.database.session() as session:
            now = session.scalar(select(func.count()).select_from(File)) or 0
        assert room.coded() == room.live()
        room.database.close()
        assert now >= committed  # what was committed stays
        committed = now
    process = _start(library, many)
    output, errors = process.communicate(timeout=60)
    assert output.endswith("done\n"), errors
    room = open_room(library)
    _whole(room, 120)
    room.database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_keeps_what_was_done_and_the_next_run_continues(many: Path, tmp_path: Path) -> None:
    library = tmp_path / "library.db"
    process = _start(library, many)
    assert process.stdout is not None
    for _ in range(30):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    room = open_room(library)
    done = len(room.live())
    assert 20 <= done < 120
    counts = room.index(many)
    assert (counts.indexed, counts.unchanged) == (120 - done, done)
    _whole(room, 120)
    room.database.close()


def test_an_interrupt_commits_what_was_encoded_and_counts_it(
    room: ToyRoom, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "COMMIT_PICTURES", 1000)
    counts = IndexCounts()

    def stop(progress: Progress) -> None:
        if progress.done == 70:
            raise KeyboardInterrupt

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        room.index(many, progress=stop, counts=counts)
    assert threading.active_count() == threads
    assert counts.indexed == len(room.live()) == 64
    assert room.coded() == room.live()


def test_an_interrupt_after_the_commit_does_not_write_it_twice(
    room: ToyRoom, many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline.save_batch
    interrupted: list[bool] = []

    def save_twice(*args: object) -> int:
        words = real(*args)
        if not interrupted:
            interrupted.append(True)
            args[0].commit()  # type: ignore[attr-defined]  # the session: what SQLite has, it has
            raise KeyboardInterrupt
        return words

    monkeypatch.setattr(pipeline, "save_batch", save_twice)
    with pytest.raises(KeyboardInterrupt):
        room.index(many)
    assert room.coded() == room.live()
    room.index(many)
    _whole(room, 120)


def test_an_encoder_that_fails_keeps_what_was_encoded(many: Path, tmp_path: Path) -> None:
    class Failing(ToyEncoder):
        def encode_images(self, images: Sequence[Image.Image]) -> Features:
            if self.pictures_encoded >= 64:
                raise MemoryError("the encoder ran out of memory")
            return super().encode_images(images)

    room = open_room(tmp_path / "library.db", Failing())
    with pytest.raises(MemoryError):
        room.index(many)
    assert len(room.live()) == 64
    assert room.coded() == room.live()
    room.database.close()
