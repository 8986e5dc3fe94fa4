"""Small pictures on terminals that answer what they can, and none anywhere else."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]
LAUNCHER = Path(__file__).parents[2] / "cli.py"
# The process that takes the terminal for its own, as a shell's is.
TAKE = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

ATTRIBUTES, KITTY = b"\x1b[c", b"\x1b_G"
PLAIN = {ATTRIBUTES: b"\x1b[?62;22c"}
SIXEL = {ATTRIBUTES: b"\x1b[?62;4;22c"}
WITH_KITTY = PLAIN | {b"a=q": b"\x1b_Gi=1;OK\x1b\\"}
RED = re.compile(rb"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;[\d;]+m\xe2\x96\x80")


def on_terminal(
    *arguments: str | Path,
    answers: dict[bytes, bytes],
    columns: int = 100,
    typed: bytes = b"",
    **env: str,
) -> tuple[bytes, int]:
    """What a command writes to a terminal that gives these answers, and its exit code."""
    master, slave = os.openpty()
    size = struct.pack("HHHH", 30, columns, columns * 10, 600)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
    os.write(master, typed)
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | env
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, sys.executable, LAUNCHER, *map(str, arguments)],
        stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    shown, waiting = b"", dict(answers)
    try:
        while select.select([master], [], [], 60)[0]:
            part = os.read(master, 65_536)
            if not part:
                break
            shown += part
            for question in [q for q in waiting if q in shown]:
                os.write(master, waiting.pop(question))
    except OSError:  # Linux's way of saying that the other end is closed
        pass
    _, told = process.communicate(timeout=60)
    os.close(master)
    assert b"Traceback" not in told, told
    return shown, process.returncode


def test_a_terminal_with_all_colours_gets_half_blocks(indexed: Path) -> None:
    shown, code = on_terminal("search", "red", answers=PLAIN)
    assert code == 0
    colours = [tuple(map(int, match)) for match in RED.findall(shown)]
    assert len(colours) > 3 * 60
    assert all(red > 150 > green for red, green, _ in colours)
    assert b"a red sheet" in shown
    assert b"by chance" in shown
    for name in ("00.jpg", "00.png", "00.webp"):
        assert name.encode() in shown


def test_a_terminal_with_few_colours_gets_them_on_request(indexed: Path) -> None:
    few = {"answers": PLAIN, "COLORTERM": ""}
    assert "▀".encode() not in on_terminal("search", "red", **few)[0]
    assert "▀".encode() in on_terminal("search", "red", "--thumbnails", **few)[0]


def test_sixel_and_kitty_get_pictures_by_their_protocols(indexed: Path) -> None:
    sixel, code = on_terminal("search", "red", answers=SIXEL, COLORTERM="")
    assert code == 0
    assert sixel.count(b"\x1bP") == 3
    kitty, code = on_terminal("search", "red", answers=WITH_KITTY, COLORTERM="")
    assert code == 0
    assert kitty.count(b"a=p") == 3
    assert "▀".encode() not in sixel + kitty


def test_a_terminal_of_20_columns_has_pictures_above_whole_names(indexed: Path) -> None:
    shown, code = on_terminal("search", "red", answers=PLAIN, columns=20)
    assert code == 0
    assert "▀".encode() in shown
    text = re.sub(rb"\x1b(\[[?\d;]*[a-zA-Z]|\]8;[^\x1b]*\x1b\\|_G[^\x1b]*\x1b\\)", b"", shown)
    lines = text.decode().split("\r\n")
    assert max(map(len, lines[1:])) <= 20
    assert str(indexed) in "".join(lines).replace("1 ", "", 1)


@pytest.mark.parametrize(
    ("env", "columns", "typed"),
    [
        ({"TERM": "dumb"}, 100, b""),
        ({"NO_COLOR": "1"}, 100, b""),
        ({"PYTHONIOENCODING": "latin-1"}, 100, b""),
        ({}, 0, b""),
        ({}, 100, b"ls\n"),  # it would be taken for an answer, and lost
    ],
)
def test_nothing_is_asked_of_a_terminal_that_should_not_be(
    indexed: Path, env: dict[str, str], columns: int, typed: bytes
) -> None:
    shown, code = on_terminal("search", "red", answers={}, columns=columns, typed=typed, **env)
    assert code == 0
    assert ATTRIBUTES not in shown
    assert KITTY not in shown
    assert "▀".encode() not in shown


def test_no_thumbnails_means_none(indexed: Path) -> None:
    shown, _ = on_terminal("search", "red", "--no-thumbnails", answers=PLAIN)
    assert "▀".encode() not in shown
    assert ATTRIBUTES not in shown


def test_a_pipe_gets_lines_and_is_told_why(run: Run, indexed: Path) -> None:
    result = run("search", "red", "--thumbnails")
    assert result.exit_code == 0
    assert [len(line.split("\t")) for line in result.stdout.splitlines()] == [5, 5, 5]
    assert "the output is no terminal" in result.stderr


def test_a_picture_that_is_gone_is_told_in_its_place(
    run: Run, photo_folder: Path, library_file: Path
) -> None:
    run("index", photo_folder, "--encoder", "toy")
    (photo_folder / "0" / "00.jpg").unlink()
    shown, code = on_terminal("search", "red", answers=PLAIN)
    assert code == 0
    words = re.sub(rb"\x1b\[[\d;]*m", b"", shown).replace(b"\r\n", b" ")
    assert b"No such file" in b" ".join(words.split())


@pytest.fixture
def viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A display, and a viewer that writes what it was asked to open into this file."""
    opened = tmp_path / "opened"
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nprintf %s "$1" > "{opened}.part"; mv "{opened}.part" "{opened}"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("DISPLAY", ":0")
    return opened


def wait_for(file: Path) -> str:
    end = os.times().elapsed + 10
    while not file.exists() and os.times().elapsed < end:
        select.select([], [], [], 0.02)
    return file.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="the viewer stands in for Linux's")
def test_open_shows_the_best_result_or_the_page(
    run: Run, indexed: Path, viewer: Path, tmp_path: Path
) -> None:
    result = run("search", "red", "--open")
    first = result.stdout.splitlines()[0].split("\t")[4]
    assert wait_for(viewer) == first
    assert f"opening {first}" in result.stderr
    viewer.unlink()
    page = tmp_path / "found.html"
    run("search", "red", "--html", page, "--open")
    assert wait_for(viewer) == str(page)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a screen of their own")
def test_open_without_a_display_says_so_and_starts_nothing(
    run: Run, indexed: Path, viewer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    result = run("search", "red", "--open")
    assert result.exit_code == 0
    assert "not opened: this session has no display" in result.stderr
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    assert "remote session" in run("search", "red", "--open").stderr
    assert not viewer.exists()


def test_open_opens_nothing_where_nothing_matches(run: Run, indexed: Path, viewer: Path) -> None:
    result = run("search", "keyword:nothing", "--open")
    assert result.exit_code == 1
    assert "opening" not in result.stderr
    assert not viewer.exists()
