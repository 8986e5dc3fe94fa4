"""`xmodal doctor`: what is wrong in a library, and what repairs it."""

from contextlib import nullcontext
from typing import Annotated

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, open_library
from xmodal.cli.output import note, print_json, print_table
from xmodal.cli.progress import show_progress


def doctor(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is wrong, after a copy was made.")
    ] = False,
    files: Annotated[
        bool,
        typer.Option("--files", help="Read every picture file, too: slow, as a copy of them is."),
    ] = False,
    as_json: AsJson = False,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Check the library for damage; with --repair, mend it.

    \b
    Examples:
      xmodal doctor
      xmodal doctor --repair
      xmodal doctor --files --json

    Without --repair nothing is changed. With it the library is copied first, if anything is to be
    mended. --files compares each picture file with what the library knows: whether its bytes
    changed unnoticed, and whether it was encoded upright.

    Exit codes: 0 nothing is wrong, or all of it was mended; 1 something is; 2 error.
    """
    with (
        open_library(context, library, offline) as opened,
        show_progress() if files else nullcontext() as progress,
    ):
        report = opened.doctor(repair, files, progress)
    if as_json:
        print_json(report)
    else:
        print_table(
            ("", "damage", "what is wrong", "repair"),
            ((f.state, f.kind, f.message, f.remedy) for f in report.findings),
        )
    for remark in report.notes:
        note(remark)
    if report.backup:
        note(f"the library as it was before: {report.backup}")
    if not report.findings:
        note(f"{report.path}: nothing is wrong")
    if not report.healthy:
        raise typer.Exit(1)
