"""`xmodal info`: what a library holds, and whether it is sound."""

from typing import TYPE_CHECKING

import typer

from xmodal.cli.options import AsJson, LibraryFile, Offline, open_library
from xmodal.cli.output import Cell, note, print_facts, print_json, size

if TYPE_CHECKING:
    from xmodal.results import LibraryInfo


def info(
    context: typer.Context,
    as_json: AsJson = False,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Print what the library holds, and check it.

    \b
    Examples:
      xmodal info
      xmodal info --library photos.db --json

    Every checksum is verified; damage is named and the exit code is 2.
    """
    with open_library(context, library, offline) as opened:
        facts = opened.info()
    if as_json:
        print_json(facts)
    else:
        files = ", ".join(f"{count:,} {state}" for state, count in facts.files.items())
        lines: list[tuple[str, Cell]] = [("library", facts.path), ("size", size(facts.bytes))]
        lines += [("folder", folder) for folder in facts.volumes]
        lines += [
            ("pictures", f"{facts.pictures:,}"),
            ("videos", f"{facts.videos:,}, {facts.frames:,} frames"),
            ("files", files or "none"),
            ("captions", f"{facts.captions:,}"),
            ("keywords", f"{facts.keywords:,}"),
            ("people", f"{facts.people:,}"),
            ("places", f"{facts.places:,}"),
            ("pictures with", _known(facts)),
        ]
        lines += [("encoder", encoder) for encoder in facts.encoders]
        if facts.hasher is not None:
            lines.append(("code", f"{facts.hasher}, {facts.bits} bits, {size(facts.code_bytes)}"))
        lines += [("trained on", f"{key}: {_shown(v)}") for key, v in facts.trained_on.items()]
        lines += [("quality", f"{key}: {_shown(v)}") for key, v in facts.quality.items()]
        print_facts(lines)
    for problem in facts.problems:
        note(f"damaged: {problem}")
    if facts.problems:
        raise typer.Exit(2)


def _known(facts: "LibraryInfo") -> str:
    counts = {"a time": facts.dated, "a position": facts.located, "a rating": facts.rated}
    return ", ".join(f"{what}: {count:,}" for what, count in counts.items())


def _shown(value: object) -> str:
    """A value of the open-ended records, without the signs of a programming language."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
