"""The program in this process, and as a process of its own."""

import os
import shutil
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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first use of ``indexed`` puts its pictures, and the library that is copied."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def indexed(
    run: Callable[..., Result],
    photo_folder: Path,
    captions_file: Path,
    shared: Path,
    library_file: Path,
) -> Path:
    """A folder of pictures, indexed with captions; the library may be changed, the folder not."""
    # Not the name of ``photo_folder``: beside the copied library that would be taken for the same.
    photos, library = shared / "pictures", shared / "library.db"
    if not library.exists():
        shutil.copytree(photo_folder, photos)
        captions = photos / captions_file.name
        command = ["index", photos, "--encoder", "toy", "--captions", captions]
        result = run(*command, "--library", library)
        assert result.exit_code == 0, result.output
    shutil.copy(library, library_file)
    return photos


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
