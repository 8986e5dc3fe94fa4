"""Videos in the index: their frames are pictures, and what is known is not decoded again."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import toy_room
from PIL import Image
from sqlalchemy import func, select, text
from toy import ToyEncoder, other_toy
from toy_room import ToyRoom, open_room

from xmodal.encoders.base import Features
from xmodal.ingest import pipeline
from xmodal.ingest.decoders import Decoders
from xmodal.ingest.purge import purge
from xmodal.ingest.report import IndexCounts
from xmodal.library import Library
from xmodal.store.models import Feature, File, Frame, Item

pytest.importorskip("av")

from videos import turn, write_sound

Save = Callable[..., Path]
Opened = dict[str, int]


def _counts(counts: IndexCounts) -> tuple[int, int, int, int, int]:
    return counts.indexed, counts.unchanged, counts.moved, counts.removed, counts.failed


def _frames(room: ToyRoom) -> list[float]:
    with room.database.session() as session:
        return list(session.scalars(select(Frame.seconds).order_by(Frame.seconds)))


def _whole(room: ToyRoom, frames: int) -> None:
    """So many frames are searched, each has one code, and nothing else has any."""
    with room.database.session() as session:
        assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        assert session.execute(text("PRAGMA foreign_key_check")).all() == []
    assert room.coded() == room.live()
    assert len(room.live()) == frames


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos whose frames were decoded, in order."""
    names: list[str] = []
    real = Decoders.frames

    def noting(self: Decoders, path: Path, min_side: int) -> Any:
        names.append(path.name)
        return real(self, path, min_side)

    monkeypatch.setattr(Decoders, "frames", noting)
    return names


@pytest.fixture
def folder(tmp_path: Path, save_video: Save, save_picture: Save) -> Path:
    """A video of three frames, the last of them after a cut, among pictures."""
    root = tmp_path / "photos"
    save_video(root / "clip.mp4", ("red", 3), ("blue", 2))
    save_picture(root / "a.png", "green")
    save_picture(root / "z.png", "yellow")
    return root


def test_every_frame_is_a_picture_of_its_own_and_the_file_shows_the_first(
    room: ToyRoom, folder: Path
) -> None:
    assert _counts(room.index(folder)) == (3, 0, 0, 0, 0)
    assert _frames(room) == pytest.approx([0, 2, 3], abs=0.21)
    _whole(room, 2 + 3)
    with room.database.session() as session:
        first = select(Frame.seconds).join(File, File.item_id == Frame.item_id)
        assert session.scalars(first).all() == [0]
        sizes = select(Item.width, Item.height).join(Frame, Frame.item_id == Item.id)
        assert {tuple(row) for row in session.execute(sizes)} == {(160, 96)}


def test_the_second_run_opens_no_file(
    room: ToyRoom, folder: Path, opened: Opened, decoded: list[str]
) -> None:
    room.index(folder)
    assert _counts(room.index(folder)) == (0, 3, 0, 0, 0)
    assert opened["hashed"] == 3
    assert decoded == ["clip.mp4"]


def test_renamed_and_copied_videos_are_not_decoded_again(
    room: ToyRoom, folder: Path, decoded: list[str]
) -> None:
    room.index(folder)
    frames = len(_frames(room))
    (folder / "clip.mp4").rename(folder / "renamed.MP4")
    assert _counts(room.index(folder)) == (0, 2, 1, 0, 0)
    shutil.copy(folder / "renamed.MP4", folder / "copy.mp4")
    assert _counts(room.index(folder)) == (0, 3, 1, 0, 0)
    assert decoded == ["clip.mp4"]
    _whole(room, 2 + frames)
    (folder / "copy.mp4").unlink()
    assert room.index(folder).removed == 1
    _whole(room, 2 + frames)


def test_copies_in_the_first_run_are_decoded_once(
    room: ToyRoom, folder: Path, decoded: list[str]
) -> None:
    for number in range(3):
        shutil.copy(folder / "clip.mp4", folder / f"copy{number}.mp4")
    assert _counts(room.index(folder)) == (3, 0, 3, 0, 0)
    assert decoded == ["clip.mp4"]
    _whole(room, 2 + len(_frames(room)))


def test_a_deleted_video_loses_the_codes_of_all_its_frames_and_gets_them_back(
    room: ToyRoom, folder: Path, tmp_path: Path, decoded: list[str]
) -> None:
    room.index(folder)
    codes = room.coded()
    (folder / "clip.mp4").rename(tmp_path / "aside.mp4")
    assert _counts(room.index(folder)) == (0, 2, 0, 1, 0)
    _whole(room, 2)
    (tmp_path / "aside.mp4").rename(folder / "clip.mp4")
    assert _counts(room.index(folder)) == (0, 2, 1, 0, 0)
    assert decoded == ["clip.mp4"]
    assert room.coded() == codes


