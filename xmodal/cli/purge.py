"""`xmodal purge`: take deleted files, or whole folders, out of the library."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, named_path, open_library
from xmodal.cli.output import note, print_json, size
from xmodal.errors import UsageError

if TYPE_CHECKING:
    from xmodal.ingest.report import PurgeReport


def purge(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=named_path,
            metavar="FOLDER",
            help="Forget everything in these folders. Default: only files that were deleted.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    as_json: AsJson = False,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Forget deleted files, or everything in a folder.

    \b
    Examples:
      xmodal purge
      xmodal purge /media/old-drive
      xmodal purge --dry-run

    Deleted files stay in the library without being found, so that they need not be decoded if they
    come back; this forgets them, with features, captions and keywords that no other file has.
    Drives that are away are left alone unless they are named. No file on disk is touched. It
    asks first, on a terminal; elsewhere --yes is needed. With --json the fields are files (counts
    by state), pictures, captions, keywords and freed (bytes).
    """
    with open_library(context, library, offline) as opened:
        expected = opened.purge(folders or [], dry_run=True)
        if not (dry_run or yes or expected == type(expected)({}, 0, 0, 0)):
            if not sys.stdin.isatty():
                raise UsageError(f"this would remove {_told(expected)}; add --yes to do it")
            _warn(expected)
            if not typer.confirm(f"Remove {_told(expected)}?", err=True):
                note("nothing was changed")
                return
        report = expected if dry_run else opened.purge(folders or [])
    if as_json:
        print_json(report)
        return
    if dry_run:
        _warn(report)
        typer.echo(f"would remove {_told(report)}")
    else:
        typer.echo(f"removed {_told(report)}; the library is {size(report.freed)} smaller")


def _warn(report: "PurgeReport") -> None:
    if there := report.files.get("present", 0):
        note(f"{there:,} of these files are still there; `xmodal index` would find them again")


def _told(report: "PurgeReport") -> str:
    files = ", ".join(f"{count:,} {state}" for state, count in report.files.items()) or "none"
    return (
        f"the records of files: {files}; {report.pictures:,} pictures that only they have, with "
        f"{report.captions:,} captions and {report.keywords:,} keywords"
    )
