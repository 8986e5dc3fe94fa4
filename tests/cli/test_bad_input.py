"""Whatever is written on the command line, the answer is a result or one plain error."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import Result

from xmodal.library import Library

SETTINGS = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# What a system may pass on: no zero bytes, and bytes that are no UTF-8 as half surrogates.
LETTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.characters(
    min_codepoint=0xDC80, max_codepoint=0xDCFF
)
SIGNS = st.sampled_from(
    ["(", ")", "OR", "-", '"', "keyword:", "date:", "2023", "like:", "in:", "2*", "..", ">=", ","]
)
WORDS = st.one_of(st.text(LETTERS, max_size=12), st.lists(SIGNS, max_size=6).map("".join))


def checked(result: Result) -> Result:
    """A result whose exit code says what it is, and whose errors are one line each."""
    assert result.exit_code in (0, 1, 2)
    assert "Traceback" not in result.stderr
    if result.exit_code == 2:
        assert result.stdout == "" or result.stdout.startswith("Usage: ")
        assert result.stderr.strip()
    return result


@SETTINGS
@given(st.lists(WORDS, max_size=5))
@example(["-"])
@example(["--"])
@example(["((((((((((((((((((((((((((", "a"])
@example(["\udcff"])
@example(["like:\udcff.jpg"])
@example(["-like:."])
def test_any_arguments_are_answered_without_a_traceback(
    run: Any, indexed: Path, words: list[str]
) -> None:
    checked(run("search", *words))


@SETTINGS
@given(st.lists(WORDS, min_size=1, max_size=5))
def test_any_plain_query_is_a_sentence(run: Any, indexed: Path, words: list[str]) -> None:
    result = checked(run("search", "--plain", "--all", "--", *words))
    assert (result.exit_code == 2) == (not " ".join(words).strip())


@pytest.mark.parametrize(
    "query",
    [
        "date:2023-02-29", "date:2023-13", "date:2023-00-10", "date:0000", "date:2023-01-01T25:00",
        "date:yesterdya", "near:91,0", "near:0", "rating:six", "width:-", "type:jpg2", "has:cat",
        "date:2024..2023",
    ],
)  # fmt: skip
def test_an_impossible_value_is_an_error_that_shows_it(run: Any, indexed: Path, query: str) -> None:
    result = checked(run("search", "red", query))
    assert result.exit_code == 2
    assert query in result.stderr


@pytest.mark.parametrize("query", ["keyword:nothing", "in:nowhere/", "date:2019 date:2020"])
def test_filters_that_allow_nothing_find_nothing(run: Any, indexed: Path, query: str) -> None:
    for words in ([query], ["red", query], ["-red", query]):
        result = checked(run("search", *words))
        assert (result.exit_code, result.stderr) == (1, "xmodal: nothing found\n")


def test_like_needs_a_picture(run: Any, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").touch()
    cut = (indexed / "0" / "00.jpg").read_bytes()[:200]
    (tmp_path / "cut.jpg").write_bytes(cut)
    for name in ("missing.jpg", "text.jpg", "empty.png", "cut.jpg", "."):
        for words in ([f"like:{tmp_path / name}"], ["--image", str(tmp_path / name)]):
            result = checked(run("search", *words))
            assert result.exit_code == 2
            assert result.stderr.count("\n") == 1


def test_like_takes_a_huge_picture_or_says_why_not(run: Any, indexed: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    Image.new("1", (20_000, 20_000)).save(huge)
    checked(run("search", f"like:{huge}"))


def test_a_library_without_captions_keywords_or_dates_answers(run: Any, photo_folder: Path) -> None:
    assert run("index", photo_folder, "--encoder", "toy").exit_code == 0
    assert checked(run("search", "red")).exit_code == 0
    for query in ("keyword:red", "caption:red", "date:2020", "person:x", "red has:date"):
        assert checked(run("search", query)).exit_code == 1
    assert checked(run("search", "-has:keyword", "-k", "3")).stdout.count("\n") == 3


def test_a_library_that_is_being_written_is_searched_as_it_was(
    start: Callable[..., subprocess.CompletedProcess[bytes]], indexed: Path, library_file: Path
) -> None:
    from xmodal.store.database import Database
    from xmodal.store.models import Volume

    before = start("search", "red")
    database = Database.open(library_file)
    with database.writer(), database.transaction() as session:
        session.add(Volume(path="/half/done"))
        session.flush()
        during = start("search", "red")
        batch = start("search", "--queries", "-", input=b"red\n")
    database.close()
    assert (during.returncode, during.stdout) == (0, before.stdout)
    assert during.stderr == before.stderr
    assert batch.returncode == 0


def test_searches_go_on_while_another_process_indexes(
    start: Callable[..., subprocess.CompletedProcess[bytes]],
    indexed: Path,
    library_file: Path,
    photo_folder: Path,
    tmp_path: Path,
) -> None:
    more = shutil.copytree(photo_folder, tmp_path / "more")
    for number, picture in enumerate(sorted(more.rglob("*.png"))):
        with Image.open(picture) as image:
            image.rotate(90 + number).save(picture)
    launcher = Path(__file__).parents[2] / "cli.py"
    with subprocess.Popen(
        [sys.executable, launcher, "index", more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as indexing:
        codes = []
        while indexing.poll() is None:
            with Library.open(library_file) as library:
                codes.append(len(library.search("red", k=40)))
        assert indexing.returncode == 0
    assert codes
    assert min(codes) >= 30


def test_paths0_gives_whole_paths_to_other_programs(
    start: Callable[..., subprocess.CompletedProcess[bytes]],
    run: Any,
    save_picture: Callable[..., Path],
    tmp_path: Path,
) -> None:
    odd = tmp_path / "odd" / os.fsdecode(b"new\nline \xff.png")
    plain = save_picture(tmp_path / "odd" / "plain.png", "red")
    try:
        plain.rename(odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    run("index", odd.parent, "--encoder", "toy")
    done = start("search", "red", "--all", "--paths0")
    assert done.stdout == os.fsencode(odd) + b"\0"
    assert checked(run("search", "red", "--paths0", "--json")).exit_code == 2


def test_queries_of_a_file_are_answered_by_number(run: Any, indexed: Path, tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    file.write_text("# wanted\nred\n\nkeyword:nothing\ngreen in:1/\n", encoding="utf-8")
    result = run("search", "--queries", file, "-k", "3")
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert {row[0] for row in rows} == {"1", "3"}
    alone = run("search", "red", "-k", "3").stdout.splitlines()
    assert [line.partition("\t")[2] for line in result.stdout.splitlines()][: len(alone)] == alone
    first = json.loads(run("search", "--queries", file, "--json").stdout.splitlines()[0])
    assert list(first)[:2] == ["number", "query"]
    assert (first["number"], first["query"]) == (1, "red")


def test_exit_codes_and_errors_of_many_queries(run: Any, indexed: Path, tmp_path: Path) -> None:
    file = tmp_path / "queries.txt"
    for text, code in (
        ("keyword:nothing\n", 1), ("", 1), ("keyword:nothing\nred\n", 0), ("red\n\ncamra:x\n", 2)
    ):  # fmt: skip
        file.write_text(text, encoding="utf-8")
        result = checked(run("search", "--queries", file))
        assert result.exit_code == code, text
    assert "line 3: there is no filter camra:" in result.stderr
    assert checked(run("search", "red", "--queries", file)).exit_code == 2
    assert checked(run("search", "--queries", tmp_path / "missing.txt")).exit_code == 2
    file.write_bytes(b"red \xff\xfe\n")
    assert "line 1: a byte in it is no text" in checked(run("search", "--queries", file)).stderr