def test_of_an_edited_video_only_the_new_frames_are_found(
    room: ToyRoom, folder: Path, save_video: Save
) -> None:
    room.index(folder)
    before = set(room.live())
    save_video(folder / "clip.mp4", ("purple", 5))
    assert _counts(room.index(folder)) == (1, 2, 0, 0, 0)
    _whole(room, 2 + 3)
    assert len(before & set(room.live())) == 2


def test_a_video_that_becomes_unreadable_is_no_longer_found(room: ToyRoom, folder: Path) -> None:
    room.index(folder)
    (folder / "clip.mp4").write_bytes(b"no video")
    assert _counts(room.index(folder)) == (0, 2, 0, 0, 1)
    _whole(room, 2)


def test_frames_of_a_turned_video_are_upright(
    room: ToyRoom, tmp_path: Path, save_video: Save
) -> None:
    turn(save_video(tmp_path / "photos" / "clip.mp4", ("red", 1)), (0, 1, -1, 0))
    room.index(tmp_path / "photos")
    with room.database.session() as session:
        assert session.execute(select(Item.width, Item.height)).one() == (96, 160)


@pytest.mark.parametrize("suffix", ["mov", "m4v", "mkv", "avi", "3gp", "MTS", "mpg", "webm", "wmv"])
def test_videos_of_every_container_are_indexed(
    suffix: str, room: ToyRoom, tmp_path: Path, save_video: Save
) -> None:
    muxers = {"MTS": ("m2ts", "mpeg2video"), "mpg": ("mpg", "mpeg2video")}
    codecs = {"webm": "libvpx", "wmv": "wmv2"}
    suffix_of, codec = muxers.get(suffix, (suffix, codecs.get(suffix, "mpeg4")))
    path = save_video(tmp_path / f"made.{suffix_of}", ("red", 3), codec=codec, fps=25)
    (tmp_path / "photos").mkdir()
    path.rename(tmp_path / "photos" / f"clip.{suffix}")
    assert _counts(room.index(tmp_path / "photos")) == (1, 0, 0, 0, 0)
    _whole(room, 2)


