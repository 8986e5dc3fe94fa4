"""A library file with one encoder and one hasher, child processes, and a user without rights."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xmodal.store.database import Database
from xmodal.store.models import EncoderRecord, HasherRecord

NOBODY = 65534


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


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """A folder of a user whom permissions bind, and the test as that user."""
    if os.name != "posix":
        pytest.skip("these permissions are POSIX's")
    folder = Path(tempfile.mkdtemp())  # tmp_path lies in a folder that is root's alone
    root = os.getuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield folder
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)
        shutil.rmtree(folder)
