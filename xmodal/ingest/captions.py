"""Captions files: what people wrote about their pictures, as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xmodal.errors import CaptionsError
from xmodal.ingest.identity import clean_text

_DELIMITERS = ",;\t"
_EXAMPLE = 'the first line names the columns, such as "file,caption,keywords"'


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
    text = _text(path)
    header, delimiter = _header(path, text)
    names = [name.strip().casefold() for name in header]
    found = ", ".join(name.strip() for name in header)
    if "file" not in names:
        raise CaptionsError(f"{path}, line 1: no column 'file'; found: {found}; {_EXAMPLE}")
    if "caption" not in names and "keywords" not in names:
        raise CaptionsError(
            f"{path}, line 1: neither a column 'caption' nor 'keywords'; found: {found}; {_EXAMPLE}"
        )
    for name in ("file", "caption", "keywords"):
        if names.count(name) > 1:
            raise CaptionsError(f"{path}, line 1: the column {name!r} is there twice")
    rows = []
    for line, cells in _records(path, text, delimiter):
        if line == 1 or not any(cell.strip() for cell in cells):
            continue
        _check_width(path, line, cells, header, delimiter)
        row = dict(zip(names, cells, strict=False))
        file = row["file"].strip()
        if not file:
            raise CaptionsError(f"{path}, line {line}: the column 'file' is empty")
        keywords = (clean_text(word) for word in row.get("keywords", "").split(";"))
        rows.append(
            CaptionRow(
                line,
                file,
                clean_text(row.get("caption", "")) or None,
                tuple(dict.fromkeys(word for word in keywords if word)),
            )
        )
    return Captions(path, rows)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptionsError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CaptionsError(
            f"{path}, line {line}: byte {data[error.start]:#04x} is not UTF-8; "
            "save the file with the encoding UTF-8"
        ) from error
    if not text.strip():
        raise CaptionsError(f"{path}: the file is empty; {_EXAMPLE}")
    return text


def _header(path: Path, text: str) -> tuple[list[str], str]:
    """The cells of line 1 and the delimiter: of those that find most of our columns, the widest."""
    columns = {"file", "caption", "keywords"}
    best: tuple[int, int, list[str], str] = (-1, -1, [], ",")
    for delimiter in _DELIMITERS:
        _, cells = next(_records(path, text, delimiter))
        hits = len(columns & {cell.strip().casefold() for cell in cells})
        if (hits, len(cells)) > best[:2]:
            best = (hits, len(cells), cells, delimiter)
    return best[2], best[3]


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each record; a quoted cell may go over several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CaptionsError(f"{path}, line {line}: {error}") from error
        yield line, cells
        line = reader.line_num + 1


def _check_width(
    path: Path, line: int, cells: Sequence[str], header: Sequence[str], delimiter: str
) -> None:
    # Spreadsheets pad rows with empty cells.
    extra = [cell for cell in cells[len(header) :] if cell.strip()]
    if len(cells) >= len(header) and not extra:
        return
    names = ", ".join(name.strip() for name in header)
    advice = f'; put a text that contains {delimiter!r} in double quotes (")' if extra else ""
    fields = "1 field" if len(cells) == 1 else f"{len(cells)} fields"
    raise CaptionsError(f"{path}, line {line}: {fields}, expected {len(header)} ({names}){advice}")
