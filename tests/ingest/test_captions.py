"""Captions files: every usual way of writing them, and errors that name the line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.errors import CaptionsError
from xmodal.ingest.captions import read_captions
from xmodal.ingest.identity import clean_text, content_hash, text_hash


def _write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "captions.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _error(tmp_path: Path, text: str | bytes) -> str:
    path = _write(tmp_path, text)
    with pytest.raises(CaptionsError) as caught:
        read_captions(path)
    return str(caught.value).removeprefix(str(tmp_path) + "/")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_and_byte_order_mark_are_recognised(
    tmp_path: Path, delimiter: str, start: str, end: str
) -> None:
    lines = [["file", "caption", "keywords"], ["a.jpg", '"a dog, wet; very"', '"dog; beach;dog"']]
    text = start + "".join(delimiter.join(line) + end for line in lines)
    (row,) = read_captions(_write(tmp_path, text)).rows
    assert (row.line, row.file, row.caption) == (2, "a.jpg", "a dog, wet; very")
    assert row.keywords == ("dog", "beach")


def test_one_of_caption_and_keywords_is_enough(tmp_path: Path) -> None:
    (row,) = read_captions(_write(tmp_path, "File,Caption\na.jpg,a dog\n")).rows
    assert (row.caption, row.keywords) == ("a dog", ())
    (row,) = read_captions(_write(tmp_path, "KEYWORDS;mood;file\ndog;glad;a.jpg\n")).rows
    assert (row.caption, row.keywords) == (None, ("dog",))


def test_several_rows_may_name_one_file_and_empty_lines_do_not_count(tmp_path: Path) -> None:
    text = "file,caption\na.jpg,one\n\n,\na.jpg,two\n"
    rows = read_captions(_write(tmp_path, text)).rows
    assert [(row.line, row.caption) for row in rows] == [(2, "one"), (5, "two")]


def test_a_quoted_caption_may_go_over_lines(tmp_path: Path) -> None:
    rows = read_captions(_write(tmp_path, 'file,caption\na.jpg,"one\n two"\nb.jpg,x\n')).rows
    assert [(row.line, row.caption) for row in rows] == [(2, "one two"), (4, "x")]


def test_cells_that_a_spreadsheet_pads_are_ignored(tmp_path: Path) -> None:
    (row,) = read_captions(_write(tmp_path, "file,caption\na.jpg,a dog,,\n")).rows
    assert row.caption == "a dog"


def test_missing_columns_are_named_with_what_was_found(tmp_path: Path) -> None:
    error = _error(tmp_path, "name,caption\na.jpg,dog\n")
    assert error.startswith("captions.csv, line 1: no column 'file'; found: name, caption")
    error = _error(tmp_path, "file,mood\na.jpg,glad\n")
    assert error.startswith("captions.csv, line 1: neither a column 'caption' nor 'keywords'")


def test_bad_rows_are_named_by_their_line(tmp_path: Path) -> None:
    head = "file,caption,keywords\na.jpg,a dog,dog\n"
    assert "line 3: 2 fields, expected 3" in _error(tmp_path, head + "b.jpg,a cat\n")
    assert "line 3: 1 field, expected 3" in _error(tmp_path, head + "b.jpg\n")
    error = _error(tmp_path, head + "b.jpg,a cat, wet,cat\n")
    assert "line 3: 4 fields, expected 3" in error
    assert "double quotes" in error
    assert "line 3: the column 'file' is empty" in _error(tmp_path, head + ",a cat,cat\n")
    assert "line 1: the column 'file' is there twice" in _error(tmp_path, "file,file,caption\n")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    assert "captions.csv: the file is empty" in _error(tmp_path, "")
    assert "line 3: byte 0xe9 is not UTF-8" in _error(
        tmp_path, b"file,caption\na.jpg,dog\nb.jpg,caf\xe9\n"
    )
    with pytest.raises(CaptionsError, match=r"nowhere\.csv: cannot be read: No such file"):
        read_captions(tmp_path / "nowhere.csv")


def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path: Path) -> None:
    text = 'file,caption,keywords\na.jpg,"a dog,dog\n' + "b.jpg,a cat,cat\n" * 3
    assert "line 2: 2 fields" in _error(tmp_path, text)
    assert "line 2: field larger" in _error(tmp_path, text + "x" * 200_000)


def test_texts_that_look_the_same_are_the_same() -> None:
    assert clean_text(" cafe\u0301\t au  lait\n") == "caf\u00e9 au lait"
    assert text_hash("cafe\u0301") == text_hash(" caf\u00e9 ")
    assert text_hash("a") != text_hash("A")


@given(st.text(alphabet=" \t\n\u00a0\u3000abe\u00e9\u0301\u1e9b\u0323"))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


def test_the_hash_of_a_file_is_blake2b_of_its_bytes(tmp_path: Path) -> None:
    import hashlib

    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    expected = hashlib.blake2b(data, digest_size=16).digest()
    assert content_hash(tmp_path / "a") == expected
    with (tmp_path / "a").open("rb") as stream:
        assert content_hash(stream) == expected
