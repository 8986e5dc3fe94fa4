"""Progress lines for logs: how far, how fast, how long still."""

from pathlib import Path

import pytest

from xmodal.cli import progress
from xmodal.ingest.report import Progress


def test_a_line_tells_rate_failures_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.show_progress() as show:
        for done in range(0, 1201, 100):
            show(Progress(done, 10_000, Path("a.jpg"), failed=done // 400))
            now += 2.0
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "xmodal: 500 of 10,000 files, 1 failed, 50 a second, 3 min left",
        "xmodal: 1,000 of 10,000 files, 2 failed, 50 a second, 3 min left",
    ]


def test_a_second_folder_starts_a_new_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    rate = progress._Rate()
    rates = []
    for done in (0, 100, 200, 1, 11):
        rates.append(rate(done))
        now += 1.0
    assert rates == [0, 100, 100, 0, 10]
