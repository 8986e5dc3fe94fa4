"""`xmodal search`: pictures for words, or for a picture."""

from pathlib import Path
from typing import Annotated

import typer

from xmodal.cli.options import AsJson, Count, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import note, print_json, print_table


def search(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS", help="What to look for.", show_default=False),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            metavar="PICTURE",
            help="Find pictures like this one.",
            show_default=False,
        ),
    ] = None,
    k: Count = 10,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a page with the pictures found.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Find pictures by words, or by a picture that they resemble.

    \b
    Examples:
      xmodal search "a dog on the beach"
      xmodal search Hund am Strand -k 30 --html found.html
      xmodal search --image dog.jpg
      xmodal search sunset --json | jq -r .path

    On a terminal this prints a table, in a pipe tab-separated lines: rank, score (higher is
    nearer), distance of the codes in bits, path. With --json the fields are rank, path, distance,
    score and available: false on a drive that was away when it was last indexed. Exit code 1 means
    that nothing was found.
    """
    text = " ".join(words) if words else None
    with open_library(context, library, offline) as opened:
        results = opened.search(text=text, image=image, k=k, encoder=encoder)
    if html is not None:
        from xmodal.gallery import write_search_page

        write_search_page(html, text or f"Like {image}", results, query_image=image)
    if as_json:
        for result in results:
            print_json(result)
    elif results:
        rows = [(str(r.rank), f"{r.score:.3f}", str(r.distance), r.path) for r in results]
        print_table(("#", "score", "bits", "picture"), rows, right=3)
    if away := sum(not result.available for result in results):
        note(f"{away} of these are on a drive that was away when it was last indexed")
    if not results:
        note("nothing found")
        raise typer.Exit(1)
