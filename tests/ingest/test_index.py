"""The index run: what it does the first time, and what it need not do again."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select
from toy import ToyEncoder, other_toy
from toy_room import ToyRoom, open_room

from xmodal.errors import UsageError
from xmodal.ingest import pipeline
from xmodal.ingest.report import IndexCounts, Progress
from xmodal.store.models import Feature, File, Item, Volume

Save = Callable[..., Path]
Opened = dict[str, int]


def _counts(counts: IndexCounts) -> tuple[int, int, int, int, int]:
    return counts.indexed, counts.unchanged, counts.moved, counts.removed, counts.failed


def _consistent(room: ToyRoom) -> bool:
    """Every present picture has one code, and nothing else has any."""
    return room.coded() == room.live()


def test_every_picture_is_indexed_once(room: ToyRoom, photo_folder: Path) -> None:
    counts = room.index(photo_folder)
    assert _counts(counts) == (30, 0, 0, 0, 0)
    assert len(room.files()) == 30
    assert set(room.files().values()) == {"present"}
    assert len(room.live()) == 30
    assert _consistent(room)
    with room.database.session() as session:
        assert session.scalar(select(func.count()).select_from(Feature)) == 30
        sizes = {tuple(row) for row in session.execute(select(Item.width, Item.height))}
        assert sizes == {(48, 40)}


def test_second_run_opens_no_file(room: ToyRoom, photo_folder: Path, opened: Opened) -> None:
    room.index(photo_folder)
    assert opened == {"hashed": 30, "decoded": 30}
    assert _counts(room.index(photo_folder)) == (0, 30, 0, 0, 0)
    assert opened == {"hashed": 30, "decoded": 30}
    assert room.encoder.pictures_encoded == 30


def test_ids_follow_the_order_of_the_walk(room: ToyRoom, photo_folder: Path) -> None:
    room.index(photo_folder)
    with room.database.session() as session:
        paths = session.scalars(select(File.relative_path).order_by(File.item_id)).all()
    assert paths == sorted(paths)


def test_renamed_file_is_not_decoded_again(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    (photo_folder / "0" / "00.jpg").rename(photo_folder / "1" / "renamed.jpg")
    assert _counts(room.index(photo_folder)) == (0, 29, 1, 0, 0)
    assert opened == {"hashed": 31, "decoded": 30}
    assert len(room.files()) == 30  # the record moved with the file
    assert room.files()["1/renamed.jpg"] == "present"
    assert _consistent(room)


def test_renamed_folder_is_not_decoded_again(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    (photo_folder / "0").rename(photo_folder / "holiday")
    assert _counts(room.index(photo_folder)) == (0, 20, 10, 0, 0)
    assert opened["decoded"] == 30
    assert len(room.files()) == 30
    assert _consistent(room)


def test_copy_is_recognised_and_shares_the_picture(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    shutil.copy(photo_folder / "0" / "00.jpg", photo_folder / "copy.jpg")
    assert _counts(room.index(photo_folder)) == (0, 30, 1, 0, 0)
    assert opened["decoded"] == 30
    assert len(room.files()) == 31
    assert len(room.live()) == 30
    assert _consistent(room)


def test_copies_in_the_first_run_are_decoded_once(
    room: ToyRoom, tmp_path: Path, save_picture: Save, opened: Opened
) -> None:
    original = save_picture(tmp_path / "photos" / "a.png", "red")
    for number in range(9):
        shutil.copy(original, original.with_name(f"b{number}.png"))
    assert _counts(room.index(tmp_path / "photos")) == (1, 0, 9, 0, 0)
    assert opened["decoded"] == 1
    assert _consistent(room)


def test_touched_file_is_hashed_and_unchanged(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    os.utime(photo_folder / "0" / "00.jpg", (1, 1))
    assert _counts(room.index(photo_folder)) == (0, 30, 0, 0, 0)
    assert opened == {"hashed": 31, "decoded": 30}
    room.index(photo_folder)
    assert opened["hashed"] == 31


def test_edited_picture_is_encoded_again_and_its_old_content_is_no_longer_found(
    room: ToyRoom, photo_folder: Path, save_picture: Save
) -> None:
    room.index(photo_folder)
    before = set(room.live())
    save_picture(photo_folder / "0" / "00.jpg", "purple", seed=99)
    assert _counts(room.index(photo_folder)) == (1, 29, 0, 0, 0)
    assert len(before - set(room.live())) == 1
    assert _consistent(room)


def test_pictures_that_change_places_are_not_decoded_again(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    one, other, third = photo_folder / "0/00.jpg", photo_folder / "0/01.jpg", photo_folder / "0/x"
    one.rename(third)
    other.rename(one)
    third.rename(other)
    for path in (one, other):
        os.utime(path, (5, 5))
    assert _counts(room.index(photo_folder)) == (0, 28, 2, 0, 0)
    assert opened["decoded"] == 30
    assert _consistent(room)


def test_deleted_picture_loses_its_code_and_gets_it_back_without_decoding(
    room: ToyRoom, photo_folder: Path, tmp_path: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    codes = room.coded()
    (photo_folder / "0" / "00.jpg").rename(tmp_path / "aside.jpg")
    assert _counts(room.index(photo_folder)) == (0, 29, 0, 1, 0)
    assert room.files()["0/00.jpg"] == "missing"
    assert len(room.coded()) == 29
    assert _consistent(room)
    assert _counts(room.index(photo_folder)) == (0, 29, 0, 0, 0)  # told once
    (tmp_path / "aside.jpg").rename(photo_folder / "0" / "00.jpg")
    assert _counts(room.index(photo_folder)) == (0, 29, 1, 0, 0)
    assert opened["decoded"] == 30
    assert room.coded() == codes


def test_deleting_one_of_two_copies_keeps_the_code(room: ToyRoom, photo_folder: Path) -> None:
    shutil.copy(photo_folder / "0" / "00.jpg", photo_folder / "copy.jpg")
    room.index(photo_folder)
    (photo_folder / "copy.jpg").unlink()
    assert room.index(photo_folder).removed == 1
    assert len(room.coded()) == 30
    assert _consistent(room)


def test_vanished_folder_is_not_emptied(room: ToyRoom, photo_folder: Path) -> None:
    room.index(photo_folder)
    photo_folder.rename(photo_folder.with_name("elsewhere"))
    with pytest.raises(UsageError, match="no such folder"):
        room.index(photo_folder)
    photo_folder.mkdir()  # a mount point without its drive
    with pytest.raises(UsageError, match="holds no pictures"):
        room.index(photo_folder)
    assert set(room.files().values()) == {"present"}
    assert len(room.coded()) == 30


def test_another_drive_at_the_same_place_does_not_empty_the_first(
    room: ToyRoom, photo_folder: Path, save_picture: Save
) -> None:
    room.index(photo_folder)
    photo_folder.rename(photo_folder.with_name("elsewhere"))
    save_picture(photo_folder / "new.png", "red", seed=77)
    counts = room.index(photo_folder)
    assert _counts(counts) == (1, 0, 0, 0, 0)
    assert "none of the 30 pictures" in counts.notes[0]
    assert len(room.coded()) == 31


def test_folder_without_pictures_leaves_nothing_behind(room: ToyRoom, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(UsageError, match="holds no pictures"):
        room.index(tmp_path / "notes")
    with room.database.session() as session:
        assert session.scalar(select(func.count()).select_from(Volume)) == 0


def test_folder_inside_a_known_one_is_a_part_of_it(
    room: ToyRoom, photo_folder: Path, save_picture: Save
) -> None:
    room.index(photo_folder)
    (photo_folder / "1" / "00.png").unlink()
    (photo_folder / "0" / "00.jpg").unlink()
    save_picture(photo_folder / "0" / "new.jpg", "red", seed=88)
    assert _counts(room.index(photo_folder / "0")) == (1, 9, 0, 1, 0)
    assert room.files()["0/new.jpg"] == "present"
    assert room.files()["1/00.png"] == "present"  # not looked at
    with room.database.session() as session:
        assert session.scalars(select(Volume.path)).all() == [str(photo_folder)]


def test_names_that_look_like_patterns_are_only_names(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    root = tmp_path / "photos"
    save_picture(root / "a_b" / "1.png", "red")
    save_picture(root / "axb" / "2.png", "blue")
    save_picture(root / "a_b" / "3.png", "green")
    room.index(root)
    (root / "axb" / "2.png").unlink()
    assert _counts(room.index(root / "a_b")) == (0, 2, 0, 0, 0)


def test_folder_around_known_ones_takes_them_over_without_reading_them(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder / "0")
    room.index(photo_folder / "1")
    assert _counts(room.index(photo_folder)) == (10, 20, 0, 0, 0)
    assert opened == {"hashed": 30, "decoded": 30}
    assert set(room.files()) == {
        p.relative_to(photo_folder).as_posix() for p in photo_folder.rglob("*.*")
    }
    with room.database.session() as session:
        assert session.scalars(select(Volume.path)).all() == [str(photo_folder)]
    assert _consistent(room)


def test_a_drive_that_is_not_mounted_below_the_folder_is_not_emptied(
    room: ToyRoom, photo_folder: Path
) -> None:
    room.index(photo_folder / "0")
    shutil.rmtree(photo_folder / "0")
    (photo_folder / "0").mkdir()
    counts = room.index(photo_folder)
    assert _counts(counts) == (20, 0, 0, 0, 0)
    assert len(counts.notes) == 1
    assert len(room.coded()) == 30


def test_single_pictures_can_be_indexed_and_nothing_else_is_touched(
    room: ToyRoom, photo_folder: Path
) -> None:
    folder = photo_folder / "0"
    assert _counts(room.index(folder, only=[folder / "00.jpg"])) == (1, 0, 0, 0, 0)
    only = [folder / "00.jpg", folder / "01.jpg"]
    assert _counts(room.index(folder, only=only)) == (1, 1, 0, 0, 0)
    (folder / "00.jpg").unlink()
    assert _counts(room.index(folder, only=only[1:])) == (0, 1, 0, 0, 0)
    assert room.files() == {"00.jpg": "present", "01.jpg": "present"}


def test_second_feature_space_reads_the_pictures_and_keeps_the_first(
    tmp_path: Path, photo_folder: Path
) -> None:
    first = open_room(tmp_path / "library.db")
    first.index(photo_folder)
    first.database.close()
    second = open_room(tmp_path / "library.db", other_toy())
    assert _counts(second.index(photo_folder)) == (30, 0, 0, 0, 0)
    assert _counts(second.index(photo_folder)) == (0, 30, 0, 0, 0)
    assert _consistent(second)
    with second.database.session() as session:
        assert session.scalar(select(func.count()).select_from(Item)) == 30
        assert session.scalar(select(func.count()).select_from(Feature)) == 60
    second.database.close()


def test_picture_that_returns_in_another_space_is_coded_once(
    tmp_path: Path, photo_folder: Path
) -> None:
    first, second = (open_room(tmp_path / "library.db", e) for e in (ToyEncoder(), other_toy()))
    first.index(photo_folder)
    second.index(photo_folder)
    (photo_folder / "0" / "00.jpg").rename(tmp_path / "aside.jpg")
    first.index(photo_folder)
    (tmp_path / "aside.jpg").rename(photo_folder / "0" / "00.jpg")
    second.index(photo_folder)
    assert _consistent(second)
    first.database.close()
    second.database.close()


def test_upright_and_turned_copies_get_the_same_size(room: ToyRoom, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    root = tmp_path / "photos"
    root.mkdir()
    Image.new("RGB", (40, 64)).save(root / "turned.jpg", exif=exif)
    Image.new("RGB", (64, 40)).save(root / "upright.jpg")
    room.index(root)
    with room.database.session() as session:
        sizes = [tuple(row) for row in session.execute(select(Item.width, Item.height))]
        assert sizes == [(64, 40)] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_are_indexed_and_known_again(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    root = tmp_path / os.fsdecode(b"f\xfcr")
    picture = save_picture(root / "a.png", "red")
    picture.rename(root / os.fsdecode(b"caf\xe9.png"))
    save_picture(root / "sub" / os.fsdecode(b"\xff.png"), "blue")
    assert _counts(room.index(root)) == (2, 0, 0, 0, 0)
    assert _counts(room.index(root)) == (0, 2, 0, 0, 0)
    assert _counts(room.index(root / "sub")) == (0, 1, 0, 0, 0)


def test_progress_counts_every_file_up_to_the_total(room: ToyRoom, photo_folder: Path) -> None:
    (photo_folder / "broken.jpg").write_bytes(b"")
    seen: list[Progress] = []
    room.index(photo_folder, progress=seen.append)
    assert [progress.done for progress in seen] == list(range(32))
    assert [progress.start for progress in seen] == [True] + 31 * [False]
    assert {progress.total for progress in seen} == {31}
    assert seen[-1].failed == 1
    assert seen[0].path == photo_folder
    failed = [(progress.path, progress.reason) for progress in seen if progress.reason]
    assert failed == [(photo_folder / "broken.jpg", "empty file")]
    again: list[Progress] = []
    room.index(photo_folder, progress=again.append)
    assert [(progress.done, progress.failed) for progress in again] == [(31, 1)]


def test_batches_of_every_size_give_the_same_library(
    tmp_path: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = []
    for batch, commit in ((1, 1), (7, 5), (32, 64)):
        monkeypatch.setattr(pipeline, "BATCH", batch)
        monkeypatch.setattr(pipeline, "COMMIT_PICTURES", commit)
        room = open_room(tmp_path / f"{batch}.db")
        room.index(photo_folder)
        codes = room.coded()
        with room.database.session() as session:
            query = select(File.relative_path, File.item_id).order_by(File.relative_path)
            stored.append(([tuple(row) for row in session.execute(query)], codes))
        room.database.close()
    assert stored[0] == stored[1] == stored[2]
