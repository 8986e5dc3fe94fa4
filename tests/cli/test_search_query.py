"""The query language on the command line: words with a minus, quotes, errors with their place."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def found(result: Result) -> list[str]:
    """Stems of the pictures found, which are the numbers of their colours."""
    assert result.exit_code == 0, result.stderr
    return [Path(line.split("\t")[-1]).stem for line in result.stdout.splitlines()]


RED, GREEN = "00", "01"


@pytest.mark.parametrize(
    "words",
    [
        ["red", "green", "-red"],
        ["-red", "red", "green"],
        ["red green -red"],
        ["--", "red", "green", "-red"],
        ["red", "-k", "4", "green", "-red", "--offline"],
        ["red", "-k4", "-red", "green"],
    ],
)
def test_a_word_with_a_minus_is_no_option(run: Run, indexed: Path, words: list[str]) -> None:
    stems = found(run("search", *words))
    assert RED not in stems
    assert stems[0] == GREEN


@pytest.mark.parametrize("word", ["-house", "-kids", "-k-12", "-hat", "-v", "-h2"])
def test_excluded_words_may_begin_as_options_do(run: Run, indexed: Path, word: str) -> None:
    assert found(run("search", "red", word))[0] == RED
    assert found(run("search", word, "red"))[0] == RED


def test_options_are_still_options(run: Run, indexed: Path, tmp_path: Path) -> None:
    assert len(found(run("search", "red", "-k", "3"))) == 3
    assert run("search", "-h").stdout.startswith("Usage: xmodal search")
    assert run("search", "red", "--jsn").exit_code == 2
    assert run("search", "red", "-k").exit_code == 2
    assert "-5" in run("search", "red", "-k", "-5").stderr
    page = tmp_path / "-odd.html"
    assert run("search", "red", "--html", page).exit_code == 0
    assert page.is_file()


def test_filters_and_quotes_arrive(run: Run, indexed: Path) -> None:
    assert set(found(run("search", "keyword:red"))) == {RED}
    assert set(found(run("search", "caption:a red sheet"))) == {RED}
    assert len(found(run("search", "red", "in:1/", "-k", "30", "--all"))) == 10
    assert run("search", "keyword:nothing").exit_code == 1


def test_facts_alone_have_no_score(run: Run, indexed: Path, tmp_path: Path) -> None:
    (line, *_) = run("search", "keyword:red").stdout.splitlines()
    assert line.split("\t")[:3] == ["1", "", ""]
    record = json.loads(run("search", "keyword:red", "--json").stdout.splitlines()[0])
    assert (record["distance"], record["score"]) == (None, None)
    page = tmp_path / "page.html"
    assert run("search", "keyword:red", "--html", page).exit_code == 0
    assert "newest first" in page.read_text(encoding="utf-8")


def test_an_error_shows_its_place_in_what_was_written(run: Run, indexed: Path) -> None:
    result = run("search", "red", "camra:fuji")
    assert result.exit_code == 2
    assert result.stdout == ""
    query, caret, error = result.stderr.splitlines()
    assert query.strip() == "red camra:fuji"
    assert caret.index("^") == query.index("camra")
    assert error.startswith("xmodal: error: there is no filter camra: – did you mean camera:?")


def test_plain_takes_everything_for_words(run: Run, indexed: Path) -> None:
    assert found(run("search", "--plain", "red", "camra:fuji"))
    assert found(run("search", "--plain", "red")) == found(run("search", "red"))
