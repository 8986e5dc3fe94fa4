"""Every command explains itself, and docs/cli.md says the same."""

from pathlib import Path
from typing import Any

import pytest
import typer

from xmodal.cli.app import app
from xmodal.cli.reference import reference

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
PROGRAM: Any = typer.main.get_command(app)
COMMANDS = sorted(PROGRAM.commands)


def test_the_commands_are_those_of_the_readme() -> None:
    assert set(COMMANDS) == {
        "index", "search", "annotate", "train", "tune", "evaluate", "info", "doctor", "purge",
        "benchmark", "demo", "duplicates", "shell",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help_and_an_example(name: str) -> None:
    command = PROGRAM.commands[name]
    first_line = command.help.splitlines()[0]
    assert first_line.endswith(".")
    assert len(first_line) <= 66  # the list of commands shows it whole
    assert f"xmodal {name}" in command.help
    assert all(parameter.help for parameter in command.params)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert f"## xmodal {name}\n" in DOCS.read_text(encoding="utf-8")


def test_the_page_is_what_the_generator_writes() -> None:
    assert DOCS.read_text(encoding="utf-8") == reference(), "run `make docs`"
