"""`xmodal demo`: the sample library, indexed, searched and shown on a page."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the library and the page go.")
    ] = Path("demo"),
) -> None:
    """Index the sample pictures and write a page of searches.

    \b
    Example:
      xmodal demo

    Words find pictures, pictures find words and other pictures. Nothing is downloaded. The path of
    the page is printed; open it in a browser.
    """
    from xmodal.demo import run_demo

    typer.echo(run_demo(folder))
