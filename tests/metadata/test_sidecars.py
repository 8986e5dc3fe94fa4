"""Files beside a picture: which belong to it, what they say, and whom to believe."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL.ExifTags import Base
from written import alternatives, bag, exif_bytes, takeout, write_picture, xmp_bytes

from xmodal.metadata import Metadata, read_metadata
from xmodal.metadata.facts import Told
from xmodal.metadata.sidecars import Neighbours
from xmodal.sources import SIDECAR


def _beside(picture: Path) -> list[str]:
    return [s.name for s in Neighbours.in_folder(picture.parent).of(picture.name)]


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "A.JPG.XMP"])
def test_an_xmp_file_belongs_to_the_picture_of_its_name(tmp_path: Path, name: str) -> None:
    path = write_picture(tmp_path / "a.jpg")
    (tmp_path / name).write_bytes(xmp_bytes(bag("dc:subject", "dog"), 'xmp:Rating="-1"'))
    write_picture(tmp_path / "b.jpg")
    found = read_metadata(path)
    assert (found.keywords, found.rating) == ((Told("dog", SIDECAR),), -1)
    assert read_metadata(tmp_path / "b.jpg") == Metadata()


def test_the_name_with_the_suffix_comes_first(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg")
    for name in ("a.xmp", "a.jpg.xmp", "a.txt", "a.jpg.json"):
        (tmp_path / name).write_bytes(b"")
    assert _beside(path) == ["a.jpg.xmp", "a.jpg.json", "a.txt"]


LONG = "Screenshot_20230812-123456_Some Application Name Here.jpg"


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metad.json"),
        ("PXL_20230812_123456789.RAW.jpg", "PXL_20230812_123456789.RAW.jpg.supplemental-me.json"),
        ("IMG_1(2).jpg", "IMG_1.jpg(2).json"),
        ("IMG_1(2).jpg", "IMG_1.jpg.supplemental-metadata(2).json"),
        ("IMG_1-edited.jpg", "IMG_1.jpg.supplemental-metadata.json"),
        (LONG, LONG[:46] + ".json"),
    ],
)  # fmt: skip
def test_takeout_names_are_understood_whole_cut_and_numbered(
    tmp_path: Path, picture: str, sidecar: str
) -> None:
    path = write_picture(tmp_path / picture)
    other = write_picture(tmp_path / "IMG_1(3).jpg")
    (tmp_path / sidecar).write_text(takeout(), encoding="utf-8")
    assert _beside(path) == [sidecar]
    assert _beside(other) == []


def test_what_takeout_says_is_read(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "IMG_1.jpg")
    text = takeout(
        description="Zwei Hunde\nam Strand",
        people=[{"name": "Ada"}, {"name": "Søren"}],
        geoData={"latitude": -33.857, "longitude": 151.21, "altitude": 2.0},
    )
    (tmp_path / "IMG_1.jpg.json").write_text(text, encoding="utf-8")
    found = read_metadata(path)
    assert found.captions == (Told("Zwei Hunde am Strand", SIDECAR),)
    assert [name for name, _ in found.people] == ["Ada", "Søren"]
    assert (found.latitude, found.longitude) == (-33.857, 151.21)
    assert found.taken == datetime(2019, 7, 14, 12, 34, 56, 0, UTC)


def test_takeout_fills_what_the_camera_left_empty(tmp_path: Path) -> None:
    exif = exif_bytes({}, {Base.DateTimeOriginal: "2019:07:14 14:34:56"})
    path = write_picture(tmp_path / "IMG_1.jpg", exif=exif)
    zero = {"latitude": 0.0, "longitude": 0.0}
    text = takeout(geoData=zero, geoDataExif={"latitude": 1.5, "longitude": 2.5})
    (tmp_path / "IMG_1.jpg.json").write_text(text, encoding="utf-8")
    found = read_metadata(path)
    assert found.taken == datetime(2019, 7, 14, 14, 34, 56)  # the wall clock, and no zone
    assert (found.latitude, found.longitude) == (1.5, 2.5)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", '{"title": "a"}', '{"geoData": [], "people": [3, {"name": 4}]}',
        '{"photoTakenTime": {"timestamp": "99999999999999999999"}}', '{"photoTakenTime": 3}',
        '{"geoData": {"latitude": "x", "longitude": NaN}}', "[" * 100_000,
        '{"geoData": {}, "photoTakenTime": {"timestamp": "0"}}',
        '{"geoData": {"latitude": NaN, "longitude": 1.0}}',
    ],
)  # fmt: skip
def test_json_that_says_nothing_is_no_harm(tmp_path: Path, text: str) -> None:
    path = write_picture(tmp_path / "IMG_1.jpg")
    (tmp_path / "IMG_1.jpg.json").write_text(text, encoding="utf-8")
    found = read_metadata(path)
    assert (found.captions, found.people, found.taken, found.latitude) == ((), (), None, None)


def test_a_lone_surrogate_in_json_becomes_a_replacement(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "IMG_1.jpg")
    text = '{"geoData": {}, "description": "a \\ud83d dog \\ud83d\\ude00"}'
    (tmp_path / "IMG_1.jpg.json").write_text(text, encoding="utf-8")
    assert read_metadata(path).captions == (Told("a \ufffd dog 😀", SIDECAR),)


@pytest.mark.parametrize(
    ("data", "caption"),
    [
        (b"A cat.\nde.utf8=Eine Katze.\n", "A cat."),
        (b"\n\nde.utf8=Eine Katze.\nA cat.\n", "A cat."),
        ("\ufeffZürich bei Nacht\r\n".encode(), "Zürich bei Nacht"),
        ("Zürich bei Nacht".encode("utf-16"), "Zürich bei Nacht"),
        ("Zürich bei Nacht".encode("latin-1"), "Zürich bei Nacht"),
    ],
)
def test_the_first_plain_line_of_a_text_file_is_the_caption(
    tmp_path: Path, data: bytes, caption: str
) -> None:
    path = write_picture(tmp_path / "cat.png")
    path.with_suffix(".txt").write_bytes(data)
    assert read_metadata(path).captions == (Told(caption, SIDECAR),)


def test_an_xmp_file_is_believed_before_the_picture_and_the_rest_after_it(tmp_path: Path) -> None:
    exif = exif_bytes(
        {Base.ImageDescription: "From the camera", Base.Model: "ACME 1", 0x4746: 2},
        {Base.DateTimeOriginal: "2019:07:14 12:34:56"},
    )
    path = write_picture(tmp_path / "a.jpg", exif=exif)
    packet = xmp_bytes(
        alternatives("dc:description", x_default="From the catalogue"),
        'xmp:Rating="5" exif:DateTimeOriginal="2018-01-02T03:04:05+01:00"',
    )
    (tmp_path / "a.xmp").write_bytes(packet)
    (tmp_path / "a.txt").write_text("From the text file")
    found = read_metadata(path)
    assert [text for text, _ in found.captions] == [
        "From the catalogue", "From the camera", "From the text file",
    ]  # fmt: skip
    assert (found.rating, found.model) == (5, "ACME 1")
    assert found.taken
    assert found.taken.isoformat() == "2018-01-02T03:04:05+01:00"


def test_a_file_larger_than_any_program_writes_is_refused(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg")
    (tmp_path / "a.xmp").write_bytes(xmp_bytes(bag("dc:subject", "dog")) + b" " * 8_000_000)
    assert read_metadata(path).notes == ("a.xmp cannot be read: larger than 8 MB",)


def test_an_unreadable_sidecar_is_a_note(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg")
    (tmp_path / "a.xmp").write_bytes(b"<x:xmpmeta")
    (tmp_path / "a.jpg.json").write_text("{", encoding="utf-8")
    notes = read_metadata(path).notes
    assert [note.split(" cannot be read: ")[0] for note in notes] == ["a.xmp", "a.jpg.json"]
    (tmp_path / "a.xmp").unlink()
    (tmp_path / "a.xmp").mkdir()
    assert _beside(path) == ["a.jpg.json"]
