"""`xmodal evaluate`: what searches in the library are worth, by its own keywords and captions."""

from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, SearchEncoder, open_library
from xmodal.cli.output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from xmodal.results import EvaluateReport, Quality


def evaluate(
    context: typer.Context,
    count: Annotated[
        int, typer.Option("-k", "--k", metavar="N", help="A caption must be found among N.")
    ] = 10,
    as_json: AsJson = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Measure what searches find now, by the library's own words.

    \b
    Examples:
      xmodal evaluate
      xmodal evaluate -k 1 --json

    Each row is a way of ranking: the float features alone, the code alone, and both, as searches
    do. By keyword: how high a keyword ranks the pictures that have it, and a picture its keywords
    (mean average precision, 1 is perfect). By caption: the share of captions that find their
    picture among the first N, and of pictures that find a caption of theirs. Intervals are 95 %.
    """
    with open_library(context, library, offline) as opened:
        report = opened.evaluate(count, encoder)
    if as_json:
        print_json(report)
        return
    print_table(
        (
            "ranked by",
            "keyword → pictures",
            "picture → keywords",
            f"caption → picture in {count}",
            f"picture → caption in {count}",
        ),
        (
            (name, *_cells(quality))
            for name, quality in (
                ("features", report.features),
                (f"code, {report.bits} bits", report.code),
                ("both, as searches do", report.both),
            )
        ),
    )
    measured = (
        f"{report.pictures:,} pictures with {report.keywords:,} keywords and "
        f"{report.captions:,} captions"
    )
    print_facts([("measured on", measured), ("training", _about_training(report))])


def _cells(quality: "Quality") -> list[str]:
    pairs = (
        (quality.text_to_image, quality.half_width),
        (quality.image_to_text, quality.half_width),
        (quality.caption_to_image, quality.caption_half_width),
        (quality.image_to_caption, quality.caption_half_width),
    )
    return ["–" if mean is None else f"{mean:.3f} ± {half:.3f}" for mean, half in pairs]


def _about_training(report: "EvaluateReport") -> str:
    """Which of the figures to trust for pictures that are yet to come."""
    after = report.trained.get("after")
    if not isinstance(after, dict):
        return "the code has learned nothing from keywords yet; `xmodal train` does it"
    told = [
        f"{name} {after[key]:.3f}"
        for name, key in (
            ("words to pictures", "text_to_image"),
            ("pictures to words", "image_to_text"),
            ("caption to picture", "caption_to_image"),
            ("picture to caption", "image_to_caption"),
        )
        if after.get(key) is not None
    ]
    return (
        "the code has learned from these very pictures; asked about pictures that it had not seen, "
        f"it reached: {', '.join(told)}"
    )
