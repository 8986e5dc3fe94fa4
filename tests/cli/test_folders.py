"""What the commands say of folders that are away, and of libraries that cannot be written."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Run = Callable[..., Result]


def test_the_command_says_what_is_away_and_ends_with_0(
    tmp_path: Path, photo_folder: Path, run: Run
) -> None:
    assert run("index", photo_folder, "--encoder", "toy").exit_code == 0
    photo_folder.rename(tmp_path / "away")
    result = run("index")
    assert result.exit_code == 0
    assert f"{photo_folder}: no such folder" in result.stderr
    result = run("search", "red", "-k", "2")
    assert result.exit_code == 0
    assert "2 of these are on a drive that was away" in result.stderr
    result = run("search", "red", "-k", "2", "--json")
    assert [json.loads(line)["available"] for line in result.stdout.splitlines()] == [False] * 2
