"""What is said of videos, in and beside them, in the library; and interrupts between frames."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import toy_room
from sqlalchemy import select
from toy_room import ToyRoom, open_room

from xmodal.ingest.decoders import Decoders, DecoderStopped
from xmodal.store.models import Caption, Capture, File, Frame, Item, ItemKeyword, Keyword

pytest.importorskip("av")

Save = Callable[..., Path]
APPLE = "com.apple.quicktime."
# What leads from any frame to what is said of its video, as docs/format.md says.
SAID = (
    select(Frame.seconds, Capture.camera)
    .join(File, File.content_hash == Frame.content_hash)
    .join(Capture, Capture.item_id == File.item_id)
)


@pytest.fixture
def clip(tmp_path: Path, save_video: Save) -> Path:
    tags = {
        "title": "At the sea",
        "keywords": "beach",
        f"{APPLE}creationdate": "2023-07-14T12:34:56+0200",
        f"{APPLE}location.ISO6709": "+48.1372+011.5755/",
        f"{APPLE}model": "iPhone 12",
    }
    return save_video(tmp_path / "photos" / "IMG_1.MOV", ("red", 5), tags=tags)


def _words(room: ToyRoom) -> set[tuple[str, str]]:
    with room.database.session() as session:
        captions = select(Item.text, Caption.source).join(Caption, Caption.text_item_id == Item.id)
        keywords = select(Keyword.name, ItemKeyword.source).join(
            ItemKeyword, ItemKeyword.keyword_id == Keyword.id
        )
        rows = [*session.execute(captions), *session.execute(keywords)]
        return {(text or "", source) for text, source in rows}


def test_time_place_camera_and_words_of_a_video_are_kept_for_all_its_frames(
    room: ToyRoom, clip: Path
) -> None:
    assert room.index(clip.parent).words == 2
    assert _words(room) == {("At the sea", "video"), ("beach", "video")}
    with room.database.session() as session:
        capture = session.scalars(select(Capture)).one()
        assert capture.taken_at == datetime(2023, 7, 14, 12, 34, 56)
        assert (capture.taken_offset, capture.latitude) == (120, 48.1372)
        assert sorted(session.execute(SAID).all()) == [(s, "iPhone 12") for s in (0, 2, 4)]


def test_sidecars_of_a_video_are_read_again_when_they_change_and_nothing_is_decoded(
    room: ToyRoom, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.index(clip.parent)
    monkeypatch.delattr(Decoders, "frames")
    takeout = clip.with_name("IMG_1.MOV.json")
    taken = {"photoTakenTime": {"timestamp": "1689330896"}}
    takeout.write_text(json.dumps({**taken, "description": "Waves"}))
    assert room.index(clip.parent).words == 1
    assert ("Waves", "sidecar") in _words(room)
    takeout.unlink()
    counts = room.index(clip.parent)
    assert (counts.unchanged, counts.failed) == (1, 0)
    assert _words(room) == {("At the sea", "video"), ("beach", "video")}
    clip.rename(clip.with_name("renamed.mov"))
    assert room.index(clip.parent).moved == 1
    assert len(_words(room)) == 2


def test_a_photo_and_the_video_taken_with_it_are_both_there(
    room: ToyRoom, clip: Path, save_picture: Save
) -> None:
    save_picture(clip.with_suffix(".jpg"), "red")
    assert room.index(clip.parent).indexed == 2
    assert room.coded() == room.live()
    assert len(room.live()) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_between_frames_keeps_what_was_done_and_ends_the_decoders(
    tmp_path: Path, save_video: Save, save_picture: Save
) -> None:
    folder, library = tmp_path / "photos", tmp_path / "library.db"
    for number in range(8):
        save_picture(folder / f"{number}.png", "green", seed=number)
    save_video(folder / "clip.mp4", *[("red", 0.6), ("blue", 0.6)] * 60)
    process = subprocess.Popen(
        [sys.executable, toy_room.__file__, str(library), str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip
    assert process.stdout is not None
    while process.stdout.readline() != "8 9\n":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    # It ends only when nobody holds its pipes any more, decoders included.
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    room = open_room(library)
    assert set(room.files()) == {f"{number}.png" for number in range(8)}
    assert room.coded() == room.live()
    counts = room.index(folder)
    assert (counts.indexed, counts.unchanged) == (1, 8)
    assert len(room.live()) == 8 + 120
    room.database.close()


def test_tags_that_a_stopped_decoder_did_not_tell_are_read_by_the_next_run(
    room: ToyRoom, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Decoders, path: Path) -> dict[str, str]:
        raise DecoderStopped("its decoder was ended")

    with monkeypatch.context() as unlucky:
        unlucky.setattr(Decoders, "video_tags", stopped)
        counts = room.index(clip.parent)
        assert (counts.indexed, counts.words, counts.failed) == (1, 0, 0)
    monkeypatch.delattr(Decoders, "frames")
    counts = room.index(clip.parent)
    assert (counts.unchanged, counts.words) == (1, 2)
