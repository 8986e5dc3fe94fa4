"""A library file with one encoder and one hasher, and child processes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xmodal.store.database import Database
from xmodal.store.models import EncoderRecord, HasherRecord


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where ``database`` lies, or will lie."""
    return tmp_path / "library.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database.open(path)
    with database.transaction() as session:
        encoder = EncoderRecord(identifier="toy:1", spec="toy", dim=8)
        session.add(encoder)
        session.flush()
        session.add(HasherRecord(encoder_id=encoder.id, name="itq", bits=72, blob=b""))
    yield database
    database.close()


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen]]:
    """``start_python(program, *arguments)``: a child with pipes, killed when the test ends."""
    children: list[subprocess.Popen] = []

    def start(program: str, *arguments: object) -> subprocess.Popen:
        child = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()
