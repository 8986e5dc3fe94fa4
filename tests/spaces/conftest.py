"""A library of two hundred coloured pictures, made once and copied for each test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from toy import COLOURS

from xmodal.library import Library

WARM = ("red", "orange", "yellow", "pink")


@pytest.fixture(scope="session")
def large_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures of each colour, in the folders ``warm`` and ``cool``; empty at first."""
    return tmp_path_factory.mktemp("large") / "many"


@pytest.fixture
def large_file(large_folder: Path, tmp_path: Path, save_picture: Callable[..., Path]) -> Path:
    """A library of this test's own; captions tell the colour, keywords also warm or cool."""
    made = large_folder.parent / "library.db"
    if not made.exists():
        lines = ["file,caption,keywords"]
        for number, colour in enumerate(COLOURS):
            warm = "warm" if colour in WARM else "cool"
            for copy in range(20):
                name = f"{warm}/{number:02d}-{copy:02d}.png"
                save_picture(large_folder / name, colour, seed=100 * number + copy)
                lines.append(f"{name},{colour} number {copy},{warm};{colour}")
        captions = large_folder / "captions.csv"
        captions.write_text("\n".join(lines) + "\n")
        with Library.open(made) as library:
            library.index([large_folder], captions=captions, encoder="toy")
    file = tmp_path / "library.db"
    shutil.copy(made, file)
    return file


@pytest.fixture
def large_library(large_file: Path) -> Iterator[Library]:
    with Library.open(large_file) as library:
        yield library
