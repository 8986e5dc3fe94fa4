"""A labels file is read as a captions file is; what is wrong is named by file, line and column."""

from pathlib import Path

import pytest

from xmodal.errors import CaptionsError
from xmodal.ingest.captions import read_labels


def _file(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "file,labels\na.jpg,dog; beach\nb.jpg,\n",
        "File;Label\na.jpg;dog\n",
        "id\tfile\tlabels\n1\ta.jpg\tdog;beach;dog\n",
    ],
)
def test_labels_are_read_with_any_delimiter_and_rows_without_any_are_left_out(
    tmp_path: Path, text: str
) -> None:
    rows = read_labels(_file(tmp_path, text)).rows
    assert [(row.line, row.file, row.keywords[0]) for row in rows] == [(2, "a.jpg", "dog")]
    assert set(rows[0].keywords) <= {"dog", "beach"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name,labels\na.jpg,dog\n", "line 1: no column 'file'; found: name, labels"),
        ("file,tags\na.jpg,dog\n", "line 1: no column 'labels'; found: file, tags"),
        ("file,labels\n,dog\n", "line 2: the column 'file' is empty"),
        ("file,labels\na.jpg,x,y\n", "line 2: 3 fields, expected 2"),
        ("file,labels\na.jpg,\n", "the column 'labels' is empty in every row"),
        ("file,label,label\na.jpg,x,y\n", "the column 'label' is there twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(CaptionsError) as caught:
        read_labels(path)
    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)
