"""A file that SQLite itself cannot read: indexes are made anew, rows saved in a new library."""

import random
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xmodal.errors import LibraryError
from xmodal.library import Library
from xmodal.results import DoctorReport


def _pages(file: Path, name: str) -> list[int]:
    """The pages of a table or index, its root first."""
    with closing(sqlite3.connect(file)) as sql:
        try:
            rows = sql.execute("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path", (name,))
            return [page for (page,) in rows]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite does not tell which page belongs to what")


def _scribble(file: Path, pages: list[int], what: bytes = b"\xa5") -> None:
    with closing(sqlite3.connect(file)) as sql:
        (size,) = sql.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as stream:
        for page in pages:
            stream.seek((page - 1) * size)
            stream.write(what * size)


def _doctor(file: Path, repair: bool) -> DoctorReport:
    with Library.open(file) as library:
        return library.doctor(repair=repair)


def test_a_damaged_index_is_made_anew(library_file: Path, answers) -> None:
    with Library.open(library_file) as library:
        before = answers(library)
    (page,) = _pages(library_file, "ix_caption_text_item_id")
    # A leaf of an index without any cell: all its entries are lost.
    _scribble(library_file, [page], b"\0")
    with library_file.open("r+b") as stream:
        stream.seek((page - 1) * 4096)
        stream.write(b"\x0a\0\0\0\0\x10\0\0")
    (finding,) = _doctor(library_file, repair=False).findings
    assert (finding.kind, finding.state) == ("file", "found")
    assert "ix_caption_text_item_id" in finding.message
    report = _doctor(library_file, repair=True)
    assert report.healthy
    assert report.recovered is None
    assert report.backup is not None
    with Library.open(library_file) as library:
        assert library.doctor().findings == []
        assert answers(library) == before


@pytest.mark.parametrize(
    "table", ["feature", "segment", "file", "item", "caption", "item_keyword", "hasher", "encoder"]
)
def test_what_can_be_read_of_a_damaged_file_becomes_a_new_library(
    library_file: Path, photos: Path, table: str, answers
) -> None:
    with Library.open(library_file) as library:
        before = answers(library)
    pages = _pages(library_file, table)
    _scribble(library_file, pages[-1:])
    damaged = library_file.read_bytes()
    (finding,) = _doctor(library_file, repair=False).findings
    assert finding.kind == "file"
    report = _doctor(library_file, repair=True)
    assert not report.healthy
    assert report.recovered is not None
    assert library_file.read_bytes() == damaged
    assert any("what could be read" in note for note in report.notes)
    with Library.open(report.recovered) as library:
        assert library.doctor().findings == []
        assert library.info().problems == []
        library.index([photos], captions=photos / "captions.csv", encoder="toy")
        assert library.doctor(files=True).findings == []
        found = answers(library)
    if table in ("feature", "segment", "file"):  # others change ids, or the code
        assert found == before
    else:
        assert [len(each) for each in found] == [len(each) for each in before]


def test_rows_on_whole_pages_are_saved_and_the_lost_ones_counted(library_file: Path) -> None:
    with closing(sqlite3.connect(library_file)) as sql:
        (count,) = sql.execute("SELECT count(*) FROM feature").fetchone()
    _root, *leaves = _pages(library_file, "feature")
    assert len(leaves) > 1
    _scribble(library_file, leaves[:1])
    report = _doctor(library_file, repair=True)
    (note,) = [note for note in report.notes if "what could be read" in note]
    found = re.search(r"feature (\d+) \(lost: (\d+)\)", note)
    assert found is not None, note
    kept, lost = map(int, found.groups())
    assert kept + lost == count
    assert 0 < kept < count


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"CREATE TABLE keyword (", b"CREATE TABLE keywerd ("),
        (b"relative_path TEXT", b"relativf_path TEXT"),
        (b"REFERENCES encoder (id)", b"REFERENCES encodmr (id)"),
    ],
)
def test_a_damaged_name_in_the_description_of_tables_costs_no_row(
    library_file: Path, answers, right: bytes, wrong: bytes
) -> None:
    with Library.open(library_file) as library:
        before = answers(library)
    content = library_file.read_bytes()
    assert right in content
    library_file.write_bytes(content.replace(right, wrong, 1))
    try:
        library = Library.open(library_file)
    except LibraryError:  # an index or a constraint still has the right name: SQLite refuses it
        return
    with library:
        assert not library.doctor().healthy
        report = library.doctor(repair=True)
    assert report.recovered is not None
    (note,) = [note for note in report.notes if "what could be read" in note]
    assert "lost" not in note
    with Library.open(report.recovered) as library:
        assert library.doctor().findings == []
        assert answers(library) == before


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32))
def test_flipped_bits_anywhere_end_in_a_sound_library(made: Path, photos: Path, seed: int) -> None:
    """In the file itself, or in the one that was recovered; all pages but the first are flipped."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "library.db"
        content = bytearray((made / "library.db").read_bytes())
        for _ in range(chance.choice((1, 1, 3, 30))):
            content[chance.randrange(4096, len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
        try:
            library = Library.open(file)
        except LibraryError:  # the page that tells the format: refused, and not touched
            assert file.read_bytes() == content
            return
        with library:
            library.doctor()
            assert file.read_bytes() == content
            report = library.doctor(repair=True)
        assert report.healthy or report.recovered is not None, report.findings
        with Library.open(report.recovered or file) as library:
            assert library.doctor().findings == []
            library.index([photos], captions=photos / "captions.csv", encoder="toy")
            assert library.doctor(files=True).findings == []
            assert len(library.search("red", k=40)) == 30
