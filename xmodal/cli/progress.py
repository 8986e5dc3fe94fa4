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
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        console=Console(stderr=True),
        expand=True,
        transient=True,
    )
    with bar:  # while it lives, what is written to stderr appears above it
        task = bar.add_task("", total=None, rate="")
        rate = Rate()

        def show(step: "Progress") -> None:
            speed = rate(step)
            _note_start(step)
            bar.update(task, total=step.total, completed=step.done, rate=_told(step, speed))

        yield show


def _lines() -> Show:
    rate = Rate()
    last = time.monotonic()

    def show(step: "Progress") -> None:
        nonlocal last
        speed = rate(step)
        _note_start(step)
        now = time.monotonic()
        if step.start:
            last = now  # loading an encoder may have taken longer; there is no rate yet
        if now - last < SECONDS_BETWEEN_LINES:
            return
        last = now
        note(f"{step.done:,} of {step.total:,} {step.unit}, {_told(step, speed)}")

    return show


def _note_start(step: "Progress") -> None:
    """Where a run goes on: after an interrupt, or among files that are known."""
    if step.start and 0 < step.done < step.total:
        left = step.total - step.done
        note(f"{step.done:,} of {step.total:,} {step.unit} done, {left:,} left")


def _told(step: "Progress", speed: float) -> str:
    left = seconds_left(step, speed)
    failed = [f"{step.failed:,} failed"] if step.failed else []
    time_left = [] if left is None else [f"{_duration(left)} left"]
    return ", ".join([*failed, f"{_speed(speed)} a second", *time_left])


class Rate:
    """Files a second since the run began to read; each folder starts a new count."""

    def __init__(self) -> None:
        self._first = 0
        self._begin = time.monotonic()

    def __call__(self, step: "Progress") -> float:
        now = time.monotonic()
        if step.start:
            self._first, self._begin = step.done, now
        seconds = now - self._begin
        return (step.done - self._first) / seconds if seconds > 0 else 0.0


def seconds_left(step: "Progress", speed: float) -> float | None:
    """How long the rest of this folder takes at this speed; None as long as nobody knows."""
    return (step.total - step.done) / speed if speed > 0 else None


def _speed(rate: float) -> str:
    """A rate for people.

    >>> _speed(0.4312), _speed(7.25), _speed(24.71), _speed(1745.2)
    ('0.43', '7.2', '25', '1,745')
    """
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _duration(seconds: float) -> str:
    """A time for people, to the minute when it is long.

    >>> _duration(42), _duration(170), _duration(8000)
    ('42 s', '3 min', '2 h 13 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
