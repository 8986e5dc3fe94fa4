"""`xmodal annotate`: words for a picture."""

from pathlib import Path
from typing import Annotated

import typer

from xmodal.cli.options import AsJson, Count, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import note, print_json, print_table


def annotate(
    context: typer.Context,
    image: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="Any picture, in the library or not.")
    ],
    k: Count = 10,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Name what a picture shows, in the library's own words first.

    The nearest captions and keywords of the library come first, then everyday words.

    \b
    Examples:
      xmodal annotate dog.jpg
      xmodal annotate dog.jpg -k 3 --json

    On a terminal this prints a table, in a pipe tab-separated lines: rank, score (higher is
    nearer), distance of the codes in bits, source (caption, keyword or vocabulary), text. With
    --json the fields are rank, text, source, distance and score.
    """
    with open_library(context, library, offline) as opened:
        annotations = opened.annotate(image, k=k, encoder=encoder)
    if as_json:
        for annotation in annotations:
            print_json(annotation)
    elif annotations:
        rows = [
            (str(a.rank), f"{a.score:.3f}", str(a.distance), a.source, a.text) for a in annotations
        ]
        print_table(("#", "score", "bits", "source", "text"), rows, right=3)
    if not annotations:
        note("nothing found")
        raise typer.Exit(1)
