"""`xmodal index --watch` in a process of its own, while files come, change and go."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xmodal.library import Library
from xmodal.store.database import Database

LAUNCHER = Path(__file__).parents[2] / "cli.py"
Save = Callable[..., Path]

# The same with less patience, and with what it tells beside its reports.
FOLLOW = """
import json, sys
from dataclasses import asdict
from xmodal.library import Library
def tell(kind, what):
    print(json.dumps({"kind": kind} | what, default=str), flush=True)
library = Library.open(sys.argv[1], notify=lambda message: tell("said", {"message": message}))
for report in library.watch(sys.argv[2:], encoder="toy", settle=0.4):
    tell("report", asdict(report))
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


class Watcher:
    """A process that follows folders, and the lines that it prints."""

    def __init__(self, *command: str | Path, before: str = "") -> None:
        program = [sys.executable, *map(str, command)]
        if before:
            program = ["unshare", "-Ur", "sh", "-c", f'{before}; exec "$@"', "sh", *program]
        self.process = subprocess.Popen(
            program,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ.copy(),
            # A background job has Ctrl-C ignored; this one is to be stopped by it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.told: list[dict] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def next(self, kind: str = "report") -> dict:
        """The next thing it says of this kind."""
        while True:
            try:
                told = json.loads(self._lines.get(timeout=20))
            except queue.Empty:
                self.process.kill()
                assert self.process.stderr is not None
                raise AssertionError(self.process.stderr.read()) from None
            self.told.append(told)
            # The command tells events, of which "done" is the report of a batch.
            said = {"done": "report"}.get(told.get("event"), told.get("event"))
            if (said or told.get("kind", "report")) == kind:
                return told

    def until(self, **expected: int) -> None:
        """Wait until the reports add up to these counts."""
        counts = dict.fromkeys(expected, 0)
        while counts != expected:
            report = self.next()
            counts = {name: counts[name] + report[name] for name in expected}
            assert all(counts[name] <= expected[name] for name in expected), report

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(by)
        return self.process.wait(timeout=30)


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Watcher]]:
    """``follow(folder, …)``: a process that follows folders for ``tmp_path/library.db``."""
    started: list[Watcher] = []

    def start(*folders: Path) -> Watcher:
        started.append(Watcher("-c", FOLLOW, tmp_path / "library.db", *folders))
        return started[-1]

    yield start
    for watcher in started:
        watcher.process.kill()
        watcher.process.wait()


def _files(library: Path) -> dict[str, int]:
    with Library.open(library, create=False) as opened:
        facts = opened.info()
    assert facts.problems == []
    return facts.files


def _is_up_to_date(library: Path) -> bool:
    """Whether a whole run finds nothing that the watcher left undone."""
    with Library.open(library, create=False) as opened:
        report = opened.index()
    return not (report.indexed or report.moved or report.removed or report.failed)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_the_command_follows_until_ctrl_c_or_the_end_of_its_service_which_is_exit_code_0(
    photo_folder: Path, save_picture: Save, library_file: Path, by: signal.Signals
) -> None:
    watcher = Watcher(
        LAUNCHER, "index", photo_folder / "0", "--watch", "--json", "--encoder", "toy"
    )
    assert watcher.next()["indexed"] == 10
    save_picture(photo_folder / "0" / "new.png", "red", seed=60)
    report = watcher.next()
    assert list(report)[1:6] == ["indexed", "unchanged", "moved", "removed", "failed"]
    assert (report["indexed"], report["unchanged"]) == (1, 0)
    assert watcher.stop(by) == 0
    assert watcher.process.stderr is not None
    assert "Traceback" not in watcher.process.stderr.read()
    assert _files(library_file) == {"present": 11}


def test_files_that_come_change_and_go_are_followed(
    tmp_path: Path, photo_folder: Path, save_picture: Save, follow: Callable[..., Watcher]
) -> None:
    library = tmp_path / "library.db"
    outside = shutil.copytree(photo_folder / "2", tmp_path / "outside")
    save_picture(outside / "inner" / "deep.png", "blue", seed=61)
    shutil.rmtree(photo_folder / "2")
    watcher = follow(photo_folder)
    assert watcher.next()["indexed"] == 20
    # Created, renamed, deleted, overwritten: in one batch.
    save_picture(photo_folder / "0" / "new.png", "red", seed=62)
    (photo_folder / "0" / "00.jpg").rename(photo_folder / "1" / "renamed.jpg")
    (photo_folder / "0" / "01.jpg").unlink()
    save_picture(photo_folder / "0" / "02.jpg", "pink", seed=63)
    (photo_folder / "0" / "new.txt").write_text("a red thing")
    watcher.until(indexed=2, moved=1, removed=1, words=1)
    # A folder moved in, one renamed, one deleted; what it holds makes no events of its own.
    outside.rename(photo_folder / "in")
    (photo_folder / "1").rename(photo_folder / "one")
    watcher.until(indexed=11, moved=11)
    shutil.rmtree(photo_folder / "one")
    # Files that are no pictures, and hidden ones, are no news.
    (photo_folder / "notes.docx").write_text("x")
    save_picture(photo_folder / ".hidden" / "x.png", "red", seed=64)
    # A sidecar of a known picture.
    (photo_folder / "in" / "inner" / "deep.txt").write_text("the deep sea")
    watcher.until(removed=11, words=1)
    assert watcher.stop() != 0  # a program that does not catch the interrupt
    assert _files(library) == {"present": 20, "missing": 12}
    assert _is_up_to_date(library)


