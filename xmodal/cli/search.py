"""`xmodal search`: pictures for a query, or for a picture."""

import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.duplicates import print_duplicates
from xmodal.cli.explanation import explained
from xmodal.cli.options import AsJson, Count, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import (
    Cell,
    Moment,
    figure,
    note,
    print_facts,
    print_heading,
    print_json,
    print_table,
)
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
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="ORDER",
            help="relevance, date (the newest first), name or folder; -date turns it round.",
        ),
    ] = "relevance",
    reverse: Annotated[bool, typer.Option("--reverse", help="Turn the order round.")] = False,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="BY",
            help="Put the results of one day or one folder under a heading: day or folder.",
            show_default=False,
        ),
    ] = None,
    no_fold: Annotated[
        bool,
        typer.Option("--no-fold", help="Show near duplicates and bursts as results of their own."),
    ] = False,
    duplicates: Annotated[
        bool,
        typer.Option(
            "--duplicates", help="List copies, near duplicates and bursts among all results."
        ),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how each result came to its place.")
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
      xmodal search beach --sort date --group day
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

    --sort orders what is better than chance, or all that was ranked with --all. Near duplicates and
    bursts are one result, the best of them; --duplicates lists them as `xmodal duplicates` does.

    A terminal shows small pictures where it can, else a table; --html FILE writes a page of them.
    In a pipe these are tab-separated lines: rank, matches expected by chance, score (higher is
    nearer), distance of the codes in bits, path, and, of a video, the seconds at which its best
    frame is shown. With --json the fields are rank, path, distance, score, chance, sure, seconds
    (null for a picture), available (false on a drive that was away when it was last indexed),
    taken, caption, keywords, copies (other files of the same bytes), similar (how many near
    duplicates it stands for), group and explanation (null unless asked for). Chance, score and
    distance are empty (null) where only facts were asked for; the newest pictures come first then.
    Exit code 1 means that nothing matches.
    """
    query = None
    if words:
        from xmodal.query.shell import from_arguments

        query = " ".join(words) if plain else from_arguments(words)
    with open_library(context, library, offline) as opened:
        if duplicates:
            groups = opened.duplicates(query, image=image, encoder=encoder, plain=plain)
            print_duplicates(groups, as_json)
            return
        found = opened.search(
            query, image=image, k=k, encoder=encoder, plain=plain, sort=sort, reverse=reverse,
            group=group, everything=everything, fold=not no_fold, explain=explain,
        )  # fmt: skip
    results = found if everything else [result for result in found if result.sure]
    if html is not None:
        from xmodal.gallery import write_search_page

        write_search_page(
            html, " ".join(words or []) or f"Like {image}", results or found, query_image=image
        )
    if as_json:
        for result in results:
            print_json(result)
    else:
        _print(results, explain, thumbnails)
    if away := sum(not result.available for result in results):
        note(f"{away} of these are on a drive that was away when it was last indexed")
    if not results and found:
        nearest = ", ".join(str(result.path) for result in found[:NEAREST])
        note(f"nothing in this library matches; the nearest are {nearest} (--all shows them)")
    elif not results:
        note("nothing found")
    elif len(results) < len(found):
        note("what chance may explain is left out; --all shows it")
    if similar := sum(result.similar for result in results):
        note(f"near duplicates: {similar} more are folded into these; --no-fold shows them")
    if open_it and (html is not None or results):
        open_with_viewer(html or results[0].path)
    if not any(result.sure for result in results):
        raise typer.Exit(1)


def _print(results: "Sequence[SearchResult]", explain: bool, thumbnails: bool | None) -> None:
    """Pictures or a table; on a terminal by group. In a pipe explanations follow after tabs."""
    for heading, members in groupby(results, key=lambda result: result.group):
        if heading is not None and sys.stdout.isatty():
            print_heading(heading)
        group = list(members)
        if explain or not show_pictures(group, thumbnails):
            rows = [(*_figures(result), _place(result)) for result in group]
            print_table(COLUMNS, rows, right=4)
    if explain:
        for result in results:
            print_facts((f"#{result.rank}", line) for line in explained(result))


def _figures(result: "SearchResult") -> tuple[str, str, str, str]:
    """Rank, chance, score and distance in words."""
    if result.score is None:
        return str(result.rank), "", "", ""
    chance = "" if result.chance is None else figure(result.chance)
    return str(result.rank), chance, f"{result.score:.3f}", str(result.distance)


def _place(result: "SearchResult") -> Cell:
    return result.path if result.seconds is None else Moment(result.path, result.seconds)
