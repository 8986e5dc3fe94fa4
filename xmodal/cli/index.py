"""`xmodal index`: bring the library up to date with folders of pictures."""

import signal
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from xmodal.cli.events import Events
from xmodal.cli.options import AsJson, LibraryFile, Offline, named_path, open_library
from xmodal.cli.output import note
from xmodal.cli.progress import show_progress
from xmodal.errors import IndexInterrupted, UsageError, XmodalError

if TYPE_CHECKING:
    from xmodal.ingest.report import Progress
    from xmodal.library import Library
    from xmodal.results import IndexReport

COUNTS = ("indexed", "unchanged", "moved", "removed", "failed")


def index(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=named_path,
            metavar="PATH",
            help="Folders, or single pictures. Default: every folder the library knows.",
            show_default=False,
        ),
    ] = None,
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
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="PATTERN",
            help="Read only what matches, as in .gitignore: '*.png', '2024/'. May be repeated.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Leave out what matches: 'Raw/', '*_small.jpg'. May be repeated.",
            show_default=False,
        ),
    ] = None,
    hidden: Annotated[
        bool,
        typer.Option("--hidden", help="Read hidden files and folders too (.name)."),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Then follow the folders and index what changes; Ctrl-C ends."
        ),
    ] = False,
    as_json: AsJson = False,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Index folders of pictures and videos; only what is new is read.

    \b
    Examples:
      xmodal index ~/Photos
      xmodal index
      xmodal index ~/Photos --watch
      xmodal index ~/Photos --captions words.csv
      xmodal index ~/Photos --encoder bundled --offline
      xmodal index ~/Photos --exclude "Raw/" --exclude "*_small.jpg"

    Captions, keywords, people, places, times, positions and ratings are read from EXIF, IPTC and
    XMP, and from .xmp, .txt and Google's .json files beside the pictures.

    Patterns are relative to each PATH and count for this run. What --include does not match is
    left as it is in the library; what --exclude matches leaves it, and comes back without
    decoding when a later run finds it. For good, write the patterns into a file .xmodalignore in
    any folder. Thumbnails, recycle bins and hidden names are left out.

    Run it again whenever you like: renamed, moved and copied files are recognised. Ctrl-C, or
    SIGTERM, keeps what was indexed, and the next run continues. Files that cannot be read are
    listed with the reason, the rest goes on, and the exit code is 2.

    With --json each line is an event as it happens. {"event": "start", path, unit (files, or texts
    of captions), done, total} begins a folder; {"event": "progress", done, total, failed, rate,
    seconds_left} comes at most once a second; {"event": "failed", path, reason} names a file that
    cannot be read; {"event": "note", message} is a remark. The last is {"event": "done", indexed,
    unchanged, moved, removed, failed, words (captions and keywords found), seconds}; the same with
    "interrupted" and left (files not yet read) after Ctrl-C; or {"event": "error", message}.

    With --watch there is one line, or "done" event, for each batch of changes, and Ctrl-C is exit
    code 0. A file is read when it has not changed for two seconds.
    """
    # What stops a service, or the computer, is to lose no more than Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    events = Events() if as_json else None
    interrupted = False
    selection: dict[str, Any] = {
        "include": include or (),
        "exclude": exclude or (),
        "hidden": hidden,
    }
    tell = events.note if events else note
    try:
        with open_library(context, library, offline, create=True, notify=tell) as opened:
            if watch:
                if captions is not None or add_encoder:
                    raise UsageError("--watch follows folders only; index with this option first")
                _follow(opened, paths or [], events, encoder=encoder, **selection)
                return
            with nullcontext(events.show) if events else show_progress() as progress:
                report = opened.index(
                    paths or [],
                    captions=captions,
                    encoder=encoder,
                    add_encoder=add_encoder,
                    **selection,
                    progress=progress,
                )
    except IndexInterrupted as interrupt:
        report = cast("IndexReport", interrupt.report)
        interrupted = True
    except XmodalError as error:
        if events:
            events.error(str(error))
        raise
    _print_report(report, events, interrupted)
    if interrupted:
        note(_how_far(report))
        raise typer.Exit(130)
    if report.failed:
        raise typer.Exit(2)


def _print_report(report: "IndexReport", events: Events | None, interrupted: bool = False) -> None:
    if events:
        events.end(report, interrupted)
        return
    for failure in report.failures:
        note(f"skipped {failure.path}: {failure.reason}")
    for remark in report.notes:
        note(remark)
    done = ", ".join(f"{getattr(report, name):,} {name}" for name in COUNTS)
    found = f", {report.words:,} captions and keywords found" if report.words else ""
    typer.echo(f"{done}{found} in {report.seconds:,.1f} s")


def _follow(library: "Library", paths: list[Path], events: Events | None, **options: Any) -> None:
    """Print each batch until Ctrl-C; progress is shown of the first run only."""
    with ExitStack() as first_run:
        show = events.show if events else first_run.enter_context(show_progress())
        shown = True

        def progress(step: "Progress") -> None:
            if shown:
                show(step)

        try:
            for report in library.watch(paths, progress=progress, **options):
                first_run.close()
                _print_report(report, events)
                sys.stdout.flush()  # in a pipe, each batch is to be seen when it is done
                if shown:
                    note("following changes; Ctrl-C ends")
                shown = False
        except IndexInterrupted as interrupt:
            first_run.close()
            _print_report(cast("IndexReport", interrupt.report), events, True)
        except KeyboardInterrupt:
            return


def _how_far(report: "IndexReport") -> str:
    done = report.indexed + report.unchanged + report.moved + report.failed
    after = f" after {done:,} of {done + report.left:,} files" if done + report.left else ""
    return f"interrupted{after}; what was indexed stays, and the same command continues from there"
