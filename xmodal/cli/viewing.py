"""Opening a result, or the page of results, with the program that the system has for it."""

import os
import sys
from pathlib import Path

from xmodal.cli.output import note


def open_with_viewer(file: Path) -> None:
    """Open a file as a double click would, and say so, or say why it cannot be done.

    Nothing is started where nobody would see it: over SSH or without a display some systems would
    start a browser in the terminal, or a program on a screen elsewhere.
    """
    hindrance = _hindrance(file)
    if hindrance:
        note(f"{file} is not opened: {hindrance}")
        return
    import typer

    note(f"opening {file}")
    if typer.launch(str(file.absolute())):
        note(f"{file} is not opened: the system has no program for it")


def _hindrance(file: Path) -> str | None:
    if not file.exists():
        return "it is not there any more"
    display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if display:
        return None
    if os.environ.get("SSH_CONNECTION"):
        return "this is a remote session without a display"
    if sys.platform not in ("win32", "darwin"):
        return "this session has no display"
    return None
