"""`xmodal search`: pictures for a query, or for a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.options import AsJson, Count, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import Cell, Moment, note, print_json, print_table
from xmodal.cli.pictures import show_pictures
from xmodal.cli.viewing import open_with_viewer

if TYPE_CHECKING:
    from xmodal.results import SearchResult

COLUMNS = ("#", "chance", "score", "bits", "picture")
NEAREST = 3  # pictures that are named where nothing matches


def search(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY", help="What to look for: words and filters.", show_default=False
        ),
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
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Take the query as one sentence, whatever signs are in it."),
    ] = False,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Show the nearest pictures, also where chance explains them."),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a page with the pictures found.",
            show_default=False,
        ),
    ] = None,
    thumbnails: Annotated[
        bool | None,
        typer.Option(
            "--thumbnails/--no-thumbnails",
            help="Show small pictures on a terminal. Default: where the terminal can.",
            show_default=False,
        ),
    ] = None,
    open_it: Annotated[
        bool,
        typer.Option("--open", help="Open the page, or the best result, with the system's viewer."),
    ] = False,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Find pictures by words, by facts, or by a picture like them.

    \b
    Examples:
      xmodal search a dog on the beach
      xmodal search beach -people date:2023-06..2024 rating:">=4"
      xmodal search "red car" "at night" keyword:"Anna Maria" -has:gps
      xmodal search "(dog OR cat)" near:48.85,2.35,5km in:holidays/
      xmodal search Hund am Strand -k 30 --html found.html --open
      xmodal search --image dog.jpg
      xmodal search sunset --json | jq -r .path

    Adjacent words are one sentence, quotes keep it apart from others; -word leaves out what shows
    it, 2*word makes it count more, like:dog.jpg asks for what resembles a picture; OR and
    parentheses combine.

    \b
    Filters; - before one negates it, a comma means "or":
      keyword: person: place: caption: camera: lens:    what is written in and beside the pictures
      date:2023-06..2024   rating:">=4"   near:LATITUDE,LONGITUDE,5km
      in:FOLDER/   name:IMG_*   type:raw   has:gps
      width:">=4000"   height:..1000   orientation:portrait

    docs/query.md has all of it. A shell wants quotes around < > ( ) * and spaces.

    Only what is better than chance is shown: each result says how many pictures of the library
    would match as well by chance. Where nothing is, the answer is that nothing matches, and --all
    shows the nearest.

    A terminal shows small pictures where it can, else a table; --html FILE writes a page of them.
    In a pipe these are tab-separated lines: rank, matches expected by chance, score (higher is
    nearer), distance of the codes in bits, path, and, of a video, the seconds at which its best
    frame is shown. With --json the fields are rank, path, distance, score, chance, sure, seconds
    (null for a picture), available (false on a drive that was away when it was last indexed),
    taken, caption and keywords. Chance, score and distance are empty (null)
    where only facts were asked for; the newest pictures come first then. Exit code 1 means that
    nothing matches.
    """
    query = None
    if words:
        from xmodal.query.shell import from_arguments

        query = " ".join(words) if plain else from_arguments(words)
    with open_library(context, library, offline) as opened:
        found = opened.search(query, image=image, k=k, encoder=encoder, plain=plain)
    results = found if everything else [result for result in found if result.sure]
    if html is not None:
        from xmodal.gallery import write_search_page

        write_search_page(
            html, " ".join(words or []) or f"Like {image}", results or found, query_image=image
        )
    if as_json:
        for result in results:
            print_json(result)
    elif results and not show_pictures(results, thumbnails):
        print_table(COLUMNS, [(*_figures(result), _place(result)) for result in results], right=4)
    if away := sum(not result.available for result in results):
        note(f"{away} of these are on a drive that was away when it was last indexed")
    if not results and found:
        nearest = ", ".join(str(result.path) for result in found[:NEAREST])
        note(f"nothing in this library matches; the nearest are {nearest} (--all shows them)")
    elif not results:
        note("nothing found")
    elif len(results) < len(found):
        note("what chance may explain is left out; --all shows it")
    if open_it and (html is not None or results):
        open_with_viewer(html or results[0].path)
    if not any(result.sure for result in results):
        raise typer.Exit(1)


def _figures(result: "SearchResult") -> tuple[str, str, str, str]:
    """Rank, chance, score and distance in words."""
    if result.score is None or result.chance is None:
        return str(result.rank), "", "", ""
    chance = f"{result.chance:.2g}" if result.chance < 10 else f"{result.chance:.0f}"
    return str(result.rank), chance, f"{result.score:.3f}", str(result.distance)


def _place(result: "SearchResult") -> Cell:
    return result.path if result.seconds is None else Moment(result.path, result.seconds)
