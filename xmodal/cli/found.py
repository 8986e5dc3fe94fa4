"""How pictures that were found are printed: a table, JSON, or paths for another program."""

import sys
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from xmodal.cli.explanation import explained
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

if TYPE_CHECKING:
    from xmodal.results import SearchResult

Form = Literal["table", "json", "paths"]
COLUMNS = ("#", "chance", "score", "bits", "picture")
NEAREST = 3  # pictures that are named where nothing matches


def chosen(found: Sequence["SearchResult"], everything: bool) -> list["SearchResult"]:
    """What of a ranking is shown: what chance does not explain, or everything."""
    return [result for result in found if everything or result.sure]


def print_found(
    results: Sequence["SearchResult"],
    form: Form,
    query: tuple[int, str] | None = None,
    thumbnails: bool | None = False,
    explain: bool = False,
) -> None:
    """Results as a table, as JSON lines, or as their paths, each with a zero byte behind it.

    ``query`` is the number and the text of the query that they answer, where there are many.
    ``thumbnails`` shows small pictures on a terminal, None where it can; ``explain`` tells after
    the results how each came to its place.
    """
    if form == "paths":
        for result in results:
            print(result.path, end="\0")
        return
    if form == "json":
        from dataclasses import asdict

        asked = {"number": query[0], "query": query[1]} if query else {}
        for result in results:
            print_json(asked | asdict(result))
        return
    for heading, members in groupby(results, key=lambda result: result.group):
        if heading is not None and sys.stdout.isatty():
            print_heading(heading)
        group = list(members)
        if explain or not show_pictures(group, thumbnails):
            _print_table(group, query)
    if explain:
        for result in results:
            print_facts((f"#{result.rank}", line) for line in explained(result))


def _print_table(results: Sequence["SearchResult"], query: tuple[int, str] | None) -> None:
    first = (str(query[0]),) if query else ()
    columns = ("query", *COLUMNS) if query else COLUMNS
    rows = [(*first, *_figures(result), _place(result)) for result in results]
    print_table(columns, rows, right=len(columns) - 1)


def remark(
    found: Sequence["SearchResult"], results: Sequence["SearchResult"], switch: str = "--all"
) -> None:
    """Say on stderr what of ``found`` is not among the ``results`` that are shown, and why.

    ``switch`` is what shows it.
    """
    if away := sum(not result.available for result in results):
        note(f"{away} of these are on a drive that was away when it was last indexed")
    if similar := sum(result.similar for result in results):
        note(f"near duplicates: {similar} more are folded into these; --no-fold shows them")
    if not results and found:
        nearest = ", ".join(str(result.path) for result in found[:NEAREST])
        note(f"nothing in this library matches; the nearest are {nearest} ({switch} shows them)")
    elif not results:
        note("nothing found")
    elif len(results) < len(found):
        note(f"what chance may explain is left out; {switch} shows it")


def _figures(result: "SearchResult") -> tuple[str, str, str, str]:
    """Rank, chance, score and distance in words."""
    if result.score is None:
        return str(result.rank), "", "", ""
    chance = "" if result.chance is None else figure(result.chance)
    return str(result.rank), chance, f"{result.score:.3f}", str(result.distance)


def _place(result: "SearchResult") -> Cell:
    return result.path if result.seconds is None else Moment(result.path, result.seconds)
