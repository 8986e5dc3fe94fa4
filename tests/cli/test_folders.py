"""What the commands say of folders that are away, and of libraries that cannot be written."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from xmodal.store.database import Database

LAUNCHER = Path(__file__).parents[2] / "cli.py"
Run = Callable[..., Result]
Start = Callable[..., subprocess.CompletedProcess[bytes]]


def test_the_command_says_what_is_away_and_ends_with_0(
    tmp_path: Path, photo_folder: Path, run: Run
) -> None:
    assert run("index", photo_folder, "--encoder", "toy").exit_code == 0
    photo_folder.rename(tmp_path / "away")
    result = run("index")
    assert result.exit_code == 0
    assert f"{photo_folder}: no such folder" in result.stderr
    result = run("search", "red", "-k", "2")
    assert result.exit_code == 0
    assert "2 of these are on a drive that was away" in result.stderr
    result = run("search", "red", "-k", "2", "--json")
    assert [json.loads(line)["available"] for line in result.stdout.splitlines()] == [False] * 2


@pytest.mark.parametrize("command", [("index",), ("purge", "--yes"), ("annotate",)])
def test_an_empty_path_is_not_the_current_folder(
    command: tuple[str, ...], run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(indexed)  # where a script's `purge "$FOLDER"` would have emptied the library
    result = run(*command, "")
    assert result.exit_code == 2
    assert "an empty path" in result.stderr
    assert json.loads(run("info", "--json").stdout)["pictures"] == 30


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_not_said_to_be_missing(run: Run, indexed: Path) -> None:
    os.mkfifo(indexed / "pipe.png")
    result = run("index", indexed / "pipe.png")
    assert result.exit_code == 2
    assert "neither a folder nor a file" in result.stderr


def test_purge_asks_on_a_terminal_and_wants_yes_elsewhere(
    run: Run, indexed: Path, library_file: Path
) -> None:
    before = library_file.read_bytes()
    result = run("purge", indexed / "0")
    assert result.exit_code == 2
    assert "10 present" in result.stderr
    assert "add --yes" in result.stderr
    assert run("purge", indexed / "0", "--dry-run").stdout.startswith("would remove the records")
    assert library_file.read_bytes() == before
    result = run("purge", indexed / "0", "--yes")
    assert result.exit_code == 0
    assert result.stdout.startswith("removed the records of files: 10 present; 10 pictures")
    assert json.loads(run("info", "--json").stdout)["pictures"] == 20
    # Nothing to remove is no reason to ask.
    result = run("purge", "--json")
    assert json.loads(result.stdout)["files"] == {}
    assert run("purge", indexed / "nowhere").exit_code == 2


@pytest.mark.parametrize(("answer", "left"), [("n", 30), ("y", 20)])
def test_purge_does_what_is_answered(indexed: Path, run: Run, answer: str, left: int) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, LAUNCHER, "purge", indexed / "0"], stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        os.write(master, f"{answer}\n".encode())
        shown = b""
        try:
            while part := os.read(master, 65_536):
                shown += part
        except OSError:  # Linux's way of saying that the other end is closed
            pass
    os.close(master)
    assert process.returncode == 0
    assert b"Remove the records of files: 10 present" in shown
    assert json.loads(run("info", "--json").stdout)["pictures"] == left


def test_a_second_indexer_says_who_writes_and_changes_nothing(
    start: Start, indexed: Path, library_file: Path
) -> None:
    database = Database.open(library_file)
    with database.writer():
        for command in (["index", indexed], ["purge", indexed, "--yes"]):
            done = start(*command)
            assert done.returncode == 2
            message = done.stderr.decode()
            assert f"another xmodal process (number {os.getpid()}) is writing" in message
            assert "wait until it is done" in message
            assert "Traceback" not in message
        assert start("search", "red").returncode == 0
    database.close()


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux")
def test_a_library_on_a_read_only_mount_is_searched_and_index_says_what_to_do(
    indexed: Path, library_file: Path, tmp_path: Path
) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    library_file.rename(drive / "library.db")
    for left in drive.parent.glob("library.db-*"):
        left.rename(drive / left.name)
    mount = f'mount --bind "{drive}" "{drive}" && mount -o remount,bind,ro "{drive}" && '

    def mounted(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, LAUNCHER, *arguments, "--library", drive / "library.db"]
        return subprocess.run(
            ["unshare", "-Urm", "sh", "-c", mount + 'exec "$@"', "sh", *map(str, program)],
            capture_output=True,
            text=True,
            check=False,
        )

    done = mounted("search", "red", "-k", "1")
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("mounts are not allowed here")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.rstrip("\n").split("\t")[-1]).is_file()
    for command in (["index", indexed], ["purge", indexed, "--yes"]):
        done = mounted(*command)
        assert done.returncode == 2
        assert "cannot be written (read-only file, folder or disk); copy it" in done.stderr
        assert "Traceback" not in done.stderr
    assert [file.name for file in drive.iterdir()] == ["library.db"]


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are made as on Linux")
def test_a_drive_that_was_mounted_below_the_folder_is_offline_while_it_is_away(
    photo_folder: Path, library_file: Path, tmp_path: Path, run: Run
) -> None:
    place, contents = photo_folder / "drive", tmp_path / "contents"
    (photo_folder / "0").rename(contents)
    place.mkdir()
    mount = f'mount -t tmpfs none "{place}" && cp -rp "{contents}/." "{place}" && '

    def with_drive(*arguments: str | Path) -> dict[str, Any]:
        program = [sys.executable, LAUNCHER, *arguments, "--library", library_file]
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", mount + 'exec "$@"', "sh", *map(str, program)],
            capture_output=True,
            text=True,
            check=False,
        )
        if "unshare" in done.stderr or "mount:" in done.stderr:
            pytest.skip("mounts are not allowed here")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def states() -> dict[str, int]:
        return json.loads(run("info", "--json").stdout)["files"]

    there = len(list(contents.iterdir()))
    rest = sum(path.is_file() for path in photo_folder.rglob("*"))
    first = with_drive("index", photo_folder, "--encoder", "toy", "--json")
    assert first["indexed"] == there + rest
    for _ in range(2):
        away = run("index", photo_folder)
        assert f"none of the {there} pictures known there was found" in away.stderr
        assert states() == {"present": rest, "offline": there}
    back = with_drive("index", photo_folder, "--json")
    assert (back["unchanged"], back["indexed"], back["moved"]) == (there + rest, 0, 0)
    for picture in contents.iterdir():
        picture.unlink()
    assert with_drive("index", photo_folder, "--json")["removed"] == there
