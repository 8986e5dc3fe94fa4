"""An index run as JSON objects on stdout, one a line, for programs that watch it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xmodal.cli.output import print_json
from xmodal.cli.progress import Rate, seconds_left

if TYPE_CHECKING:
    from xmodal.ingest.report import Progress
    from xmodal.results import IndexReport

COUNTS = ("indexed", "unchanged", "moved", "removed", "failed", "words", "seconds")
SECONDS_BETWEEN = 1.0


class Events:
    """Prints an event for what happens; each is written out at once.

    ``start`` and ``progress`` for the steps of the run, ``failed`` for each file that cannot be
    read, ``note`` for remarks, and one of ``done``, ``interrupted`` and ``error`` at the end.
    """

    def __init__(self) -> None:
        self._rate = Rate()
        self._last = time.monotonic()
        self._failed: set[Path] = set()

    def show(self, step: "Progress") -> None:
        """Take a step of the run."""
        speed = self._rate(step)
        if step.start:
            where = {"path": step.path, "unit": step.unit}
            _print("start", **where, done=step.done, total=step.total)
        if step.reason is not None:
            self._fail(step.path, step.reason)
        now = time.monotonic()
        if not step.start and now - self._last >= SECONDS_BETWEEN:
            self._last = now
            left = seconds_left(step, speed)
            _print(
                "progress",
                done=step.done,
                total=step.total,
                failed=step.failed,
                rate=round(speed, 2),
                seconds_left=None if left is None else round(left, 1),
            )

    def note(self, message: str) -> None:
        """Tell a remark."""
        _print("note", message=message)

    def error(self, message: str) -> None:
        """Tell why the run ended early; what was committed before stays."""
        _print("error", message=message)

    def end(self, report: "IndexReport", interrupted: bool) -> None:
        """Tell what was not told yet, and the counts."""
        for failure in report.failures:
            if failure.path not in self._failed:
                self._fail(failure.path, failure.reason)
        for remark in report.notes:
            self.note(remark)
        counts = {name: getattr(report, name) for name in COUNTS}
        if interrupted:
            _print("interrupted", **counts, left=report.left)
        else:
            _print("done", **counts)

    def _fail(self, path: Path, reason: str) -> None:
        self._failed.add(path)
        _print("failed", path=path, reason=reason)


def _print(event: str, **fields: Any) -> None:
    print_json({"event": event, **fields}, flush=True)
