"""What reaches the user: tables on a terminal, tab-separated lines in a pipe, JSON on request.

Results go to stdout, everything else to stderr. Rich is imported for a terminal only.
"""

import codecs
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xmodal.errors import QueryError, XmodalError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Moment(NamedTuple):
    """A cell for a time in a video: ``clip.mp4 @ 0:12`` in a table, path and seconds in a pipe."""

    path: Path
    seconds: float


Cell = str | Path | Moment

# Columns of a terminal below which a table no longer helps.
NARROW = 60


def prepare_streams() -> None:
    """Make any path printable, whatever bytes it is made of.

    A pipe receives the bytes that the file system has, so that `xargs` finds the file; what the
    locale cannot express is escaped.
    """
    codecs.register_error("xmodal.bytes", _bytes_or_escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="xmodal.bytes")


def stop_writing() -> None:
    """Send what is still buffered nowhere, after the reader of a pipe has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def note(message: str) -> None:
    """One line on stderr."""
    print(f"xmodal: {_one_line(message)}", file=sys.stderr, flush=True)


def report(error: XmodalError | OSError) -> None:
    """An error on stderr: one line, and above it where in a query it is."""
    reason = str(error)
    if isinstance(error, QueryError):
        reason = error.reason
        if error.pointer:
            print(error.pointer, file=sys.stderr, flush=True)
    elif isinstance(error, OSError) and not isinstance(error, XmodalError):
        place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        reason = f"{place}{error.strerror or error}"
    note(f"error: {reason}")


def print_json(record: "DataclassInstance | dict[str, Any]", flush: bool = False) -> None:
    """One JSON object in one line of ASCII, valid in every locale; paths become strings."""
    import json

    fields = record if isinstance(record, dict) else asdict(record)
    print(json.dumps(fields, default=_as_text), flush=flush)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], right: int = 0) -> None:
    """A table with a head on a terminal; tab-separated lines without one elsewhere.

    The first ``right`` columns hold numbers. Long cells are folded, never cut.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(_plain(cell) for cell in row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if console.width < NARROW:
        # Columns would be a few letters wide: the last cell gets a line of its own instead.
        for *start, last in rows:
            console.print(*(styled(cell) for cell in start))
            console.print(styled(last), overflow="fold")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number < right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(styled(cell) for cell in row))
    console.print(table)


def print_facts(facts: Iterable[tuple[str, Cell]]) -> None:
    """Names and values: aligned on a terminal, tab-separated elsewhere."""
    if not sys.stdout.isatty():
        for name, value in facts:
            print(f"{name}\t{_plain(value)}")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if console.width < NARROW:
        for name, value in facts:
            console.print(name, style="bold")
            console.print(styled(value), overflow="fold")
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, styled(value))
    console.print(table)


def print_heading(text: str) -> None:
    """A line above a table on a terminal."""
    from rich.console import Console

    Console(highlight=False).print(styled(text), style="bold")


def figure(chance: float) -> str:
    """A number of matches that chance brings, to two digits.

    >>> figure(0.00123), figure(37.2)
    ('0.0012', '37')
    """
    return f"{chance:.2g}" if chance < 10 else f"{chance:.0f}"


def size(count: int) -> str:
    """A number of bytes for people: ``1.6 GB``, decimal as disks are sold.

    >>> size(999), size(1600), size(1_600_000_000)
    ('999 bytes', '1.6 kB', '1.6 GB')
    """
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 (the unit reached is the answer)
        value /= 1000
        if value < 999.95:
            break
    return f"{value:.1f} {unit}"


def _bytes_or_escape(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _plain(cell: Cell) -> str:
    """A path is left as it is: what reads the pipe may open it."""
    if isinstance(cell, Moment):
        return f"{cell.path}\t{cell.seconds:.3f}"
    return str(cell) if isinstance(cell, Path) else _one_line(cell)


def styled(cell: Cell) -> Any:
    """A cell for the terminal; a path opens the file where the terminal knows links."""
    from rich.text import Text

    if isinstance(cell, Moment):
        from xmodal.results import clock

        return Text.assemble(styled(cell.path), f" @ {clock(cell.seconds)}")
    if not isinstance(cell, Path):
        return Text(_visible(_one_line(cell)))
    return Text(_visible(str(cell)), style=f"link {cell.as_uri()}" if cell.is_absolute() else "")


def _visible(text: str) -> str:
    """Text without what would steer the terminal or cannot be encoded: names may hold anything."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())
