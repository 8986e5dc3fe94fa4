"""The program in this process, and as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from xmodal.cli.app import app

LAUNCHER = Path(__file__).parents[2] / "cli.py"


@pytest.fixture
def library_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of this test's own, chosen by XMODAL_LIBRARY."""
    path = tmp_path / "library.db"
    monkeypatch.setenv("XMODAL_LIBRARY", str(path))
    return path


@pytest.fixture
def run(library_file: Path) -> Callable[..., Result]:
    """``run("search", "red")``: the result of a command in this process."""

    def run(*arguments: str | Path) -> Result:
        result = CliRunner().invoke(app, list(map(str, arguments)), prog_name="xmodal")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def indexed(run: Callable[..., Result], photo_folder: Path, captions_file: Path) -> Path:
    """The folder of pictures, after it was indexed with its captions."""
    result = run("index", photo_folder, "--encoder", "toy", "--captions", captions_file)
    assert result.exit_code == 0, result.output
    return photo_folder


@pytest.fixture
def start(library_file: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """``start("search", "red", env={…}, stdout=…)``: the same in a new process."""

    def start(
        *arguments: str | Path, env: dict[str, str] | None = None, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60} | options
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [sys.executable, LAUNCHER, *arguments],
            env=os.environ | (env or {}),
            check=False,
            **streams,
        )

    return start
