"""How pictures that were found are printed: a table, JSON, or paths for another program."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from xmodal.cli.output import Cell, Moment, note, print_json, print_table

if TYPE_CHECKING:
    from xmodal.results import SearchResult

Form = Literal["table", "json", "paths"]
COLUMNS = ("#", "chance", "score", "bits", "picture")
NEAREST = 3  # pictures that are named where nothing matches


def chosen(found: Sequence["SearchResult"], everything: bool) -> list["SearchResult"]:
    """What of a ranking is shown: what chance does not explain, or everything."""
    return [result for result in found if everything or result.sure]


def print_found(
    results: Sequence["SearchResult"], form: Form, query: tuple[int, str] | None = None
) -> None:
    """Results as a table, as JSON lines, or as their paths, each with a zero byte behind it.

    ``query`` is the number and the text of the query that they answer, where there are many.
    """
    if form == "paths":
        for result in results:
            print(result.path, end="\0")
    elif form == "json":
        from dataclasses import asdict

        asked = {"number": query[0], "query": query[1]} if query else {}
        for result in results:
            print_json(asked | asdict(result))
    elif results:
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
    if not results and found:
        nearest = ", ".join(str(result.path) for result in found[:NEAREST])
        note(f"nothing in this library matches; the nearest are {nearest} ({switch} shows them)")
    elif not results:
        note("nothing found")
    elif len(results) < len(found):
        note(f"what chance may explain is left out; {switch} shows it")


def _figures(result: "SearchResult") -> tuple[str, str, str, str]:
    """Rank, chance, score and distance in words."""
    if result.score is None or result.chance is None:
        return str(result.rank), "", "", ""
    chance = f"{result.chance:.2g}" if result.chance < 10 else f"{result.chance:.0f}"
    return str(result.rank), chance, f"{result.score:.3f}", str(result.distance)


def _place(result: "SearchResult") -> Cell:
    return result.path if result.seconds is None else Moment(result.path, result.seconds)
