"""Progress of an index run on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xmodal.cli.output import note

if TYPE_CHECKING:
    from xmodal.ingest.report import Progress

# In a log, a line this often shows life without filling it.
SECONDS_BETWEEN_LINES = 10.0

Show = Callable[["Progress"], None]


@contextmanager
def show_progress() -> Iterator[Show]:
    """A function that takes each step of the run; what it shows is gone when the block ends."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    bar = Bar(
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        expand=True,
        transient=True,
    )
    with bar:  # while it lives, what is written to stderr appears above it
        task = bar.add_task("", total=None, rate="")
        rate = _Rate()

        def show(step: "Progress") -> None:
            bar.update(task, total=step.total, completed=step.done, rate=f"{rate(step.done):.0f}/s")

        yield show


def _lines() -> Show:
    rate = _Rate()
    last = time.monotonic()

    def show(step: "Progress") -> None:
        nonlocal last
        speed = rate(step.done)
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        left = f", {_duration((step.total - step.done) / speed)} left" if speed else ""
        failed = f", {step.failed:,} failed" if step.failed else ""
        note(f"{step.done:,} of {step.total:,} files{failed}, {speed:.0f} a second{left}")

    return show


class _Rate:
    """Files a second since the first step; a second folder starts a new count."""

    def __init__(self) -> None:
        self._first = self._last = 0
        self._begin: float | None = None

    def __call__(self, done: int) -> float:
        now = time.monotonic()
        if self._begin is None or done < self._last:
            self._first, self._begin = done, now
        self._last = done
        seconds = now - self._begin
        return (done - self._first) / seconds if seconds > 0 else 0.0


def _duration(seconds: float) -> str:
    """A time for people, to the minute when it is long.

    >>> _duration(42), _duration(170), _duration(8000)
    ('42 s', '3 min', '2 h 13 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
