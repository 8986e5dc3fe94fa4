"""What others do meanwhile: a second run, folders that vanish or close, clocks, changed files."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from toy import COLOURS

from xmodal.ingest import pipeline, reading
from xmodal.ingest.decoders import decoders
from xmodal.ingest.identity import content_hash
from xmodal.ingest.report import Progress
from xmodal.library import Library
from xmodal.store.models import File

Save = Callable[..., Path]
LAUNCHER = Path(__file__).parents[2] / "cli.py"


@pytest.fixture
def many(tmp_path: Path, save_picture: Save) -> Path:
    return fill(tmp_path / "many", save_picture)


def fill(root: Path, save_picture: Save) -> Path:
    """Sixty pictures in each of the folders ``0`` and ``1``."""
    for number in range(120):
        name = f"{number // 60}/{number:03d}.png"
        save_picture(root / name, list(COLOURS)[number % 10], seed=number)
    return root


@pytest.fixture
def library(tmp_path: Path, many: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library.db") as opened:
        yield opened


def at(done: int, act: Callable[[], object]) -> Callable[[Progress], None]:
    """A progress callback that does something once, at that file."""

    def show(step: Progress) -> None:
        if step.done == done:
            act()

    return show


def sound(library: Library) -> bool:
    return library.info().problems == []


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
def test_a_second_run_names_the_first_and_neither_loses_anything(
    many: Path, tmp_path: Path
) -> None:
    command = [sys.executable, LAUNCHER, "index", many, "--encoder", "toy", "--json"]
    command += ["--library", tmp_path / "library.db"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        while json.loads(first.stdout.readline())["event"] != "start":
            pass
        first.send_signal(signal.SIGSTOP)  # it stays in the middle of its run
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        first.send_signal(signal.SIGCONT)
        last = json.loads(first.stdout.read().splitlines()[-1])
    assert second.returncode == 2
    assert f"another xmodal process (number {first.pid}) is writing" in second.stderr
    assert (last["event"], last["indexed"]) == ("done", 120)
    with Library.open(tmp_path / "library.db") as opened:
        assert sound(opened)
        assert opened.index([many]).unchanged == 120


def test_a_folder_renamed_in_the_middle_is_listed_and_indexed_next_time(
    many: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "AHEAD", 4)
    away = at(70, lambda: (many / "1").rename(many / "moved"))
    report = library.index([many], encoder="toy", progress=away)
    assert 70 <= report.indexed < 120
    assert report.indexed + report.failed == 120
    assert all("No such file" in failure.reason for failure in report.failures)
    again = library.index([many])
    assert (again.failed, again.indexed + report.indexed) == (0, 120)
    assert (again.unchanged, again.moved) == (60, report.indexed - 60)
    assert sound(library)


def test_a_drive_pulled_in_the_middle_takes_nothing_from_the_library(
    many: Path, library: Library, tmp_path: Path, save_picture: Save,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    library.index([many], encoder="toy")
    for number in range(120, 160):
        save_picture(many / f"new/{number:03d}.png", list(COLOURS)[number % 10], seed=number)
    monkeypatch.setattr(pipeline, "AHEAD", 4)
    pulled = at(130, lambda: many.rename(tmp_path / "pulled"))
    report = library.index([many], progress=pulled)
    assert report.unchanged == 120
    assert report.removed == 0
    assert library.info().pictures == 120 + report.indexed
    (tmp_path / "pulled").rename(many)
    again = library.index([many])
    assert (again.failed, again.unchanged + again.indexed) == (0, 160)


@pytest.fixture
def one_decoder(
    tmp_path: Path, save_picture: Save, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A decoder that runs already: another user may not start this Python."""
    monkeypatch.setattr(reading, "THREADS", 1)
    decoders.close()
    decoders.decode(save_picture(tmp_path / "first.png", "red"), 32)
    yield
    decoders.close()


def test_a_folder_closed_in_the_middle_is_indexed_once_it_is_open(
    one_decoder: None, unprivileged_folder: Path, save_picture: Save,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XMODAL_CACHE", str(unprivileged_folder / "cache"))
    monkeypatch.setattr(pipeline, "AHEAD", 4)
    photos = fill(unprivileged_folder / "photos", save_picture)
    with Library.open(unprivileged_folder / "library.db") as library:
        close = at(70, lambda: (photos / "1").chmod(0))
        report = library.index([photos], encoder="toy", progress=close)
        assert library.index([photos]).removed == 0
        (photos / "1").chmod(0o700)
        assert 0 < report.failed <= 60
        assert all("Permission denied" in failure.reason for failure in report.failures)
        assert library.index([photos]).indexed == report.failed
        assert sound(library)


def test_a_file_that_grows_while_it_is_read_is_indexed_as_it_is_in_the_end(
    many: Path, library: Library, save_picture: Save
) -> None:
    growing = many / "0" / "030.png"
    save_picture(growing, "pink", seed=1000, size=(1200, 900))
    whole = growing.read_bytes()
    growing.write_bytes(whole[: len(whole) // 3])
    stop = threading.Event()

    def write() -> None:
        """A camera that is still copying."""
        with growing.open("ab") as file:
            for start in range(len(whole) // 3, len(whole), 50_000):
                file.write(whole[start : start + 50_000])
                file.flush()
                stop.wait(0.05)

    writer = threading.Thread(target=write)
    first = library.index([many], encoder="toy", progress=at(0, writer.start))
    stop.set()
    writer.join()
    assert growing.read_bytes() == whole
    again = library.index([many])
    assert again.failed == 0
    assert first.indexed + again.indexed == 120
    assert sound(library)
    with library._existing_database().session() as session:
        known = session.scalar(select(File.content_hash).where(File.relative_path == "0/030.png"))
    assert known == content_hash(growing)


def test_clocks_that_go_backwards_hide_no_change(
    many: Path, library: Library, save_picture: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = time.time_ns() + 10**18
    for path in many.rglob("*.png"):
        os.utime(path, ns=(future, future))
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1e9)
    assert library.index([many], encoder="toy").indexed == 120
    monkeypatch.setattr(time, "time", lambda: real() - 1e9)
    assert library.index([many]).unchanged == 120
    changed = save_picture(many / "0" / "030.png", "pink", seed=1000)
    os.utime(changed, ns=(1, 1))
    report = library.index([many])
    assert (report.indexed, report.unchanged, report.failed) == (1, 119, 0)
    assert sound(library)
