"""`xmodal doctor` says what is wrong, mends it when asked, and tells by its exit code."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def damaged(indexed: Path, library_file: Path) -> Path:
    with closing(sqlite3.connect(library_file)) as sql, sql:
        sql.execute("UPDATE segment SET codes = zeroblob(length(codes))")
        sql.execute("UPDATE encoder SET is_default = 0")
    return library_file


def test_a_sound_library_is_called_so(run: Run, indexed: Path) -> None:
    for options in ([], ["--repair"], ["--files"]):
        result = run("doctor", *options)
        assert result.exit_code == 0
        assert result.stdout == ""
        assert "nothing is wrong" in result.stderr


def test_damage_is_listed_then_mended(run: Run, damaged: Path) -> None:
    seen = run("doctor")
    assert seen.exit_code == 1
    rows = [line.split("\t") for line in seen.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["found", "default encoder"], ["found", "segment"]]
    mended = run("doctor", "--repair")
    assert mended.exit_code == 0
    assert "the library as it was before: " in mended.stderr
    assert run("doctor").exit_code == 0
    assert len(run("search", "red", "--all").stdout.splitlines()) == 10
    assert run("info").exit_code == 0


def test_json_has_exactly_the_documented_fields(run: Run, damaged: Path) -> None:
    result = run("doctor", "--repair", "--json")
    report = json.loads(result.stdout)
    assert list(report) == ["path", "findings", "notes", "backup", "recovered", "seconds"]
    for finding in report["findings"]:
        assert list(finding) == ["kind", "count", "message", "remedy", "state"]
        assert finding["state"] == "repaired"
    assert Path(report["backup"]).is_file()
    assert report["recovered"] is None


def test_a_missing_library_is_an_error(run: Run) -> None:
    assert run("doctor").exit_code == 2
