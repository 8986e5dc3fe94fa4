"""`xmodal train`: a code learned from the library's own keywords, folders, or a file of labels."""

from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import Cell, note, print_facts, print_json
from xmodal.ingest.report import first_notes

if TYPE_CHECKING:
    from xmodal.results import Difference, TrainReport

Labels = Annotated[
    str,
    typer.Option(
        "--labels",
        metavar="SOURCE",
        help="What pictures have in common: keywords, folders (the names of the folders they lie "
        "in), or a CSV file with the columns file, labels (a;b;c).",
    ),
]


def train(
    context: typer.Context,
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            help="Length of the code, a multiple of 8 from 16 to 1024. Default: that in use. "
            "`xmodal tune` says how many are worth it.",
            show_default=False,
        ),
    ] = None,
    labels: Labels = "keywords",
    seed: Annotated[int, typer.Option("--seed", help="Of all random choices.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be gained; change nothing.")
    ] = False,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Learn a better code from the library's own keywords.

    \b
    Examples:
      xmodal index ~/Photos --captions words.csv
      xmodal train
      xmodal train --bits 64
      xmodal train --labels folders
      xmodal train --labels labels.csv --dry-run

    Half of the pictures teach, the other half is asked about, without learning → with it: how high
    pictures with the same keyword are ranked (mean average precision, 1 is perfect), and how many
    captions find their own picture among the first ten. The new code is used only if the gain is
    larger than chance would explain; searches go on with the old one until it is complete.
    """
    with open_library(context, library, offline) as opened:
        report = opened.train(bits, labels, seed, encoder, dry_run)
    for line in first_notes(report.notes, f"rows of {report.labels}"):
        note(line)
    if as_json:
        print_json(report)
    else:
        print_facts(_facts(report, dry_run))


def _facts(report: "TrainReport", dry_run: bool) -> list[tuple[str, Cell]]:
    code = f"{report.hasher}, {report.bits} bits"
    state = f"in use now, instead of {report.previous}" if report.replaced else "stays in use"
    before, after = report.before, report.after
    facts: list[tuple[str, Cell]] = [
        ("code", f"{code}, {state}" + (" (dry run)" if dry_run else "")),
        ("reason", report.reason),
        (
            "learned from",
            f"{report.pictures:,} pictures with {len(report.keywords):,} "
            f"{'keywords' if report.labels == 'keywords' else 'labels'}, "
            f"{report.unlabelled:,} without",
        ),
        ("compared on", f"{report.asked:,} of them, held out from both codes; 1 is perfect"),
    ]
    if before.text_to_image is not None:
        half = after.half_width
        facts += [
            ("words to pictures", _change(before.text_to_image, after.text_to_image, half)),
            ("pictures to words", _change(before.image_to_text, after.image_to_text, half)),
            ("by keywords" if report.labels == "keywords" else "by labels", told(report.by_label)),
        ]
    if before.caption_to_image is not None:
        half = after.caption_half_width
        facts += [
            ("caption to picture", _change(before.caption_to_image, after.caption_to_image, half)),
            ("picture to caption", _change(before.image_to_caption, after.image_to_caption, half)),
            ("by captions", told(report.by_caption)),
        ]
    return [*facts, ("seconds", f"{report.seconds:,.1f}")]


def told(difference: "Difference | None") -> str:
    """A difference in words.

    >>> from xmodal.results import Difference
    >>> told(Difference(0.1234, 0.02)), told(Difference(-0.03, 0.05))
    ('better by 0.123 ± 0.020', 'no clear difference, -0.030 ± 0.050')
    """
    if difference is None:
        return "cannot be told"
    mean, half = difference.mean, difference.half_width
    if mean > half:
        return f"better by {mean:.3f} ± {half:.3f}"
    if -mean > half:
        return f"worse by {-mean:.3f} ± {half:.3f}"
    return f"no clear difference, {mean:+.3f} ± {half:.3f}"


def _change(before: float | None, after: float | None, half: float | None) -> str:
    return f"{before:.3f} → {after:.3f} ± {half:.3f}"
