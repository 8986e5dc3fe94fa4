"""`xmodal search`: pictures for a query, or for a picture."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from xmodal.cli.duplicates import print_duplicates
from xmodal.cli.found import Form, chosen, print_found, remark
from xmodal.cli.options import (
    AsJson,
    Count,
    Everything,
    LibraryFile,
    Offline,
    SearchEncoder,
    Timing,
    open_library,
    use_one_blas_thread,
)
from xmodal.cli.output import note
from xmodal.cli.viewing import open_with_viewer
from xmodal.errors import UsageError
from xmodal.stopwatch import OFF, Stopwatch

# As xmodal.query.order has it, which a help page does not need.
RELEVANCE = "relevance"


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
    everything: Everything = False,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="ORDER",
            help="relevance, date (the newest first), name or folder; -date turns it round.",
        ),
    ] = RELEVANCE,
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
    queries: Annotated[
        str | None,
        typer.Option(
            "--queries",
            metavar="FILE",
            help="Answer the queries in a file, one a line; - reads them from stdin.",
            show_default=False,
        ),
    ] = None,
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
    paths: Annotated[
        bool,
        typer.Option("--paths0", help="Print paths alone, each with a zero byte behind it."),
    ] = False,
    timing: Timing = False,
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
      xmodal search sunset --paths0 | xargs -0 -I{} cp {} sunsets/
      xmodal search --queries wanted.txt --json

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

    --queries answers many queries with one scan; empty lines and those that begin with #
    are passed over. Each line of the output begins with the number of its query, counted from 1;
    with --json the fields number and query come first. Exit code 1 means that none matches.
    """
    use_one_blas_thread()
    form = _form(as_json, paths)
    # What passed before is the start of Python; what is measured is the processor's time.
    before = time.process_time()
    watch = Stopwatch() if timing else OFF
    if queries is None:
        query = _query(words, plain, watch)
        with open_library(context, library, offline, watch=watch) as opened:
            if duplicates:
                groups = opened.duplicates(query, image=image, encoder=encoder, plain=plain)
                print_duplicates(groups, as_json)
                return
            found = opened.search(
                query, image=image, k=k, encoder=encoder, plain=plain, sort=sort, reverse=reverse,
                group=group, everything=everything, fold=not no_fold, explain=explain, watch=watch,
            )  # fmt: skip
        answers = [found]
    elif words or image or html or duplicates or explain or group or sort != RELEVANCE or open_it:
        raise UsageError(
            "--queries takes no QUERY beside it, and no --image, --html, --open, --sort, --group, "
            "--duplicates or --explain"
        )
    else:
        texts = _read(queries, plain, watch)
        with open_library(context, library, offline, watch=watch) as opened:
            answers = opened.search_many(texts, k=k, encoder=encoder, plain=plain, watch=watch)
    shown = [chosen(found, everything) for found in answers]
    if html is not None:
        from xmodal.gallery import write_search_page

        title = " ".join(words or []) or f"Like {image}"
        write_search_page(html, title, shown[0] or answers[0], query_image=image)
    with watch.part("print"):
        if queries is None:
            print_found(shown[0], form, thumbnails=thumbnails, explain=explain)
            remark(answers[0], shown[0])
        else:
            for number, (text, results) in enumerate(zip(texts, shown, strict=True), start=1):
                print_found(results, form, (number, text))
    if open_it and (html is not None or shown[0]):
        open_with_viewer(html or shown[0][0].path)
    if timing:
        note(watch.told(before))
    if not any(result.sure for results in shown for result in results):
        raise typer.Exit(1)


def _form(as_json: bool, paths: bool) -> Form:
    if as_json and paths:
        raise UsageError("--json and --paths0 exclude each other; choose one")
    return "json" if as_json else "paths" if paths else "table"


def _query(words: list[str] | None, plain: bool, watch: Stopwatch) -> str | None:
    if not words:
        return None
    with watch.part("imports"):
        from xmodal.query.shell import from_arguments

    with watch.part("parse"):
        return " ".join(words) if plain else from_arguments(words)


def _read(file: str, plain: bool, watch: Stopwatch) -> list[str]:
    """The queries in a file, or on stdin where it is called ``-``."""
    with watch.part("imports"):
        from xmodal.query.batch import read_queries

    with watch.part("parse"):
        if file == "-":
            return read_queries(sys.stdin, plain)
        with open(file, encoding="utf-8-sig", errors="surrogateescape") as lines:
            return read_queries(lines, plain)
