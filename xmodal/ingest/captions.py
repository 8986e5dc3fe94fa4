"""Captions and labels files: what people wrote about their pictures, as CSV."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xmodal.errors import CaptionsError
from xmodal.ingest.identity import clean_text
from xmodal.ingest.table import read_table

_EXAMPLE = 'the first line names the columns, such as "file,caption,keywords"'
_LABELS_EXAMPLE = 'the first line names the columns, such as "file,labels"'


@dataclass(frozen=True, slots=True)
class CaptionRow:
    """One row: the line it begins on, the picture as it is written there, and the cleaned texts."""

    line: int
    file: str
    caption: str | None
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Captions:
    """A captions file; several rows may name the same picture."""

    path: Path
    rows: list[CaptionRow]


def read_captions(path: str | Path) -> Captions:
    """Read a CSV file with the columns ``file``, ``caption`` and ``keywords`` (``;`` between them).

    One of ``caption`` and ``keywords`` may be absent, other columns are ignored. The encoding is
    UTF-8 with or without a byte-order mark, the delimiter a comma, a semicolon or a tab, told
    by the header line. Raises CaptionsError with the file and the line.
    """
    path = Path(path)
    header, records = read_table(path, ("file", "caption", "keywords"), _EXAMPLE)
    names = {name.casefold() for name in header}
    found = ", ".join(header)
    if "file" not in names:
        raise CaptionsError(f"{path}, line 1: no column 'file'; found: {found}; {_EXAMPLE}")
    if "caption" not in names and "keywords" not in names:
        raise CaptionsError(
            f"{path}, line 1: neither a column 'caption' nor 'keywords'; found: {found}; {_EXAMPLE}"
        )
    rows = []
    for line, row in records:
        caption = clean_text(row.get("caption", "")) or None
        keywords = _words(row.get("keywords", ""))
        rows.append(CaptionRow(line, _file(path, line, row), caption, keywords))
    return Captions(path, rows)


def read_labels(path: str | Path) -> Captions:
    """Read a CSV file with the columns ``file`` and ``labels`` or ``label`` (``;`` between them).

    Labels come as the rows' keywords; a row without any is left out. Otherwise as
    :func:`read_captions`, and an error names the column too.
    """
    path = Path(path)
    header, records = read_table(path, ("file", "label", "labels"), _LABELS_EXAMPLE)
    names = {name.casefold() for name in header}
    column = "labels" if "labels" in names else "label"
    for wanted in ("file", column):
        if wanted not in names:
            shown = wanted if wanted == "file" else "labels"
            raise CaptionsError(
                f"{path}, line 1: no column {shown!r}; found: {', '.join(header)}; "
                f"{_LABELS_EXAMPLE}"
            )
    rows = []
    for line, row in records:
        file, words = _file(path, line, row), _words(row[column])
        if words:
            rows.append(CaptionRow(line, file, None, words))
    if not rows:
        raise CaptionsError(f"{path}: the column {column!r} is empty in every row")
    return Captions(path, rows)


def _file(path: Path, line: int, row: dict[str, str]) -> str:
    file = row["file"].strip()
    if not file:
        raise CaptionsError(f"{path}, line {line}: the column 'file' is empty")
    return file


def _words(cell: str) -> tuple[str, ...]:
    cleaned: Iterable[str] = (clean_text(word) for word in cell.split(";"))
    return tuple(dict.fromkeys(word for word in cleaned if word))
