"""What a purge takes out of a library, and what it leaves."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from toy import ToyEncoder, other_toy
from toy_room import open_room

from xmodal.errors import UsageError
from xmodal.ingest.purge import purge
from xmodal.library import Library
from xmodal.store.database import Database
from xmodal.store.models import (
    Caption,
    Capture,
    Feature,
    File,
    HasherRecord,
    Item,
    ItemKeyword,
    Keyword,
    Volume,
)
from xmodal.store.segments import count_codes

Save = Callable[..., Path]


@pytest.fixture
def library(tmp_path: Path, photo_folder: Path, captions_file: Path) -> Library:
    """Thirty pictures with a caption and two keywords each; the reds say "red" alone."""
    library = Library.open(tmp_path / "data" / "library.db")
    library.index([photo_folder], captions=captions_file, encoder="toy")
    return library


def _counts(library: Library) -> dict[str, int]:
    database = Database.open(library.path)
    with database.session() as session:
        tables = (File, Item, Caption, Keyword, ItemKeyword, Feature, Capture, Volume)
        counts = {
            t.__tablename__: session.scalar(select(func.count()).select_from(t)) or 0
            for t in tables
        }
        hasher = session.scalar(select(HasherRecord.id).where(HasherRecord.state == "active"))
        for modality in ("image", "text"):
            counts[f"{modality} codes"] = count_codes(session, hasher or 0, modality)
    assert database.check() == []
    database.close()
    return counts


def test_deleted_files_and_what_only_they_had_are_removed(
    library: Library, photo_folder: Path
) -> None:
    before = _counts(library)
    for path in photo_folder.glob("*/00.*"):  # all that is red
        path.unlink()
    library.index()
    expected = library.purge(dry_run=True)
    assert (expected.files, expected.pictures) == ({"missing": 3}, 3)
    assert (expected.captions, expected.keywords) == (3, 6)
    kept = _counts(library)
    assert kept["item"] == before["item"]
    report = library.purge()
    assert report.files == expected.files
    assert report.pictures == 3
    after = _counts(library)
    # Three pictures, the caption "a red sheet" and the keyword "red"; "warm" is still in use.
    assert before["item"] - after["item"] == 5
    assert before["keyword"] - after["keyword"] == 1
    assert before["item_keyword"] - after["item_keyword"] == 6
    assert (after["file"], after["feature"]) == (27, before["feature"] - 5)
    assert (after["image codes"], after["text codes"]) == (27, before["text codes"] - 2)
    assert len(library.search("red", k=100)) == 27
    assert "red" not in [found.text for found in library.annotate(photo_folder / "0" / "01.jpg")]
    assert library.purge().files == {}
    assert library.index().unchanged == 27


def test_a_picture_that_another_file_shows_stays(library: Library, photo_folder: Path) -> None:
    shutil.copy(photo_folder / "0" / "00.jpg", photo_folder / "copy.jpg")
    library.index()
    (photo_folder / "0" / "00.jpg").unlink()
    library.index()
    report = library.purge()
    assert (report.files, report.pictures) == ({"missing": 1}, 0)
    assert photo_folder / "copy.jpg" in [found.path for found in library.search("red")]
    assert _counts(library)["caption"] == 30


def test_what_an_edited_picture_showed_before_goes(
    library: Library, photo_folder: Path, save_picture: Save
) -> None:
    save_picture(photo_folder / "0" / "00.jpg", "purple", seed=99)
    library.index()
    report = library.purge()
    assert (report.files, report.pictures, report.captions) == ({}, 1, 1)
    assert _counts(library)["image codes"] == 30


def test_what_is_offline_stays_unless_it_is_named(
    library: Library, photo_folder: Path, tmp_path: Path, save_picture: Save
) -> None:
    other = save_picture(tmp_path / "other" / "a.png", "red", seed=90).parent
    library.index([other])
    photo_folder.rename(tmp_path / "away")
    library.index()
    assert library.purge().files == {}
    assert len(library.search("red", k=100)) == 31
    report = library.purge([photo_folder])
    assert (report.files, report.pictures) == ({"offline": 30}, 30)
    assert report.freed > 0
    counts = _counts(library)
    assert (counts["file"], counts["volume"], counts["image codes"]) == (1, 1, 1)
    assert (counts["caption"], counts["keyword"], counts["text codes"]) == (0, 0, 0)
    assert library.index().unchanged == 1


def test_a_part_of_a_folder_can_be_forgotten_and_comes_back_with_an_index(
    library: Library, photo_folder: Path
) -> None:
    with pytest.raises(UsageError, match="knows no pictures there"):
        library.purge([photo_folder / "3"])
    assert library.purge([photo_folder / "1"]).files == {"present": 10}
    counts = _counts(library)
    assert (counts["file"], counts["volume"], counts["image codes"]) == (20, 1, 20)
    assert not any("/1/" in found.path.as_posix() for found in library.search("red", k=100))
    report = library.index()
    assert (report.indexed, report.unchanged) == (10, 20)


def test_a_forgotten_present_file_takes_the_code_of_a_picture_that_only_a_missing_one_names(
    library: Library, photo_folder: Path
) -> None:
    shutil.copytree(photo_folder / "0", photo_folder / "copy")
    library.index()
    (photo_folder / "0" / "00.jpg").unlink()
    library.index()
    library.purge([photo_folder / "copy"])
    counts = _counts(library)
    assert (counts["file"], counts["image codes"]) == (30, 29)
    # It comes back from its record, without being decoded.
    (photo_folder / "copy" / "00.jpg").rename(photo_folder / "0" / "00.jpg")
    shutil.rmtree(photo_folder / "copy")
    report = library.index()
    assert (report.indexed, report.moved, report.unchanged) == (0, 1, 29)


def test_words_of_a_forgotten_copy_leave_the_picture_that_stays(
    library: Library, photo_folder: Path
) -> None:
    shutil.copytree(photo_folder / "0", photo_folder / "copy")
    (photo_folder / "copy" / "00.txt").write_text("only beside the copy")
    library.index()
    said = [found.text for found in library.annotate(photo_folder / "0" / "00.jpg", k=30)]
    assert "only beside the copy" in said
    (photo_folder / "copy" / "00.txt").unlink()
    library.purge([photo_folder / "copy"])
    shutil.rmtree(photo_folder / "copy")
    library.index()
    said = [found.text for found in library.annotate(photo_folder / "0" / "00.jpg", k=30)]
    assert "only beside the copy" not in said


def test_codes_of_every_feature_space_go(tmp_path: Path, photo_folder: Path) -> None:
    rooms = [open_room(tmp_path / "two.db", encoder) for encoder in (ToyEncoder(), other_toy())]
    for room in rooms:
        room.index(photo_folder)
    purge(rooms[0].database, [photo_folder / "0"], dry_run=False, notify=print)
    for room in rooms:
        assert len(room.coded()) == 20
        assert room.coded() == room.live()
    with rooms[0].database.session() as session:
        assert session.scalar(select(func.count()).select_from(Feature)) == 40
    assert rooms[0].database.check() == []
    for room in rooms:
        room.database.close()
