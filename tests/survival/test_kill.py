"""kill -9 at any moment of an index run: the library is whole, and the next run goes on.

XMODAL_KILLS says how many moments; a tenth of a second each, more on a busy machine.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from toy import COLOURS

from xmodal.ingest.identity import content_hash
from xmodal.store.database import Database
from xmodal.store.loading import load_codes
from xmodal.store.models import File, HasherRecord, Item

KILLS = int(os.environ.get("XMODAL_KILLS", "20"))
FOREVER = 60.0

Save = Callable[..., Path]
Killed = Callable[[Path, float], int]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX processes")


class Photos:
    """A folder in which there is always something to do."""

    def __init__(self, root: Path, save: Save, chance: random.Random) -> None:
        self.root = root
        self._save = save
        self._chance = chance
        self._saved = 0
        self.add(40)

    def add(self, count: int) -> None:
        for number in range(self._saved, self._saved + count):
            folder = self.root / str(number % 3)
            self._save(folder / f"{number:04d}.png", list(COLOURS)[number % 10], seed=number)
        self._saved += count

    def change(self) -> None:
        """New, deleted, renamed, copied and rewritten pictures."""
        files = self._chance.sample(sorted(self.root.rglob("*.png")), 12)
        for path in files[:3]:
            path.unlink()
        for path in files[3:6]:
            path.rename(path.with_name(f"renamed-{path.name}"))
        for path in files[6:9]:
            path.with_name(f"copy-{path.name}").write_bytes(path.read_bytes())
        for number, path in enumerate(files[9:]):
            self._save(path, "pink", seed=self._saved + number, size=(50, 41))
        self.add(12)


@pytest.fixture
def photos(tmp_path: Path, save_picture: Save) -> Photos:
    return Photos(tmp_path / "photos", save_picture, random.Random(0))


@pytest.fixture
def killed(photos: Photos) -> Iterator[Killed]:
    """``killed(library, seconds)``: the exit status of an index run that gets so long."""
    program = Path(__file__).with_name("forked.py")
    with subprocess.Popen(
        [sys.executable, program, photos.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def killed(library: Path, seconds: float) -> int:
            print(library, seconds, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield killed
        process.stdin.close()


def shown(library: Path) -> dict[str, bytes]:
    """The content hash of every present file, of a library that must be whole."""
    database = Database.open(library)
    assert database.check() == []  # SQLite's integrity check and every checksum
    with database.session() as session:
        rows = session.execute(
            select(File.relative_path, File.content_hash, Item.content_hash, Item.id)
            .join(Item, Item.id == File.item_id)
            .where(File.state == "present")
        ).all()
        hasher = session.scalar(select(HasherRecord.id).where(HasherRecord.state == "active"))
        coded: list[int] = []
        if hasher is not None:
            stored = load_codes(session, hasher, "image")
            coded = [int(i) for ids, _ in stored.batches for i in ids]
    database.close()
    assert all(of_file == of_picture for _, of_file, of_picture, _ in rows)
    assert len(coded) == len(set(coded))
    assert set(coded) == {item for *_, item in rows}
    return {path: digest for path, digest, *_ in rows}


def test_a_run_killed_at_any_moment_leaves_a_whole_library_and_can_go_on(
    photos: Photos, killed: Killed, tmp_path: Path
) -> None:
    chance = random.Random(1)
    libraries = (tmp_path / f"{number}.db" for number in range(1000))
    started = time.monotonic()
    assert killed(next(libraries), FOREVER) == 0
    longest = time.monotonic() - started
    library = next(libraries)
    kills = 0
    while kills < KILLS:
        status = killed(library, chance.uniform(0, longest))
        assert status in (0, -signal.SIGKILL)
        kills += status != 0
        if library.exists() and library.stat().st_size:
            shown(library)
        if status == 0:
            photos.change()
            longest *= 0.9  # a run with less to do ends earlier
            if chance.random() < 0.5:
                library = next(libraries)
    assert killed(library, FOREVER) == 0
    files = {path.relative_to(photos.root).as_posix(): path for path in photos.root.rglob("*.png")}
    assert shown(library) == {name: content_hash(path) for name, path in files.items()}
