"""Words for many pictures, and the file that takes them into a library."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from xmodal.ingest.captions import read_captions
from xmodal.library import Library

Run = Callable[..., Result]


@pytest.fixture
def unknown(tmp_path: Path, save_picture: Callable[..., Path]) -> Path:
    """A folder of pictures that the library does not know, and a file that is none."""
    folder = tmp_path / "unknown"
    save_picture(folder / "a, b.png", "blue", seed=91)
    save_picture(folder / "deep" / "straße\n北.jpg", "red", seed=92)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_each_of_several_pictures_is_named_in_its_lines(
    run: Run, indexed: Path, unknown: Path
) -> None:
    red, blue = indexed / "0" / "00.jpg", unknown / "a, b.png"
    result = run("annotate", red, blue, "-k", 4)
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[5] for row in rows] == [str(red)] * 4 + [str(blue)] * 4
    assert "a red sheet" in {row[4] for row in rows[:4]}
    assert "a blue sheet" in {row[4] for row in rows[4:]}
    records = run("annotate", red, blue, "-k", 1, "--json").stdout.splitlines()
    assert [json.loads(line)["path"] for line in records] == [str(red), str(blue)]


def test_one_picture_and_many_get_the_same_words(run: Run, indexed: Path) -> None:
    picture = indexed / "1" / "03.png"
    alone = run("annotate", picture).stdout.splitlines()
    among = run("annotate", indexed / "0", picture).stdout.splitlines()
    assert [line.rpartition("\t")[0] for line in among if line.endswith(str(picture))] == alone


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(
    run: Run, indexed: Path, unknown: Path
) -> None:
    result = run("annotate", unknown, "-k", 2, "--json")
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 4
    assert f"skipped {unknown / 'broken.jpg'}: not an image" in result.stderr


def test_keywords_make_the_round_trip_into_the_library(
    run: Run, indexed: Path, unknown: Path, library_file: Path
) -> None:
    (unknown / "broken.jpg").unlink()
    before = {path: path.read_bytes() for path in unknown.rglob("*.*") if path.is_file()}
    words = unknown / "words.csv"
    result = run("annotate", unknown, "--csv", words, "-k", 3)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "keywords for 2 pictures" in result.stderr
    rows = {row.file: row.keywords for row in read_captions(words).rows}
    assert set(rows) == {"a, b.png", "deep/straße\n北.jpg"}
    assert all(len(keywords) == 3 for keywords in rows.values())
    assert "blue" in rows["a, b.png"]
    assert all(path.read_bytes() == content for path, content in before.items())

    indexing = run("index", unknown, "--captions", words)
    assert indexing.exit_code == 0, indexing.stderr
    with Library.open(library_file) as library:
        found = library.search(f'name:"a, b.png" keyword:"{rows["a, b.png"][0]}"')
    assert [result.path.name for result in found] == ["a, b.png"]
    assert set(found[0].keywords) == set(rows["a, b.png"])


def test_pictures_elsewhere_are_named_in_full(
    run: Run, indexed: Path, unknown: Path, tmp_path: Path
) -> None:
    run("annotate", unknown / "a, b.png", "--csv", tmp_path / "elsewhere" / ".." / "words.csv")
    assert read_captions(tmp_path / "words.csv").rows[0].file == "unknown/a, b.png"
    (tmp_path / "lists").mkdir()
    run("annotate", unknown / "a, b.png", "--csv", tmp_path / "lists" / "words.csv")
    (row,) = read_captions(tmp_path / "lists" / "words.csv").rows
    assert row.file == str(unknown / "a, b.png")


def test_a_file_that_is_there_is_replaced_only_by_force(
    run: Run, indexed: Path, unknown: Path, tmp_path: Path
) -> None:
    words = tmp_path / "words.csv"
    words.write_text("mine")
    refused = run("annotate", unknown, "--csv", words)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert words.read_text() == "mine"
    run("annotate", unknown, "--csv", words, "--force")
    assert len(read_captions(words).rows) == 2


def test_nothing_readable_leaves_the_old_file(
    run: Run, indexed: Path, unknown: Path, tmp_path: Path
) -> None:
    words = tmp_path / "words.csv"
    words.write_text("mine")
    result = run("annotate", unknown / "broken.jpg", "--csv", words, "--force")
    assert result.exit_code == 2
    assert words.read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes only there")
def test_a_name_that_a_captions_file_cannot_hold_is_told(
    run: Run, indexed: Path, unknown: Path, tmp_path: Path
) -> None:
    for name in (b"caf\xe9.png", b"back\\slash.png", b" space.png"):
        shutil.copy(unknown / "a, b.png", unknown / os.fsdecode(name))
    result = run("annotate", unknown, "--csv", unknown / "words.csv")
    assert result.exit_code == 2
    assert result.stderr.count("cannot hold this name") == 3
    assert len(read_captions(unknown / "words.csv").rows) == 2


@pytest.mark.parametrize("paths", [["nowhere"], ["nowhere", "here"]])
def test_what_does_not_exist_is_an_error_before_anything_is_done(
    run: Run, indexed: Path, tmp_path: Path, paths: list[str]
) -> None:
    words = tmp_path / "words.csv"
    result = run("annotate", *paths, "--csv", words)
    assert result.exit_code == 2
    assert "nowhere: no such picture" in result.stderr
    assert not words.exists()
