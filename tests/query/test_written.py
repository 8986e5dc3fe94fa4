"""Results bring what is written about them: the time, a caption, the keywords."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import Image
from toy import COLOURS

from xmodal.library import Library


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010E] = "From the camera"
    exif[0x9C9E] = "harbour;evening".encode("utf-16-le")  # XPKeywords
    exif.get_ifd(0x8769).update({0x9003: "2023:06:15 18:30:00", 0x9011: "+02:00"})
    Image.new("RGB", (48, 40), COLOURS["red"]).save(folder / "red.jpg", exif=exif)
    Image.new("RGB", (48, 40), COLOURS["blue"]).save(folder / "blue.jpg")
    return folder


def test_time_caption_and_keywords_come_with_a_result(tmp_path: Path, photos: Path) -> None:
    with Library.open(tmp_path / "library.db") as library:
        library.index([photos], encoder="toy")
        (red,) = library.search("red", k=1)
        (blue,) = library.search("blue", k=1)
    assert red.taken == datetime(2023, 6, 15, 18, 30, tzinfo=timezone(timedelta(hours=2)))
    assert red.caption == "From the camera"
    assert red.keywords == ("evening", "harbour")
    assert (blue.taken, blue.caption, blue.keywords) == (None, None, ())


def test_a_captions_file_is_believed_before_a_camera(tmp_path: Path, photos: Path) -> None:
    table = tmp_path / "words.csv"
    table.write_text("file,caption,keywords\nred.jpg,Mine,evening;boats\n", encoding="utf-8")
    with Library.open(tmp_path / "library.db") as library:
        library.index([photos], encoder="toy", captions=table)
        (red,) = library.search("red", k=1)
    assert red.caption == "Mine"
    assert red.keywords == ("boats", "evening", "harbour")


def test_every_frame_of_a_video_tells_what_is_said_of_the_video(tmp_path: Path, save_video) -> None:
    folder = tmp_path / "films"
    tags = {"title": "Sunset at the sea"}
    save_video(folder / "clip.mp4", ("red", 4), ("blue", 4), tags=tags)
    with Library.open(tmp_path / "library.db") as library:
        library.index([folder], encoder="toy")
        (found,) = library.search("blue", k=1)
    assert found.seconds >= 4
    assert found.caption == "Sunset at the sea"
