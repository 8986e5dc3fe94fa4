"""`xmodal annotate`: words for pictures."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.options import (
    AsJson,
    Count,
    LibraryFile,
    Offline,
    SearchEncoder,
    named_path,
    open_library,
)
from xmodal.cli.output import Cell, note, print_json, print_table

if TYPE_CHECKING:
    from xmodal.ingest.report import Failure
    from xmodal.library import Library
    from xmodal.results import Annotation

COLUMNS = ("#", "score", "bits", "source", "text")


def annotate(
    context: typer.Context,
    images: Annotated[
        list[Path],
        typer.Argument(
            parser=named_path,
            metavar="PICTURE",
            help="Any pictures, or folders, in the library or not.",
        ),
    ],
    k: Count = 10,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write the words as keywords into a file for `index --captions`.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file of --csv if it is there.")
    ] = False,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Name what pictures show, in the library's own words first.

    The nearest captions and keywords of the library come first, then everyday words.

    \b
    Examples:
      xmodal annotate dog.jpg
      xmodal annotate dog.jpg -k 3 --json
      xmodal annotate holidays/ --csv words.csv -k 5

    On a terminal this prints a table, in a pipe tab-separated lines: rank, score (higher is
    nearer), distance of the codes in bits, source (caption, keyword or vocabulary), text, and,
    where several pictures are asked for, the picture. With --json the fields are rank, text,
    source, distance, score and path. What cannot be read is told, the rest goes on, and
    the exit code is 2.

    --csv prints nothing but writes the nearest keywords and everyday words, N for each picture,
    with the columns file and keywords. Look through them, then give them to the library with
    `xmodal index FOLDER --captions FILE`; they then take the place of what an earlier captions
    file said of these pictures. No picture is ever written to.
    """
    failures: list[Failure] = []
    with open_library(context, library, offline) as opened:
        if table is not None:
            found = _write(opened, images, table, force, k, encoder, failures)
        elif len(images) > 1 or images[0].is_dir():
            found = _print_several(opened, images, as_json, k, encoder, failures)
        else:
            annotations = opened.annotate(images[0], k=k, encoder=encoder)
            _print(annotations, images[0], as_json)
            found = bool(annotations)
    for failure in failures:
        note(f"skipped {failure.path}: {failure.reason}")
    if failures:
        raise typer.Exit(2)
    if not found:
        note("nothing found")
        raise typer.Exit(1)


def _print_several(
    library: "Library",
    images: list[Path],
    as_json: bool,
    k: int,
    encoder: str | None,
    failures: "list[Failure]",
) -> bool:
    from xmodal.suggesting import Suggestion, pictures_of, suggest

    found = False
    for each in suggest(library, pictures_of(images), k, encoder=encoder):
        if isinstance(each, Suggestion):
            _print(each.annotations, each.path, as_json, several=True)
            found = found or bool(each.annotations)
        else:
            failures.append(each)
    return found


def _print(
    annotations: "list[Annotation]", path: Path, as_json: bool, several: bool = False
) -> None:
    if as_json:
        for annotation in annotations:
            print_json(asdict(annotation) | {"path": path})
        return
    rows: list[tuple[Cell, ...]] = [
        (str(a.rank), f"{a.score:.3f}", str(a.distance), a.source, a.text) for a in annotations
    ]
    if several:
        print_table((*COLUMNS, "picture"), [(*row, path) for row in rows], right=3)
    elif rows:
        print_table(COLUMNS, rows, right=3)


def _write(
    library: "Library",
    images: list[Path],
    table: Path,
    force: bool,
    k: int,
    encoder: str | None,
    failures: "list[Failure]",
) -> bool:
    from xmodal.cli.progress import show_progress
    from xmodal.ingest.report import Progress
    from xmodal.suggesting import (
        KEYWORD_SOURCES,
        Suggestion,
        keywords_file,
        pictures_of,
        suggest,
        write_keywords,
    )

    file = keywords_file(table, replace=force)
    pictures = pictures_of(images)
    named = []
    with show_progress() as show:
        for done, each in enumerate(suggest(library, pictures, k, KEYWORD_SOURCES, encoder), 1):
            if not isinstance(each, Suggestion):
                failures.append(each)
            elif each.annotations:
                named.append(each)
            show(Progress(done, len(pictures), each.path, len(failures)))
    # Nothing to say is no reason to leave an empty file, or to replace a full one.
    if named:
        left_out = write_keywords(file, named)
        failures += left_out
        note(f"{table}: keywords for {len(named) - len(left_out):,} pictures")
    return bool(named)
