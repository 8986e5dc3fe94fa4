"""Results on a terminal as small pictures, each with what is known of it beside it.

textual-image draws them: by sixel or kitty's protocol where the terminal answers that it knows
them, else as half-blocks of two colours. It asks when it is imported, which happens only here and
only where a terminal can answer.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

from xmodal.cli.output import NARROW, Moment, note, styled
from xmodal.errors import MediaError

if TYPE_CHECKING:
    from PIL import Image
    from rich.console import Console, RenderableType
    from rich.text import Text

    from xmodal.results import SearchResult
    from xmodal.thumbnails import Shown

# Columns and lines of a picture at most: half-blocks are coarse and need more of them.
_SIZE, _SIZE_IN_BLOCKS = (18, 7), (30, 9)
# The pixels that a terminal gets at most.
_PIXELS = (400, 300)
# Beyond this a panorama would be no line high.
_WIDEST = 4.0


def show_pictures(results: "Sequence[SearchResult]", asked: bool | None) -> bool:
    """Show results with pictures, each as soon as it is read; False where none are to be shown.

    ``asked`` is what the user said. Where nothing was said (None), pictures are shown if the
    terminal has a protocol for them, or all colours for half-blocks.
    """
    if asked is False:
        return False
    hindrance = _hindrance()
    if hindrance:
        if asked:
            note(f"thumbnails cannot be shown: {hindrance}; --html FILE writes a page of them")
        return False
    from rich.console import Console

    console = Console(highlight=False)
    draw, is_protocol = _drawing()
    if not asked and not is_protocol and console.color_system != "truecolor":
        return False
    from xmodal.thumbnails import Shown, side_by_side

    shown = [Shown(result.path, result.seconds) for result in results]
    columns, lines = _SIZE if is_protocol else _SIZE_IN_BLOCKS
    columns = min(columns, console.width)
    with closing(side_by_side(_small, shown)) as pictures:
        for result, picture in zip(results, pictures, strict=True):
            drawn: RenderableType
            if isinstance(picture, str):
                drawn = styled(picture)
            else:
                # Cells are about twice as high as wide; for the height the terminal is asked.
                width = min(columns, round(2 * lines * picture.width / picture.height))
                drawn = draw(picture, width=max(1, width), height="auto")
            _print(console, columns, drawn, result)
    return True


def _hindrance() -> str | None:
    """Why this terminal, if it is one, is not even asked for pictures."""
    if not sys.stdout.isatty():
        return "the output is no terminal"
    if not sys.stdin.isatty():
        return "the input is no terminal, which could answer what it can show"
    if os.environ.get("TERM", "") in ("", "dumb") and sys.platform != "win32":
        return "the terminal calls itself dumb"
    if os.environ.get("NO_COLOR"):
        return "NO_COLOR is set"
    if not (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8"):
        return "the locale is not UTF-8"
    try:
        if not all(os.get_terminal_size(sys.stdout.fileno())):
            return "the terminal does not tell its size"
    except OSError:
        return "the terminal does not tell its size"
    return _not_listening()


def _not_listening() -> str | None:
    """Asking sets the terminal's mode and reads from it: not behind the back of who uses it."""
    if sys.platform == "win32":
        return None
    import select
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    try:
        if os.tcgetpgrp(keyboard) != os.getpgrp():
            return "this runs in the background"
        mode = termios.tcgetattr(keyboard)
        try:
            tty.setcbreak(keyboard, termios.TCSANOW)  # else only whole lines would be seen
            typed, _, _ = select.select([keyboard], [], [], 0)
        finally:
            termios.tcsetattr(keyboard, termios.TCSANOW, mode)
    except OSError:
        return "the terminal belongs to another session"
    return "something was typed meanwhile, which must not get lost" if typed else None


@cache
def _drawing() -> tuple[Any, bool]:
    """What draws a picture, and whether the terminal has a protocol for it."""
    from textual_image.renderable import HalfcellImage, SixelImage, TGPImage
    from textual_image.renderable import Image as Best

    is_protocol = Best in (SixelImage, TGPImage)
    return (Best if is_protocol else HalfcellImage), is_protocol


def _small(shown: "Shown") -> "Image.Image | str":
    """The picture, or the reason why there is none."""
    from PIL import Image, ImageOps

    from xmodal.thumbnails import thumbnail

    try:
        picture = thumbnail(shown, _PIXELS)
    except MediaError as error:
        return str(error)
    if picture.width > _WIDEST * picture.height:
        size = (round(_WIDEST * picture.height), picture.height)
        picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    return picture


def _print(
    console: "Console", columns: int, drawn: "RenderableType", result: "SearchResult"
) -> None:
    """Picture and text side by side, or below one another where there is no room."""
    from rich.table import Table

    about = _about(result)
    if console.width < NARROW:
        console.print(drawn)
        for line in about:
            console.print(line, overflow="fold")
    else:
        from rich.console import Group

        row = Table.grid(padding=(0, 2))
        row.add_column(width=columns)
        row.add_column(overflow="fold", vertical="middle")
        row.add_row(drawn, Group(*about))
        console.print(row)
    console.print()


def _about(result: "SearchResult") -> "list[Text]":
    """Lines of text; a path is never cut, nor the text of what can steer the terminal left in."""
    from rich.text import Text

    place = result.path if result.seconds is None else Moment(result.path, result.seconds)
    lines = [Text.assemble((f"{result.rank} ", "bold"), styled(place), overflow="fold")]
    if result.caption:
        lines.append(styled(result.caption))
    taken = result.taken.strftime("%Y-%m-%d %H:%M") if result.taken else ""
    chance = f"{result.expected} by chance" if result.expected else ""
    numbers = " · ".join(filter(None, (result.measured, chance)))
    for told in filter(None, (taken, ", ".join(result.keywords), numbers)):
        lines.append(styled(told))
        lines[-1].stylize("dim")
    return lines
