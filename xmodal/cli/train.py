"""`xmodal train`: a code learned from the library's own keywords."""

from typing import Annotated

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import print_facts, print_json


def train(
    context: typer.Context,
    bits: Annotated[
        int, typer.Option("--bits", help="Length of the code, a multiple of 16 from 16 to 1024.")
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

    The quality (mean average precision by keywords on pictures that were held out, 0 to 1) is
    printed without → with learning. The new code is used only if it is the better one; the old one
    stays in use until it is complete.
    """
    with open_library(context, library, offline) as opened:
        report = opened.train(bits=bits, encoder=encoder)
    if as_json:
        print_json(report)
        return
    if report.replaced:
        outcome = f"{report.hasher}, {report.bits} bits, in use now"
    else:
        outcome = f"{report.hasher} stays in use: what was learned is no better"
    before, after = report.before, report.after
    print_facts(
        [
            ("code", outcome),
            ("learned from", f"{report.pictures:,} pictures, {len(report.keywords):,} keywords"),
            ("words to pictures", f"{before.text_to_image:.3f} → {after.text_to_image:.3f}"),
            ("pictures to words", f"{before.image_to_text:.3f} → {after.image_to_text:.3f}"),
            ("give or take", f"{max(before.half_width, after.half_width):.3f}"),
            ("seconds", f"{report.seconds:,.1f}"),
        ]
    )
