"""Options that several commands share, and the library that they lead to.

Nothing here or in a command's module imports what a help page does not need.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.output import note
from xmodal.stopwatch import OFF, Stopwatch

if TYPE_CHECKING:
    from xmodal.library import Library

LibraryFile = Annotated[
    Path | None,
    typer.Option(
        "--library",
        metavar="FILE",
        help="The library to use. Default: $XMODAL_LIBRARY, else library.db in your data folder.",
        show_default=False,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Open no connection, not even for an encoder's weights. Also: XMODAL_OFFLINE=1.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line instead of a table.")
]
Count = Annotated[int, typer.Option("-k", metavar="N", help="Print at most N results.")]
Everything = Annotated[
    bool,
    typer.Option("--all", help="Show the nearest pictures, also where chance explains them."),
]
Timing = Annotated[
    bool, typer.Option("--timing", help="Say on stderr where the milliseconds went.")
]
SearchEncoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="Search with this one of the library's encoders. Default: the library's main one.",
        show_default=False,
    ),
]


def named_path(text: str) -> Path:
    """The path of an argument. An empty one is a variable that a script did not set, and would be
    the current folder."""
    if not text:
        raise typer.BadParameter("an empty path; write . for the current folder")
    return Path(text)


@dataclass(frozen=True)
class Shared:
    """The options given before the command; those given after it win."""

    library: Path | None = None
    offline: bool = False


def use_one_blas_thread() -> None:
    """For a command that only searches; before NumPy is imported, which asks for it once.

    The products of a search are small: further threads gain a millisecond, and while they wait for
    one another on a busy computer they keep it busier. What the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def open_library(
    context: typer.Context,
    library: Path | None,
    offline: bool,
    *,
    create: bool = False,
    notify: Callable[[str], None] = note,
    watch: Stopwatch = OFF,
) -> "Library":
    """The library that the options before and after the command name."""
    with watch.part("imports"):
        from xmodal.library import Library

    shared = context.find_object(Shared) or Shared()
    with watch.part("open"):
        return Library.open(
            library or shared.library,
            create=create,
            offline=offline or shared.offline,
            notify=notify,
        )
