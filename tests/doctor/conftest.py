"""A library of thirty pictures with captions and keywords, made once, damaged anew in each test."""

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from xmodal.library import Library

sys.path.insert(0, str(Path(__file__).parent))

Answers = list[tuple[str, int, float]]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test puts pictures and library; those that change pictures copy them."""
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture
def photos(made: Path, request: pytest.FixtureRequest) -> Path:
    """The pictures of the library; not to be changed."""
    photos = made / "photos"
    if not photos.exists():
        captions: Path = request.getfixturevalue("captions_file")
        shutil.copytree(captions.parent, photos)
        with Library.open(made / "library.db") as library:
            library.index([photos], captions=photos / captions.name, encoder="toy")
    return photos


@pytest.fixture
def library_file(made: Path, photos: Path, tmp_path: Path) -> Path:
    """A sound library of this test's own."""
    file = tmp_path / "own" / "library.db"
    file.parent.mkdir()
    shutil.copy(made / "library.db", file)
    return file


@pytest.fixture
def library(library_file: Path) -> Iterator[Library]:
    with Library.open(library_file) as library:
        yield library


@contextmanager
def _changing(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file)) as connection, connection:
        yield connection


@pytest.fixture
def changing() -> Callable[[Path], "contextmanager"]:
    """``with changing(file) as sql``: change a library behind the back of everything."""
    return _changing


@pytest.fixture
def answers() -> Callable[[Library], list[Answers]]:
    """What a library finds for words and for a picture, and what it says about one."""

    def answers(library: Library) -> list[Answers]:
        queries = ("red", "a blue sheet", "warm")
        found = [library.search(query, k=30) for query in queries]
        paths = sorted(found[0], key=lambda result: result.path)
        found.append(library.search(image=paths[7].path, k=30))
        told = library.annotate(paths[4].path, k=8, sources=("caption", "keyword"))
        return [
            *([(str(r.path), r.distance, round(r.score, 4)) for r in each] for each in found),
            [(t.text, t.distance, round(t.score, 4)) for t in told],
        ]

    return answers
