"""CSV files that people write about their pictures: found delimiter, named columns, named lines."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from xmodal.errors import CaptionsError

_DELIMITERS = ",;\t"


def read_table(
    path: Path, columns: Collection[str], example: str
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """Names of the columns as they are written, and each row: its line and its cells by name.

    ``columns`` are the names that the delimiter is told by, in small letters, as are the keys of
    the rows; ``example`` ends the messages about the first line. The encoding is UTF-8 with or
    without a byte-order mark, the delimiter a comma, a semicolon or a tab. Raises CaptionsError
    with the file and the line, for a row when it is reached.
    """
    text = _text(path, example)
    header, delimiter = _header(path, text, columns)
    names = [name.strip().casefold() for name in header]
    for name in columns:
        if names.count(name) > 1:
            raise CaptionsError(f"{path}, line 1: the column {name!r} is there twice")

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for line, cells in _records(path, text, delimiter):
            if line == 1 or not any(cell.strip() for cell in cells):
                continue
            _check_width(path, line, cells, header, delimiter)
            yield line, dict(zip(names, cells, strict=False))

    return [name.strip() for name in header], rows()


def _text(path: Path, example: str) -> str:
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
        raise CaptionsError(f"{path}: the file is empty; {example}")
    return text


def _header(path: Path, text: str, columns: Collection[str]) -> tuple[list[str], str]:
    """The cells of line 1 and the delimiter: of those that find most of our columns, the widest."""
    best: tuple[int, int, list[str], str] = (-1, -1, [], ",")
    for delimiter in _DELIMITERS:
        _, cells = next(_records(path, text, delimiter))
        hits = len(set(columns) & {cell.strip().casefold() for cell in cells})
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
