"""The wheel works away from the checkout: migrations and assets are inside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked as an installer would, far from the checkout."""
    built = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)],
        cwd=CHECKOUT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = built.glob("*.whl")
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(unpacked: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(unpacked), str(CHECKOUT / "tests" / "plugin")])
    program = "from xmodal.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True,
        cwd=folder, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def test_the_code_under_test_is_the_wheels(unpacked, tmp_path):
    place = subprocess.run(
        [sys.executable, "-c", "import xmodal; print(xmodal.__file__)"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
    ).stdout  # fmt: skip
    assert place.startswith(str(unpacked))


def test_an_installed_wheel_makes_and_searches_a_library(unpacked, tmp_path, photo_folder):
    library = str(tmp_path / "library.db")
    done = run(
        unpacked, tmp_path, "index", str(photo_folder), "--encoder", "toy", "--library", library
    )
    assert done.returncode == 0, done.stderr
    done = run(unpacked, tmp_path, "search", "red", "-k", "1", "--library", library)
    assert done.returncode == 0, done.stderr
    assert "00." in done.stdout


def test_the_wheel_holds_the_sample_library_with_its_licences(unpacked):
    sample = unpacked / "xmodal" / "assets" / "sample"
    assert len(list(sample.glob("*.jpg"))) >= 50
    assert (sample / "SOURCES.csv").is_file()
    assert (unpacked / "xmodal" / "migrations" / "env.py").is_file()
