"""`xmodal tune`: how many bits the library's codes need, and what more bytes would buy."""

from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import print_facts, print_json, print_table
from xmodal.cli.train import Labels, told

if TYPE_CHECKING:
    from xmodal.results import LengthStep, TuneReport


def tune(
    context: typer.Context,
    keep: Annotated[
        float,
        typer.Option(
            "--keep", help="Share of the best quality that the recommended length must keep."
        ),
    ] = 0.98,
    labels: Labels = "keywords",
    seed: Annotated[int, typer.Option("--seed", help="Of all random choices.")] = 0,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Say how many bits a code of this library needs; change nothing.

    \b
    Examples:
      xmodal tune
      xmodal tune --keep 0.95
      xmodal tune --labels folders --json

    Codes of several lengths are learned from one half of the pictures and asked about the other. A
    row of the table has the length in bits and in bytes a picture, how high pictures with the same
    keyword are ranked (mean average precision, 1 is perfect), and the share of captions and
    pictures that find each other among the first ten, with 95 % intervals.
    """
    with open_library(context, library, offline) as opened:
        report = opened.tune(keep, labels, seed, encoder)
    if as_json:
        print_json(report)
        return
    print_table(
        ("bits", "bytes", "by keyword" if labels == "keywords" else "by label", "own caption"),
        (
            (
                str(row.bits),
                str(row.bits // 8),
                _measured(row.label_map, row.half_width),
                _measured(row.own_recall, row.own_half_width),
            )
            for row in report.curve
        ),
        right=2,
    )
    kind = "keywords" if labels == "keywords" else "labels"
    print_facts([*(_bought(step, kind) for step in report.steps), *_advice(report)])


def _measured(mean: float | None, half: float | None) -> str:
    return "–" if mean is None else f"{mean:.3f} ± {half:.3f}"


def _bought(step: "LengthStep", kind: str) -> tuple[str, str]:
    """The step and what it buys, in words."""
    parts = [
        f"{name} {told(difference)}"
        for name, difference in ((kind, step.label_map), ("captions", step.own_recall))
        if difference is not None
    ]
    more = f"{step.bytes:.0f} bytes more a picture, {step.bytes:.0f} MB for a million"
    return f"{step.shorter} → {step.longer} bits", f"{more}, would buy: {'; '.join(parts)}"


def _advice(report: "TuneReport") -> list[tuple[str, str]]:
    keeping = (
        f"{report.recommended} bits, the shortest that keep {100 * report.keep:g} % of the best"
    )
    sure = "beyond chance" if report.sure else "not beyond chance: more pictures would tell better"
    facts = [("recommended", keeping), ("sure", sure), ("in use", f"{report.bits} bits")]
    return [*facts, ("next", report.command or "nothing, this length is in use")]
