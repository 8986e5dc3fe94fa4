"""Whatever happens to a library, the doctor names it, mends it, and leaves alone what is sound."""

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from damages import HARMS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xmodal.errors import LibraryBusyError
from xmodal.library import Library
from xmodal.store.database import Database

Changing = Callable[[Path], Any]
AnswersOf = Callable[[Library], list[Any]]


def content(file: Path) -> bytes:
    """Every byte of a library that nothing has open."""
    assert not file.with_name(f"{file.name}-wal").exists()
    return file.read_bytes()


def backups(file: Path) -> list[Path]:
    return sorted(file.parent.glob("library.backup-repair-*.db"))


def index_again(library: Library, photos: Path) -> None:
    report = library.index([photos], captions=photos / "captions.csv")
    assert not report.failures


def test_a_sound_library_is_neither_changed_nor_copied(library_file: Path) -> None:
    before = content(library_file)
    with Library.open(library_file) as library:
        for repair in (False, True):
            report = library.doctor(repair=repair, files=True)
            assert report.findings == []
            assert report.notes == []
            assert report.healthy
            assert report.backup is None
    assert content(library_file) == before
    assert backups(library_file) == []


@pytest.mark.parametrize("name", HARMS)
def test_damage_is_named_then_mended_and_answers_come_back(
    name: str, library_file: Path, photos: Path, changing: Changing, answers: AnswersOf
) -> None:
    with Library.open(library_file) as library:
        before = answers(library)
    with changing(library_file) as sql:
        HARMS[name].inflict(sql, random.Random(0))
    damaged = content(library_file)
    with Library.open(library_file) as library:
        seen = library.doctor()
        assert HARMS[name].kind in [finding.kind for finding in seen.findings]
        assert {finding.state for finding in seen.findings} == {"found"}
    assert content(library_file) == damaged, "looking changed something"

    with Library.open(library_file) as library:
        report = library.doctor(repair=True)
        assert HARMS[name].kind in [finding.kind for finding in report.findings]
        assert {finding.state for finding in report.findings} == {"repaired"}
        assert backups(library_file) == [report.backup]
        assert library.doctor().findings == []
        assert library.info().problems == []
        if HARMS[name].answers_stay and HARMS[name].kind != "hasher":
            assert answers(library) == before
        index_again(library, photos)
        assert library.doctor(files=True).findings == []
        if HARMS[name].kind != "hasher":
            assert answers(library) == before
        else:
            assert len(library.search("red", k=30)) == 30
    with Library.open(report.backup) as kept:
        assert kept.doctor().findings == seen.findings


def test_several_kinds_of_damage_cost_one_backup(
    library_file: Path, changing: Changing, answers: AnswersOf
) -> None:
    with Library.open(library_file) as library:
        before = answers(library)
    with changing(library_file) as sql:
        for name in ("codes flipped", "no default encoder", "file without picture"):
            HARMS[name].inflict(sql, random.Random(1))
    with Library.open(library_file) as library:
        kinds = [finding.kind for finding in library.doctor(repair=True).findings]
        assert kinds == ["default encoder", "file record", "segment"]
        assert answers(library) == before
    assert len(backups(library_file)) == 1


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.sampled_from(sorted(HARMS)), min_size=1, max_size=4, unique=True),
    st.integers(0, 2**16),
)
def test_any_damage_is_mended_until_every_rule_holds_again(
    made: Path, photos: Path, names: list[str], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "library.db"
        shutil.copy(made / "library.db", file)
        chance = random.Random(seed)
        with closing(sqlite3.connect(file)) as sql, sql:
            for name in names:
                try:
                    HARMS[name].inflict(sql, chance)
                except (sqlite3.IntegrityError, IndexError, ValueError, TypeError):
                    continue  # an earlier harm has left nothing to harm in this way
        with Library.open(file) as library:
            found = library.doctor(repair=True).findings
            assert {finding.state for finding in found} <= {"repaired"}, found
            assert library.doctor().findings == []
            assert library.info().problems == []
            index_again(library, photos)
            assert library.doctor(files=True).findings == []
            assert len(library.search("red", k=30)) == 30


def test_another_process_that_writes_is_not_disturbed(library_file: Path, library: Library) -> None:
    other = Database.open(library_file)
    with other.writer():
        assert library.doctor().healthy
        with pytest.raises(LibraryBusyError, match="another xmodal process"):
            library.doctor(repair=True)
    other.close()


def test_a_code_that_needs_its_encoder_stays_as_it_is_without_it(
    library_file: Path, changing: Changing
) -> None:
    with changing(library_file) as sql:
        sql.execute("UPDATE hasher SET blob = x'00'")
        sql.execute("UPDATE encoder SET spec = 'gone'")
    with Library.open(library_file) as library:
        (finding,) = library.doctor(repair=True).findings
        assert (finding.kind, finding.state) == ("hasher", "remains")
        assert "gone" in finding.remedy
        with library._existing_database().session() as session:
            from xmodal.store.segments import check_segments

            assert check_segments(session) == []


def test_what_waits_is_a_note_and_no_damage(
    library_file: Path, photos: Path, changing: Changing
) -> None:
    with changing(library_file) as sql:
        sql.execute("DELETE FROM feature WHERE item_id IN (SELECT item_id FROM file LIMIT 2)")
        sql.execute("INSERT INTO item (kind, content_hash) VALUES ('image', x'01')")
    partial = library_file.with_name("library.backup-0001-20240101T000000Z.db.partial")
    partial.write_bytes(b"")
    with Library.open(library_file) as library:
        report = library.doctor()
        assert report.healthy
        assert [note.split(";")[0] for note in report.notes] == [
            "2 pictures and 0 texts have no feature of toy:1 yet",
            "1 picture of no file",
            f"{partial}: a copy that was never completed",
        ]
        index_again(library, photos)
        assert len(library.doctor().notes) == 2
