"""`xmodal shell`: many lines, one library that stays loaded, errors that end nothing."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy import ToyEncoder
from typer.testing import CliRunner, Result

from xmodal.cli.app import app
from xmodal.cli.prompt import completer, completions
from xmodal.errors import LibraryBusyError
from xmodal.library import Library

LAUNCHER = Path(__file__).parents[2] / "cli.py"
RED, GREEN = "00", "01"


@pytest.fixture
def talk(indexed: Path) -> Callable[..., Result]:
    """``talk("red", ":quit", options=["--json"])``: lines through a pipe."""

    def talk(*lines: str, options: list[str] | None = None) -> Result:
        written = "".join(f"{line}\n" for line in lines)
        result = CliRunner().invoke(app, ["shell", *(options or [])], input=written)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return talk


def stems(result: Result) -> list[str]:
    return [Path(line.split("\t")[-1]).stem for line in result.stdout.splitlines()]


def test_a_line_prints_what_a_search_prints(talk: Any, run: Any) -> None:
    for query in ("red", "red keyword:cool", "keyword:red", 'green caption:"a green sheet"'):
        alone = run("search", query)
        assert talk(query).stdout == alone.stdout
        assert talk(query, options=["--json"]).stdout == run("search", query, "--json").stdout
    both = talk("red", "green")
    assert both.stdout == run("search", "red").stdout + run("search", "green").stdout
    assert both.exit_code == 0


def test_the_second_query_loads_no_encoder_no_codes_and_no_background(
    talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xmodal import opening
    from xmodal.query import indexes

    loaded: list[str] = []

    def counting(module: Any, name: str) -> None:
        function = getattr(module, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            loaded.append(name)
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, counted)

    counting(opening, "load_encoder")
    counting(opening, "load_background")
    counting(indexes, "load_codes")
    assert talk("red", "green", "blue in:1/").exit_code == 0
    assert sorted(loaded) == ["load_background", "load_codes", "load_encoder"]


def test_an_error_shows_its_place_and_the_next_line_is_answered(talk: Any) -> None:
    result = talk("red camra:fuji", "like:no-such.jpg", ":k none", ":nonsense", ":open 3", "green")
    assert stems(result)[0] == GREEN
    lines = result.stderr.splitlines()
    assert lines[0].strip() == "red camra:fuji"
    assert lines[1].index("^") == lines[0].index("camra")
    assert sum(line.startswith("xmodal: error: ") for line in lines) == 5
    assert result.exit_code == 2


def test_exit_codes_of_a_pipe_are_those_of_searches(talk: Any) -> None:
    assert talk("keyword:nothing").exit_code == 1
    assert talk("keyword:nothing", "red").exit_code == 0
    assert talk().exit_code == 1
    assert talk(":quit", "camra:fuji").exit_code == 1


def test_settings_last_from_line_to_line(talk: Any) -> None:
    result = talk(":k 2", "red", "green", ":all", ":k 30", "red")
    assert stems(result)[:4] == [RED, RED, GREEN, GREEN]
    assert len(stems(result)) == 4 + 30
    assert "xmodal: all is on" in result.stderr
    as_json = talk(":json", "red", ":json", ":k 1", "red")
    records = [line for line in as_json.stdout.splitlines() if line.startswith("{")]
    assert {Path(json.loads(record)["path"]).stem for record in records} == {RED}
    assert not as_json.stdout.splitlines()[-1].startswith("{")


def test_a_page_of_the_last_results_is_written(talk: Any, tmp_path: Path) -> None:
    page = tmp_path / "found.html"
    assert "there are no results yet" in talk(f":html {page}").stderr
    result = talk("red", f":html {page}", ":html")
    assert f"written: {page}" in result.stderr
    assert "say where the page goes" in result.stderr
    assert "00.jpg" in page.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="xdg-open opens files on Linux")
def test_open_shows_the_picture_of_that_rank(
    talk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener, opened = tmp_path / "xdg-open", tmp_path / "opened"
    opener.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    result = talk("red", ":open 2", ":open 99")
    assert "no result 99 was shown" in result.stderr
    deadline = time.monotonic() + 20
    while not opened.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert opened.read_text().strip() == result.stdout.splitlines()[1].split("\t")[-1]


def test_timing_says_where_the_milliseconds_went(talk: Any, run: Any) -> None:
    search = run("search", "red", "keyword:red", "--timing")
    (told,) = [line for line in search.stderr.splitlines() if line.endswith(" ms")]
    parts = set(re.findall(r"([a-z]+) [0-9]+\.[0-9]", told))
    assert parts >= {"start", "imports", "open", "parse", "encode", "filter", "load", "rank"}
    assert parts >= {"scan", "features", "chance", "paths", "print", "total"}
    result = talk("red", ":timing", "red", options=["--timing"])
    opened, searched = [line for line in result.stderr.splitlines() if line.endswith(" ms")]
    assert opened.startswith("xmodal: start ")
    assert "scan" in searched
    assert "start" not in searched


def test_completion_knows_commands_filters_and_the_librarys_names(indexed: Path) -> None:
    with Library.open() as library:
        assert completions("k", library.names) == ["keyword:"]
        assert completions("-keyword:W", library.names) == ["-keyword:warm", "-keyword:white"]
        assert completions("person:", library.names) == []
    assert completions("type:jpe", lambda kind, start: []) == ["type:jpeg"]
    assert completions(":h", lambda kind, start: []) == [":help", ":html"]
    complete = completer(lambda kind, start: ["a", "b"])
    assert [complete("place:", n) for n in range(3)] == ["place:a", "place:b", None]

    def busy(kind: str, start: str) -> list[str]:
        raise LibraryBusyError("busy")

    assert completer(busy)("keyword:", 0) is None


def _heed_ctrl_c() -> None:
    """What a background job starts has Ctrl-C ignored; this process is to be stopped by it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _take_terminal() -> None:
    """Make the terminal at stdin that of this session, which sends it Ctrl-C."""
    import fcntl
    import termios

    _heed_ctrl_c()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def process(indexed: Path) -> Iterator[subprocess.Popen[str]]:
    """A shell in a process of its own, at the other end of pipes."""
    with subprocess.Popen(
        [sys.executable, LAUNCHER, "shell", "-k", "1"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_heed_ctrl_c,
    ) as process:  # fmt: skip
        yield process
        process.kill()


def ask(process: subprocess.Popen[str], query: str) -> str:
    """The path of the first result."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{query}\n")
    process.stdin.flush()
    return process.stdout.readline().rstrip("\n").split("\t")[-1]


def test_pictures_that_are_indexed_meanwhile_are_found(
    process: subprocess.Popen[str], save_picture: Callable[..., Path], tmp_path: Path
) -> None:
    assert Path(ask(process, "purple in:0/")).stem == "05"
    new = save_picture(tmp_path / "new" / "purple.png", "purple", seed=99)
    with Library.open() as library:
        library.index([new.parent])
    assert ask(process, "purple name:purple*") == str(new)
    assert ask(process, f'like:"{new}"') == str(new)


def test_a_closed_pipe_ends_the_shell_quietly(process: subprocess.Popen[str]) -> None:
    assert ask(process, "red")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stdin is not None
    process.stdin.write("green\nblue\n")
    process.stdin.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_on_a_terminal_ctrl_c_gives_up_the_line_and_ctrl_d_ends(
    indexed: Path, tmp_path: Path
) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    history = tmp_path / "state" / "history"
    environment = os.environ | {"XMODAL_HISTORY": str(history), "TERM": "dumb", "COLUMNS": "200"}
    shown = b""

    def until(text: bytes) -> None:
        nonlocal shown
        while text not in shown:
            ready, _, _ = select.select([master], [], [], 30)
            assert ready, f"{text!r} was not shown, only {shown!r}"
            shown += os.read(master, 65_536)
        shown = shown.partition(text)[2]

    with subprocess.Popen(
        [sys.executable, LAUNCHER, "shell"],
        stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        preexec_fn=_take_terminal,
    ) as process:  # fmt: skip
        os.close(slave)
        try:
            until(b"xmodal> ")
            os.write(master, b"an unfinished li")
            until(b"unfinished li")
            time.sleep(0.5)  # Python sees a signal only once it waits for the next letter
            os.write(master, b"\x03")
            until(b"xmodal> ")
            os.write(master, b"keyw\t")
            until(b"keyword:")
            os.write(master, b"red\n")
            until(b"picture")
            until(b"xmodal> ")
            os.write(master, b"camra:x\n")
            until(b"did you mean camera:?")
            until(b"xmodal> ")
            os.write(master, b"\x04")
            assert process.wait(60) == 0
        finally:
            process.kill()
            os.close(master)
    kept = history.read_text()
    assert "keyword:red" in kept
    assert "unfinished" not in kept
    assert history.stat().st_mode & 0o077 == 0


def test_ctrl_c_in_a_pipe_ends_the_shell(process: subprocess.Popen[str]) -> None:
    assert ask(process, "red")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_each_text_is_encoded_when_it_is_asked_for(
    talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of an earlier line is kept that could answer a later one wrongly."""
    asked: list[str] = []
    encode = ToyEncoder.encode_texts

    def counted(self: ToyEncoder, texts: list[str]) -> Any:
        asked.extend(texts if len(texts) == 1 else [])
        return encode(self, texts)

    monkeypatch.setattr(ToyEncoder, "encode_texts", counted)
    talk("red", "green", "red")
    assert asked == ["red", "green", "red"]
