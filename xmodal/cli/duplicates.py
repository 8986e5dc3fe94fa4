"""`xmodal duplicates`: pictures of which one might do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from xmodal.results import Duplicates


def duplicates(
    context: typer.Context,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """List copies, near duplicates and bursts; change nothing.

    \b
    Examples:
      xmodal duplicates
      xmodal duplicates --json | jq -r 'select(.kind == "exact") | .paths[1:][]'
      xmodal search --duplicates in:holidays/

    exact: files of the same bytes. near: versions of one picture, such as a smaller one or one that
    was encoded again. burst: shots of one camera within seconds of one another that look alike.
    docs/query.md says what counts, and how often it is right: look before you delete.

    On a terminal this prints a table, in a pipe tab-separated lines, one for each picture: number
    of the group, kind, the largest distance of the codes in bits, path. The first of a group has
    the most pixels. With --json, one object for each group, the fields are kind, paths and
    distance. Exit code 1 means that there are none.
    """
    with open_library(context, library, offline) as opened:
        groups = opened.duplicates(encoder=encoder)
    print_duplicates(groups, as_json)


def print_duplicates(groups: "Sequence[Duplicates]", as_json: bool) -> None:
    """The groups, or exit code 1 where there are none."""
    if as_json:
        for group in groups:
            print_json(group)
    elif groups:
        rows = [
            (str(number), group.kind, str(group.distance), path)
            for number, group in enumerate(groups, start=1)
            for path in group.paths
        ]
        print_table(("#", "kind", "bits", "picture"), rows)
    if not groups:
        note("no duplicates")
        raise typer.Exit(1)