def test_what_is_no_video_has_its_reason_and_is_not_decoded_again(
    room: ToyRoom, folder: Path, decoded: list[str]
) -> None:
    data = (folder / "clip.mp4").read_bytes()
    (folder / "half.mp4").write_bytes(data[: len(data) // 2])  # its index stood at the end
    write_sound(folder / "sound.mp4")
    for _ in range(2):
        counts = room.index(folder)
        reasons = {failure.path.name: failure.reason for failure in counts.failures}
        assert set(reasons) == {"half.mp4", "sound.mp4"}
        assert reasons["sound.mp4"] == "holds no video"
        assert reasons["half.mp4"].startswith("broken video")
        assert counts.notes == counts.unclear == []
    assert len(decoded) == 3


def test_of_a_video_that_breaks_off_what_came_before_is_found(
    room: ToyRoom, tmp_path: Path, save_video: Save
) -> None:
    path = save_video(tmp_path / "photos" / "clip.mkv", ("red", 20))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert _counts(room.index(tmp_path / "photos")) == (1, 0, 0, 0, 0)
    assert 3 <= len(_frames(room)) <= 8
    _whole(room, len(_frames(room)))


def test_a_second_feature_space_reads_the_frames_and_keeps_the_first(
    tmp_path: Path, folder: Path
) -> None:
    first, second = (open_room(tmp_path / "library.db", e) for e in (ToyEncoder(), other_toy()))
    first.index(folder)
    frames = len(_frames(first))
    assert _counts(second.index(folder)) == (3, 0, 0, 0, 0)
    assert _counts(second.index(folder)) == (0, 3, 0, 0, 0)
    for room in (first, second):
        _whole(room, 2 + frames)
    with second.database.session() as session:
        assert session.scalar(select(func.count()).select_from(Item)) == 2 + frames
        assert session.scalar(select(func.count()).select_from(Feature)) == 2 * (2 + frames)
    first.database.close()
    second.database.close()


def test_a_long_video_passes_in_batches(
    room: ToyRoom, tmp_path: Path, save_video: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = [("red", 0.6), ("blue", 0.6)] * 20
    save_video(tmp_path / "photos" / "clip.mp4", *scenes)
    monkeypatch.setattr(pipeline, "BATCH", 4)
    monkeypatch.setattr(pipeline, "COMMIT_PICTURES", 8)
    saved: list[tuple[int, int]] = []
    real = pipeline.save_batch

    def noting(session: Any, space: Any, volume: int, changes: Any, pictures: Any) -> int:
        saved.append((len(changes), len(pictures)))
        return real(session, space, volume, changes, pictures)

    monkeypatch.setattr(pipeline, "save_batch", noting)
    room.index(tmp_path / "photos")
    assert len(_frames(room)) == 40
    assert max(pictures for _, pictures in saved) <= 8
    assert [changes for changes, _ in saved] == [0] * (len(saved) - 1) + [1]
    _whole(room, 40)


class _Failing(ToyEncoder):
    """It fails when it has seen so many pictures, as an encoder without memory does."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def encode_images(self, images: Sequence[Image.Image]) -> Features:
        if self.pictures_encoded >= self._after:
            raise MemoryError("the encoder ran out of memory")
        return super().encode_images(images)


def test_half_a_video_does_not_count_as_done(
    tmp_path: Path, save_video: Save, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    save_video(tmp_path / "photos" / "clip.mp4", *[("red", 0.6), ("blue", 0.6)] * 10)
    monkeypatch.setattr(pipeline, "BATCH", 4)
    monkeypatch.setattr(pipeline, "COMMIT_PICTURES", 4)
    room = open_room(tmp_path / "library.db", _Failing(after=12))
    with pytest.raises(MemoryError):
        room.index(tmp_path / "photos")
    assert len(_frames(room)) == 12
    assert room.files() == {}
    _whole(room, 0)
    room.database.close()
    again = open_room(tmp_path / "library.db")
    assert _counts(again.index(tmp_path / "photos")) == (1, 0, 0, 0, 0)
    assert len(decoded) == 2
    assert len(_frames(again)) == 20
    _whole(again, 20)
    again.database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_kill_in_the_middle_of_a_video_leaves_nothing_to_repair(
    tmp_path: Path, save_video: Save
) -> None:
    folder, library = tmp_path / "photos", tmp_path / "library.db"
    save_video(folder / "clip.mp4", *[("red", 0.6), ("blue", 0.6)] * 60)
    open_room(library).database.close()
    command = [sys.executable, toy_room.__file__, str(library), str(folder)]
    for least in (1, 30):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ.copy())
        while _stored(library) < least and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        room = open_room(library)
        assert least <= len(_frames(room)) < 120
        assert room.files() == {}
        _whole(room, 0)
        room.database.close()
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
    room = open_room(library)
    assert len(_frames(room)) == 120
    assert room.files() == {"clip.mp4": "present"}
    _whole(room, 120)
    room.database.close()


def _stored(library: Path) -> int:
    """How many frames are committed, as another process sees it."""
    with closing(sqlite3.connect(f"file:{library}?mode=ro", uri=True)) as connection:
        count: int = connection.execute("SELECT count(*) FROM frame").fetchone()[0]
        return count


def test_without_pyav_videos_are_counted_once_and_read_when_it_is_there(
    room: ToyRoom, folder: Path, save_video: Save, monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    room.index(folder)
    frames = len(_frames(room))
    for number in range(3):
        save_video(folder / f"new {number}.mov", ("purple", number + 1))
    with monkeypatch.context() as without:
        without.setattr(pipeline, "pyav_version", lambda: None)
        (folder / "clip.txt").write_text("At the sea", "utf-8")
        for _ in range(2):
            hashed = opened["hashed"]
            counts = room.index(folder)
            assert _counts(counts) == (0, 3, 0, 0, 0)
            assert opened["hashed"] == hashed
            (note,) = counts.notes
            assert '3 videos were left out; videos need PyAV: pip install "xmodal[video]"' in note
        _whole(room, 2 + frames)  # what was read before stays
    counts = room.index(folder)
    assert (counts.indexed, counts.words, counts.notes) == (3, 1, [])
    _whole(room, 2 + len(_frames(room)))


def test_a_folder_of_nothing_but_videos_needs_no_pictures(
    room: ToyRoom, tmp_path: Path, save_video: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_video(tmp_path / "films" / "clip.mp4", ("red", 1))
    with monkeypatch.context() as without:
        without.setattr(pipeline, "pyav_version", lambda: None)
        counts = room.index(tmp_path / "films")
        assert _counts(counts) == (0, 0, 0, 0, 0)
        assert "1 video was left out" in counts.notes[0]
    assert room.index(tmp_path / "films").indexed == 1


def test_a_purge_takes_all_frames_of_a_deleted_video_and_none_of_another(
    room: ToyRoom, folder: Path, save_video: Save
) -> None:
    save_video(folder / "other.mp4", ("green", 3), ("yellow", 2))
    room.index(folder)
    frames = len(_frames(room))
    (folder / "clip.mp4").unlink()
    room.index(folder)
    report = purge(room.database, [], dry_run=False, notify=lambda note: None)
    assert report.files == {"missing": 1}
    assert len(_frames(room)) == frames - report.pictures
    assert report.pictures == 3
    _whole(room, 2 + len(_frames(room)))


def test_a_video_on_a_drive_that_is_away_is_still_found_and_the_library_is_sound(
    folder: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library.db") as library:
        library.index([folder], encoder="toy")
        assert library.doctor(files=True).findings == []
        shown = library.search("blue")[0]
        folder.rename(tmp_path / "unplugged")
        library.index([])
        found = library.search("blue")[0]
        assert (found.path, found.seconds) == (shown.path, shown.seconds)
        assert (shown.available, found.available) == (True, False)
        assert library.doctor(files=True).findings == []
