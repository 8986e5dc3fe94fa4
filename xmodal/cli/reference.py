"""Writes docs/cli.md, from what `--help` prints: `python -m xmodal.cli.reference > docs/cli.md`."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import typer

from xmodal.cli.app import app

INTRODUCTION = """\
# The command line

Every command, as `xmodal --help` has it. This page is generated: `make docs`.
"""


def reference() -> str:
    """The page, in Markdown."""
    program: Any = typer.main.get_command(app)
    parts = [INTRODUCTION, *_section("xmodal", program)]
    for name, command in program.commands.items():
        parts += _section(f"xmodal {name}", command)
    return "\n".join(parts)


def _section(name: str, command: Any) -> Iterator[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    yield f"## {name}\n"
    usage = " ".join([name, "[OPTIONS]", *map(_usage, arguments)])
    yield f"    {usage}{' COMMAND' if hasattr(command, 'commands') else ''}\n"
    yield from map(_paragraph, cleandoc(command.help).split("\n\n"))
    yield "| | |\n|---|---|"
    for argument in arguments:
        yield _row(f"`{_usage(argument)}`", argument)
    for option in options:
        metavar = f" {option.metavar}" if option.metavar else ""
        if not metavar and not getattr(option, "is_flag", False):
            metavar = f" {option.name.upper()}"
        yield _row(", ".join(f"`{spelling}{metavar}`" for spelling in option.opts), option)
    yield ""


def _usage(argument: Any) -> str:
    name = argument.metavar + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _row(name: str, parameter: Any) -> str:
    default = parameter.default
    shown = default not in (None, False) and not callable(default) and parameter.show_default
    meaning = (parameter.help or "").replace("|", "\\|")
    return f"| {name} | {meaning}{f' Default: {default}.' if shown else ''} |"


def _paragraph(text: str) -> str:
    r"""A paragraph of a help text; where ``\b`` keeps its lines, indented ones are code."""
    if not text.startswith("\b"):
        return " ".join(text.split()) + "\n"
    lines = text.splitlines()[1:]
    return re.sub(r"(?m)^  (?=\S)", "    ", _spaced(lines)) + "\n"


def _spaced(lines: list[str]) -> str:
    """Lines with an empty one between text and the code that follows it."""
    spaced: list[str] = []
    for line in lines:
        if spaced and line.startswith("  ") != spaced[-1].startswith("  "):
            spaced.append("")
        spaced.append(line)
    return "\n".join(spaced)


if __name__ == "__main__":
    print(reference(), end="")
