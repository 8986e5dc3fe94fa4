"""`xmodal train`: a code learned from the library's own keywords."""

from typing import Annotated

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import print_facts, print_json


def train(
    context: typer.Context,
    bits: Annotated[
        int, typer.Option("--bits", help="Length of the code, a multiple of 8 from 8 to 1024.")
    ] = 128,
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

    The quality (mean average precision on pictures that were held out, 0 to 1) is printed before
    and after. The old code stays in use until the new one is complete.
    """
    with open_library(context, library, offline) as opened:
        report = opened.train(bits=bits, encoder=encoder)
    if as_json:
        print_json(report)
        return
    before, after = report.before, report.after
    outcome = "in use now" if report.replaced else "no better; the code in use stays"
    print_facts(
        [
            ("code", f"{report.hasher}, {report.bits} bits: {outcome}"),
            ("learned from", f"{report.pictures:,} pictures, {len(report.keywords):,} keywords"),
            (
                "words to pictures",
                f"{before.text_to_image:.3f} → {after.text_to_image:.3f}"
                f" (± {after.half_width:.3f})",
            ),
            (
                "pictures to words",
                f"{before.image_to_text:.3f} → {after.image_to_text:.3f}"
                f" (± {after.half_width:.3f})",
            ),
            ("seconds", f"{report.seconds:,.1f}"),
        ]
    )
