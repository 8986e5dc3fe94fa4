"""Files that cannot be read: listed with a reason, never in the way of the others."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from toy_room import ToyRoom

from xmodal.ingest import pipeline, survey
from xmodal.ingest.decoders import Decoders
from xmodal.store.models import File

Save = Callable[..., Path]
Opened = dict[str, int]


def _spoil(path: Path, part: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])


def test_truncated_picture_is_listed_and_the_rest_goes_on(
    room: ToyRoom, photo_folder: Path
) -> None:
    _spoil(photo_folder / "0" / "05.jpg")
    (photo_folder / "empty.png").write_bytes(b"")
    (photo_folder / "page.jpg").write_text("<html>not a picture</html>")
    counts = room.index(photo_folder)
    assert (counts.indexed, counts.failed) == (29, 3)
    reasons = {f.path.relative_to(photo_folder).as_posix(): f.reason for f in counts.failures}
    assert reasons["0/05.jpg"].startswith("truncated")
    assert reasons["empty.png"] == "empty file"
    assert reasons["page.jpg"].startswith("not an image")
    assert room.files()["empty.png"] == "failed"
    assert room.coded() == room.live()


def test_failed_file_is_not_read_again_but_listed_again(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    _spoil(photo_folder / "0" / "05.jpg")
    first = room.index(photo_folder)
    before = dict(opened)
    second = room.index(photo_folder)
    assert opened == before
    assert second.failures == first.failures
    assert (second.unchanged, second.failed) == (29, 1)


def test_failed_file_is_tried_again_with_another_decoder(
    room: ToyRoom, photo_folder: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(photo_folder / "0" / "05.jpg")
    room.index(photo_folder)
    for module in (survey, pipeline):
        monkeypatch.setattr(module, "decoder_versions", lambda: "xmodal 99, Pillow 99")
    decoded = opened["decoded"]
    assert room.index(photo_folder).failed == 1
    assert opened["decoded"] == decoded + 1


def test_failed_file_is_indexed_once_it_is_repaired(
    room: ToyRoom, photo_folder: Path, save_picture: Save
) -> None:
    path = photo_folder / "0" / "05.jpg"
    _spoil(path)
    room.index(photo_folder)
    save_picture(path, "green", seed=4)
    counts = room.index(photo_folder)
    assert (counts.indexed, counts.failed) == (1, 0)
    assert room.files()["0/05.jpg"] == "present"
    with room.database.session() as session:
        assert session.scalars(select(File.reason).where(File.reason.is_not(None))).all() == []


def test_picture_that_becomes_unreadable_loses_its_code(room: ToyRoom, photo_folder: Path) -> None:
    room.index(photo_folder)
    _spoil(photo_folder / "0" / "05.jpg")
    counts = room.index(photo_folder)
    assert (counts.indexed, counts.unchanged, counts.removed, counts.failed) == (0, 29, 0, 1)
    assert len(room.coded()) == 29
    assert room.coded() == room.live()


def test_copies_of_a_broken_picture_are_decoded_once(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    _spoil(photo_folder / "0" / "05.jpg")
    for number in range(8):
        shutil.copy(photo_folder / "0" / "05.jpg", photo_folder / f"copy{number}.jpg")
    assert room.index(photo_folder).failed == 9
    assert opened["decoded"] == 30
    (photo_folder / "copy0.jpg").rename(photo_folder / "renamed.jpg")
    assert room.index(photo_folder).failed == 9
    assert opened["decoded"] == 30


def test_file_that_changes_while_it_is_read_is_tried_again_next_time(
    room: ToyRoom, photo_folder: Path, save_picture: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo_folder / "0" / "05.jpg"
    real = Decoders.decode
    number = iter(range(1000))

    def meanwhile(decoders: Decoders, file: Path, min_side: int) -> object:
        picture = real(decoders, file, min_side)
        if file == path:
            save_picture(path, "pink", seed=100 + next(number), size=(50, 50 + next(number)))
        return picture

    monkeypatch.setattr(Decoders, "decode", meanwhile)
    counts = room.index(photo_folder)
    assert counts.indexed == 29
    assert [failure.reason for failure in counts.failures] == ["changed while being read"]
    monkeypatch.setattr(Decoders, "decode", real)
    counts = room.index(photo_folder)
    assert (counts.indexed, counts.unchanged, counts.failed) == (1, 29, 0)


def test_file_that_vanishes_during_the_run_is_listed(
    room: ToyRoom, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline.compare

    def meanwhile(*args: object, **options: object) -> object:
        compared = real(*args, **options)
        (photo_folder / "0" / "05.jpg").unlink()
        return compared

    monkeypatch.setattr(pipeline, "compare", meanwhile)
    counts = room.index(photo_folder)
    assert (counts.indexed, counts.failed) == (29, 1)
    assert "No such file" in counts.failures[0].reason


def test_a_broken_link_is_listed(room: ToyRoom, photo_folder: Path) -> None:
    (photo_folder / "link.jpg").symlink_to(photo_folder / "nowhere.jpg")
    for _ in range(2):
        counts = room.index(photo_folder)
        assert [failure.path for failure in counts.failures] == [photo_folder / "link.jpg"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_pictures_below_an_unreadable_folder_are_not_taken_for_deleted(
    room: ToyRoom, photo_folder: Path
) -> None:
    room.index(photo_folder)
    (photo_folder / "0").chmod(0)
    counts = room.index(photo_folder)
    (photo_folder / "0").chmod(0o700)
    assert (counts.unchanged, counts.removed, counts.failed) == (20, 0, 1)
    assert "cannot be read" in counts.failures[0].reason
    assert len(room.coded()) == 30


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_unreadable_file_is_indexed_once_it_can_be_read(room: ToyRoom, photo_folder: Path) -> None:
    path = photo_folder / "0" / "05.jpg"
    path.chmod(0)
    counts = room.index(photo_folder)
    assert "Permission denied" in counts.failures[0].reason
    path.chmod(0o600)
    assert room.index(photo_folder).indexed == 1
