"""What only a process of its own shows: imports, pipes, terminals, odd file names."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., subprocess.CompletedProcess[bytes]]

REPORT_IMPORTS = """
import sys
from xmodal.cli import main
try:
    main()
finally:
    print(sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def modules_of(*arguments: str) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT_IMPORTS, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))


def test_help_imports_nothing_but_typer() -> None:
    heavy = {"numpy", "PIL", "sqlalchemy", "alembic", "rich", "onnxruntime", "torch", "jinja2"}
    for arguments in (["--help"], ["search", "--help"], ["shell", "--help"]):
        assert not modules_of(*arguments) & heavy


def test_search_imports_neither_torch_nor_open_clip(indexed: Path) -> None:
    modules = modules_of("search", "red")
    assert "numpy" in modules
    assert not modules & {"torch", "open_clip", "timm", "scipy", "rich"}


def test_a_search_by_words_imports_nothing_that_only_pictures_or_writing_need(
    indexed: Path,
) -> None:
    assert not modules_of("search", "red") & {"onnxruntime", "filelock", "alembic", "readline"}
    assert "PIL" not in modules_of("search", "keyword:red")  # the toy encoder imports it
    assert "PIL" in modules_of("search", "--image", str(indexed / "0" / "00.jpg"))


def test_the_launcher_is_the_program(start: Start, indexed: Path) -> None:
    done = start("search", "red", "-k", "1")
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 1
    assert start("search", "").returncode == 2
    help_page = start("--help").stdout.decode()
    assert help_page.startswith("Usage: xmodal [OPTIONS] COMMAND")


def test_a_closed_pipe_ends_quietly(start: Start, indexed: Path) -> None:
    commands = ["search", "red"], ["search", "red", "--json"], ["info"], ["annotate", indexed]
    for command in commands:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = start(*command, stdout=writer)
        finally:
            os.close(writer)
        assert done.stderr == b""
        assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device is Linux's own")
def test_a_full_disk_is_an_error(start: Start, indexed: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = start("search", "red", stdout=full)
    assert done.returncode == 2
    assert done.stderr.startswith(b"xmodal: error: ")
    assert b"Traceback" not in done.stderr


@pytest.fixture
def odd_picture(
    run: Callable[..., object], save_picture: Callable[..., Path], tmp_path: Path
) -> Path:
    """An indexed picture whose name is no UTF-8 and holds what would colour a terminal."""
    picture = tmp_path / "odd" / os.fsdecode(b"na\xefve \x1b[31m.png")
    plain = save_picture(tmp_path / "odd" / "plain.png", "red")
    try:
        plain.rename(picture)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    run("index", picture.parent, "--encoder", "toy")
    return picture


def test_a_pipe_receives_the_bytes_of_any_name(start: Start, odd_picture: Path) -> None:
    done = start("search", "--image", odd_picture, "-k", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip(b"\n").split(b"\t")[-1] == os.fsencode(odd_picture)


def test_json_of_any_name_is_valid_and_leads_back_to_the_file(
    start: Start, odd_picture: Path
) -> None:
    done = start("search", "--image", odd_picture, "-k", "1", "--json", env={"LC_ALL": "C"})
    assert json.loads(done.stdout.decode("ascii"))["path"] == str(odd_picture)


def test_a_locale_without_the_letters_escapes_them(
    start: Start, run: Callable[..., object], odd_picture: Path
) -> None:
    latin = {"PYTHONIOENCODING": "ascii:strict"}
    picture = odd_picture.rename(odd_picture.with_name("Überraschung 北.png"))
    run("index", picture.parent)
    done = start("search", "--image", picture, "-k", "1", env=latin)
    assert done.returncode == 0, done.stderr
    assert b"\\xdcberraschung \\u5317.png" in done.stdout


def on_terminal(*arguments: str | Path, columns: int, **env: str) -> str:
    """What a command shows on a terminal so many columns wide."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    launcher = Path(__file__).parents[2] / "cli.py"
    with subprocess.Popen(
        [sys.executable, launcher, *arguments],
        stdout=slave,
        stderr=slave,
        env=os.environ | {"COLUMNS": str(columns), "TERM": "xterm-256color"} | env,
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 65_536):
                shown += part
        except OSError:  # Linux's way of saying that the other end is closed
            pass
    os.close(master)
    assert process.returncode == 0, shown
    return shown.decode()


def test_a_terminal_of_20_columns_shows_whole_names(indexed: Path) -> None:
    shown = on_terminal("search", "red", "-k", "1", columns=20, NO_COLOR="1")
    lines = re.sub(r"\x1b(\[[\d;]*m|\]8;[^\x1b]*\x1b\\)", "", shown).split("\r\n")
    assert max(map(len, lines)) <= 20
    name = "".join(lines[1:])
    assert Path(name).is_file()
    facts = on_terminal("info", columns=20, NO_COLOR="1")
    assert "…" not in facts


def test_a_terminal_shows_odd_names_harmlessly(odd_picture: Path) -> None:
    shown = on_terminal("search", "--image", odd_picture, "-k", "1", columns=200)
    assert r"na\udcefve \x1b[31m.png" in shown
    assert "\x1b[31m" not in shown


def test_no_color_is_respected(indexed: Path) -> None:
    assert "\x1b[1m" in on_terminal("info", columns=80)
    plain = on_terminal("info", columns=80, NO_COLOR="1")
    assert "pictures" in plain
    assert not any(f"\x1b[{colour}m" in plain for colour in range(30, 38))


def test_a_terminal_sees_the_run_and_then_only_its_summary(
    photo_folder: Path, library_file: Path
) -> None:
    shown = on_terminal("index", photo_folder, "--encoder", "toy", columns=80)
    assert "/30" in shown  # the bar
    assert "30 indexed" in shown.splitlines()[-1]


def test_a_log_gets_plain_lines(start: Start, photo_folder: Path) -> None:
    done = start("index", photo_folder, "--encoder", "toy")
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stdout + done.stderr


def test_an_index_run_whose_reader_has_gone_ends_and_keeps_what_it_did(
    start: Start, photo_folder: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        stopped = start("index", photo_folder, "--encoder", "toy", "--json", stdout=writer)
    finally:
        os.close(writer)
    assert (stopped.returncode, stopped.stderr) == (0, b"")
    rest = start("index", photo_folder)
    assert rest.returncode == 0
    assert start("info").returncode == 0
