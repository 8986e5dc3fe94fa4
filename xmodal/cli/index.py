"""`xmodal index`: bring the library up to date with folders of pictures."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from xmodal.cli.events import Events
from xmodal.cli.options import AsJson, LibraryFile, Offline, open_library
from xmodal.cli.output import note
from xmodal.cli.progress import show_progress
from xmodal.errors import IndexInterrupted, XmodalError

if TYPE_CHECKING:
    from xmodal.results import IndexReport

COUNTS = ("indexed", "unchanged", "moved", "removed", "failed")


def index(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Folders, or single pictures.")
    ],
    captions: Annotated[
        Path | None,
        typer.Option(
            "--captions",
            metavar="FILE.csv",
            help="Captions and keywords: columns file, caption, keywords (a;b;c).",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="auto, bundled, default, multilingual, open_clip:MODEL/PRETRAINED, or a plug-in. "
            "Default: the library's own; auto for a new library.",
            show_default=False,
        ),
    ] = None,
    add_encoder: Annotated[
        bool,
        typer.Option(
            "--add-encoder",
            help="Add --encoder to a library that was made with another one, and search with it.",
        ),
    ] = False,
    as_json: AsJson = False,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Index folders of pictures; only what is new is read.

    \b
    Examples:
      xmodal index ~/Photos
      xmodal index ~/Photos --captions words.csv
      xmodal index ~/Photos --encoder bundled --offline

    Captions, keywords, people, places, times, positions and ratings are read from EXIF, IPTC and
    XMP, and from .xmp, .txt and Google's .json files beside the pictures.

    Run it again whenever you like: renamed, moved and copied files are recognised. Ctrl-C keeps
    what was indexed, and the next run continues. Files that cannot be read are listed with the
    reason, the rest goes on, and the exit code is 2.

    With --json each line is an event as it happens. {"event": "start", path, unit (files, or texts
    of captions), done, total} begins a folder; {"event": "progress", done, total, failed, rate,
    seconds_left} comes at most once a second; {"event": "failed", path, reason} names a file that
    cannot be read; {"event": "note", message} is a remark. The last is {"event": "done", indexed,
    unchanged, moved, removed, failed, words (captions and keywords found), seconds}; the same with
    "interrupted" and left (files not yet read) after Ctrl-C; or {"event": "error", message}.
    """
    events = Events() if as_json else None
    interrupted = False
    try:
        with (
            open_library(
                context, library, offline, create=True, notify=events.note if events else note
            ) as opened,
            nullcontext(events.show) if events else show_progress() as progress,
        ):
            report = opened.index(
                paths,
                captions=captions,
                encoder=encoder,
                add_encoder=add_encoder,
                progress=progress,
            )
    except IndexInterrupted as interrupt:
        report = cast("IndexReport", interrupt.report)
        interrupted = True
    except XmodalError as error:
        if events:
            events.error(str(error))
        raise
    if events:
        events.end(report, interrupted)
    else:
        _print_report(report)
    if interrupted:
        note(_how_far(report))
        raise typer.Exit(130)
    if report.failed:
        raise typer.Exit(2)


def _print_report(report: "IndexReport") -> None:
    for failure in report.failures:
        note(f"skipped {failure.path}: {failure.reason}")
    for remark in report.notes:
        note(remark)
    done = ", ".join(f"{getattr(report, name):,} {name}" for name in COUNTS)
    found = f", {report.words:,} captions and keywords found" if report.words else ""
    typer.echo(f"{done}{found} in {report.seconds:,.1f} s")


def _how_far(report: "IndexReport") -> str:
    done = report.indexed + report.unchanged + report.moved + report.failed
    after = f" after {done:,} of {done + report.left:,} files" if done + report.left else ""
    return f"interrupted{after}; what was indexed stays, and the same command continues from there"