def test_a_file_that_is_written_slowly_is_read_when_it_is_whole(
    tmp_path: Path, photo_folder: Path, save_picture: Save, follow: Callable[..., Watcher]
) -> None:
    watcher = follow(photo_folder / "0")
    watcher.next()
    whole = save_picture(tmp_path / "large.jpg", "green", seed=65, size=(400, 400)).read_bytes()
    part = len(whole) // 8
    with (photo_folder / "0" / "slow.jpg").open("wb") as slow:
        for start in range(0, len(whole), part):
            slow.write(whole[start : start + part])
            slow.flush()
            time.sleep(0.15)
    report = watcher.next()
    assert (report["indexed"], report["failed"]) == (1, 0)
    # A copy that stops in the middle is a failure, until it goes on.
    with (photo_folder / "0" / "stalled.png").open("wb") as stalled:
        png = save_picture(tmp_path / "other.png", "blue", seed=66, size=(99, 99)).read_bytes()
        stalled.write(png[:200])
        stalled.flush()
        assert watcher.next()["failed"] == 1
        stalled.write(png[200:])
    report = watcher.next()
    assert (report["indexed"], report["failed"]) == (1, 0)
    watcher.stop()
    assert _is_up_to_date(tmp_path / "library.db")


def test_a_folder_that_vanishes_is_offline_and_followed_again_when_it_is_back(
    tmp_path: Path, photo_folder: Path, save_picture: Save, follow: Callable[..., Watcher]
) -> None:
    library = tmp_path / "library.db"
    watcher = follow(photo_folder / "0", photo_folder / "1")
    watcher.next()
    aside = (photo_folder / "0").rename(tmp_path / "aside")
    assert "10 pictures known there are offline" in watcher.next()["notes"][0]
    assert _files(library) == {"offline": 10, "present": 10}
    save_picture(photo_folder / "1" / "meanwhile.png", "red", seed=67)
    assert watcher.next()["indexed"] == 1
    save_picture(aside / "while away.png", "red", seed=68)
    aside.rename(photo_folder / "0")
    report = watcher.next()
    assert (report["indexed"], report["unchanged"]) == (1, 21)
    save_picture(photo_folder / "0" / "after.png", "red", seed=69)
    assert watcher.next()["indexed"] == 1
    watcher.stop()
    assert _files(library) == {"present": 23}
    assert _is_up_to_date(library)


def test_other_writers_get_their_turn_and_changes_wait_for_them(
    tmp_path: Path, photo_folder: Path, save_picture: Save, follow: Callable[..., Watcher]
) -> None:
    watcher = follow(photo_folder / "0")
    watcher.next()
    database = Database.open(tmp_path / "library.db", create=False)
    with database.writer():  # it holds no lock between its batches
        save_picture(photo_folder / "0" / "new.png", "red", seed=70)
        assert f"number {os.getpid()}" in watcher.next("said")["message"]
        time.sleep(2.5)  # it tries again and says no more
    database.close()
    assert watcher.next("report")["indexed"] == 1
    assert sum("another xmodal process" in told.get("message", "") for told in watcher.told) == 1
    watcher.stop()


@pytest.mark.skipif(not shutil.which("unshare"), reason="the limit is Linux's own")
def test_where_the_system_allows_no_more_watches_the_folders_are_read_now_and_then(
    tmp_path: Path, photo_folder: Path
) -> None:
    limit = "echo 2 > /proc/sys/user/max_inotify_watches"
    if subprocess.run(["unshare", "-Ur", "sh", "-c", limit], capture_output=True).returncode:
        pytest.skip("user namespaces are not allowed here")
    watcher = Watcher("-c", FOLLOW, tmp_path / "library.db", photo_folder, before=limit)
    assert "changes cannot be followed" in watcher.next("said")["message"]
    assert watcher.next()["indexed"] == 30
    watcher.stop()


def test_a_folder_to_be_filled_may_be_empty_at_first_and_any_name_is_found(
    tmp_path: Path, save_picture: Save, follow: Callable[..., Watcher]
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    watcher = follow(inbox)
    assert "holds no pictures" in watcher.next()["notes"][0]
    save_picture(inbox / "first.png", "red")
    assert watcher.next()["indexed"] == 1
    if sys.platform == "linux":  # other systems refuse a name that events cannot carry
        picture = save_picture(tmp_path / "plain.png", "red", seed=71)
        picture.rename(inbox / os.fsdecode(b"na\xefve.png"))
        assert watcher.next()["indexed"] == 1
        save_picture(inbox / "after.png", "red", seed=72)
        assert watcher.next()["indexed"] == 1
    watcher.stop()
    assert _files(tmp_path / "library.db") == {"present": 3 if sys.platform == "linux" else 1}
