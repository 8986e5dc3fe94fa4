"""What a run says on its way: lines for logs, where it goes on, events for programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xmodal.cli import events, progress
from xmodal.cli.events import Events
from xmodal.ingest.report import Failure, Progress
from xmodal.results import IndexReport

FOLDER = Path("photos")
Clock = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """``wait(seconds)`` on a clock that nothing else moves."""
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    return wait


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_line_tells_rate_failures_and_time_left(
    wait: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.show_progress() as show:
        show(Progress(0, 10_000, FOLDER, 0, start=True))
        for done in range(100, 1201, 100):
            wait(2.0)
            show(Progress(done, 10_000, Path("a.jpg"), failed=done // 400))
    assert lines(capsys) == [
        "xmodal: 500 of 10,000 files, 1 failed, 50 a second, 3 min left",
        "xmodal: 1,000 of 10,000 files, 2 failed, 50 a second, 3 min left",
    ]


def test_the_time_left_is_that_of_the_files_that_must_be_read(
    wait: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.show_progress() as show:
        wait(60.0)  # for the encoder
        show(Progress(9_900, 10_000, FOLDER, 0, start=True))
        wait(20.0)
        show(Progress(9_910, 10_000, Path("a.jpg"), 0))
    assert lines(capsys) == [
        "xmodal: 9,900 of 10,000 files done, 100 left",
        "xmodal: 9,910 of 10,000 files, 0.5 a second, 3 min left",
    ]


@pytest.mark.parametrize("done", [0, 10_000])
def test_nothing_is_said_of_a_folder_that_is_new_or_done(
    done: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.show_progress() as show:
        show(Progress(done, 10_000, FOLDER, 0, start=True))
    assert lines(capsys) == []


def test_a_second_folder_starts_a_new_count(wait: Clock) -> None:
    rate = progress.Rate()
    rates = []
    for done, start in ((0, True), (100, False), (200, False), (500, True), (510, False)):
        rates.append(rate(Progress(done, 1000, FOLDER, 0, start=start)))
        wait(1.0)
    assert rates == [0, 100, 100, 0, 10]


def test_events_tell_of_progress_once_a_second_and_of_each_failure_once(
    wait: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = Events()
    watcher.show(Progress(10, 40, FOLDER, 0, start=True))
    for done in range(11, 41):
        wait(0.125)
        reason = "truncated" if done == 15 else None
        watcher.show(Progress(done, 40, FOLDER / f"{done}.jpg", int(done >= 15), reason=reason))
    failures = [Failure(FOLDER / "15.jpg", "truncated"), Failure(FOLDER / "old.jpg", "empty file")]
    watcher.end(IndexReport(29, 10, 0, 0, 2, 0, 3.75, 0, failures, ["a remark"]), False)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0] == {
        "event": "start", "path": "photos", "unit": "files", "done": 10, "total": 40,
    }  # fmt: skip
    steps = [event for event in told if event["event"] == "progress"]
    assert [step["done"] for step in steps] == [18, 26, 34]
    assert steps[0] == {
        "event": "progress", "done": 18, "total": 40, "failed": 1, "rate": 8.0, "seconds_left": 2.8,
    }  # fmt: skip
    failed = [event for event in told if event["event"] == "failed"]
    assert [(event["path"], event["reason"]) for event in failed] == [
        (str(failure.path), failure.reason) for failure in failures
    ]
    assert told.index(failed[0]) < told.index(steps[0])
    assert told[-2] == {"event": "note", "message": "a remark"}
    assert list(told[-1]) == ["event", *events.COUNTS]
    assert told[-1]["event"] == "done"
