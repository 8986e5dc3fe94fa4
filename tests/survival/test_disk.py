"""A disk that is full or cannot be written: one clear line, exit code 2, and nothing lost.

The disks are real and small, in a mount namespace that needs no rights where the system allows it.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import event
from toy import COLOURS

from xmodal.errors import DiskFullError
from xmodal.library import Library
from xmodal.store.database import Database

Save = Callable[..., Path]
NAMESPACE = ["unshare", "--map-root-user", "--mount"]


class Result(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


class OnDisk(NamedTuple):
    """``run(size, commands)`` on a disk of so many KB at ``disk``."""

    disk: Path
    run: Callable[[int, list[list[object]]], list[Result]]


def can_mount(place: Path) -> bool:
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "none", str(place)]
    return bool(shutil.which("unshare")) and not subprocess.run(command, check=False).returncode


@pytest.fixture
def on_disk(tmp_path: Path) -> OnDisk:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not can_mount(disk):
        pytest.skip("this system lets nobody mount a disk of his own")

    def run(size: int, commands: list[list[object]]) -> list[Result]:
        program = Path(__file__).with_name("on_small_disk.py")
        done = subprocess.run(
            [*NAMESPACE, sys.executable, program, disk, str(size)],
            input=json.dumps([[str(word) for word in command] for command in commands]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [Result(*result) for result in json.loads(done.stdout)]

    return OnDisk(disk, run)


@pytest.fixture
def many(tmp_path: Path, save_picture: Save) -> Path:
    root = tmp_path / "many"
    for number in range(300):
        save_picture(root / f"{number:03d}.png", list(COLOURS)[number % 10], seed=number)
    return root


def sound(info: Result) -> bool:
    return info.exit_code == 0 and json.loads(info.stdout)["problems"] == []


def test_an_index_run_that_fills_the_disk_says_so_and_the_next_one_goes_on(
    on_disk: OnDisk, many: Path
) -> None:
    library = ["--library", on_disk.disk / "library.db"]
    full, search, info, _, rest, info_again = on_disk.run(
        600,
        [
            [*library, "index", many, "--encoder", "toy"],
            [*library, "search", "red"],
            [*library, "info", "--json"],
            ["grow", 20_000],
            [*library, "index", many],
            [*library, "info", "--json"],
        ],
    )
    assert full.exit_code == 2
    (line,) = [line for line in full.stderr.splitlines() if "error" in line]
    assert "the disk is full (0.0 MB free there)" in line
    assert "run the same command again" in line
    kept = json.loads(info.stdout)["pictures"]
    assert 0 < kept < 300
    assert f"this run indexed {kept} pictures, {300 - kept} are left" in line
    assert search.exit_code == 0  # a full disk can be searched
    assert sound(info)
    assert rest.exit_code == 0
    assert f"xmodal: {kept} of 300 files done, {300 - kept} left" in rest.stderr
    assert rest.stdout.startswith(f"{300 - kept} indexed, {kept} unchanged")
    assert sound(info_again)


def test_a_full_cache_says_how_to_use_another(
    on_disk: OnDisk, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XMODAL_CACHE", str(on_disk.disk / "cache"))
    index = ["index", photo_folder, "--encoder", "toy", "--library", tmp_path / "library.db"]
    _, full, _, again = on_disk.run(1_000, [["fill", 40], index, ["fill", 900], index])
    assert full.exit_code == 2
    assert f"cannot write {on_disk.disk}" in full.stderr
    assert "No space left on device; make room or set XMODAL_CACHE" in full.stderr
    assert again.stdout.startswith("30 indexed")


def test_captions_and_training_that_fill_the_disk_change_nothing(
    on_disk: OnDisk, photo_folder: Path, captions_file: Path
) -> None:
    library = ["--library", on_disk.disk / "library.db"]
    captions = [*library, "index", photo_folder, "--captions", captions_file]
    train = [*library, "train", "--bits", "256"]
    first, _, no_captions, info, _, with_captions, _, no_training, info_again = on_disk.run(
        2_000,
        [
            [*library, "index", photo_folder, "--encoder", "toy"],
            ["fill", 40],
            captions,
            [*library, "info", "--json"],
            ["fill", 1_000],
            captions,
            ["fill", 40],
            train,
            [*library, "info", "--json"],
        ],
    )
    assert first.stdout.startswith("30 indexed")
    for refused in (no_captions, no_training):
        assert refused.exit_code == 2
        assert "the disk is full" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert sound(info)
    assert json.loads(info.stdout)["captions"] == 0
    assert with_captions.exit_code == 0, with_captions.stderr
    assert sound(info_again)
    facts = json.loads(info_again.stdout)
    assert (facts["captions"], facts["hasher"]) == (30, "itq")


def test_a_library_on_a_read_only_disk_is_searched_and_not_written(
    on_disk: OnDisk, photo_folder: Path, save_picture: Save
) -> None:
    library = ["--library", on_disk.disk / "library.db"]
    first, _, search, index, info = on_disk.run(
        20_000,
        [
            [*library, "index", photo_folder, "--encoder", "toy"],
            ["read-only"],
            [*library, "search", "red", "-k", "1"],
            [*library, "index", photo_folder],
            [*library, "info", "--json"],
        ],
    )
    assert first.exit_code == 0
    assert search.exit_code == 0
    assert index.exit_code == 2
    assert "cannot be written (read-only file, folder or disk)" in index.stderr
    assert sound(info)


def test_a_limit_of_the_files_size_is_an_error_that_loses_nothing(
    many: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    program = f"""
import resource, signal, sys
from xmodal.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, {resource.RLIM_INFINITY}))
main()
"""
    library = tmp_path / "library.db"
    command = ["index", many, "--encoder", "toy", "--library", library]
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "library.db: the disk cannot be read or written" in done.stderr
    assert "Traceback" not in done.stderr
    with Library.open(library) as opened:
        kept = opened.info()
        assert kept.problems == []
        assert 0 < kept.pictures < 300
        report = opened.index([many])
    assert (report.indexed, report.unchanged) == (300 - kept.pictures, kept.pictures)


def test_a_database_that_may_not_grow_names_what_was_kept(many: Path, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library.db") as opened:
        opened.index([many / "000.png"], encoder="toy")
        database = opened._existing_database()

        @event.listens_for(database._engine, "checkout")
        def shrink(connection, record, proxy):
            connection.execute("PRAGMA max_page_count = 60")

        with pytest.raises(DiskFullError, match=r"this run indexed (\d+) pictures, (\d+) are left"):
            opened.index([many])
    database = Database.open(tmp_path / "library.db")
    assert database.check() == []
    database.close()
