"""EXIF: texts in any encoding, times with the zone that was written, positions, cameras."""

import math
import struct
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import GPS, Base
from written import NONE, exif_bytes, write_picture

from xmodal.metadata import Metadata, read_metadata
from xmodal.sources import EXIF

Rational = TiffImagePlugin.IFDRational


def _read(tmp_path: Path, tags: Any = NONE, shot: Any = NONE, gps: Any = NONE) -> Metadata:
    path = write_picture(tmp_path / "a.jpg", exif=exif_bytes(tags, shot, gps))
    return read_metadata(path)


def _captions(metadata: Metadata) -> list[str]:
    return [text for text, _ in metadata.captions]


def test_a_picture_without_metadata_says_nothing(tmp_path: Path) -> None:
    assert read_metadata(write_picture(tmp_path / "a.jpg")) == Metadata()
    assert read_metadata(write_picture(tmp_path / "a.png")) == Metadata()


def test_what_a_camera_and_windows_write_is_read(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        {
            Base.Make: "NIKON CORPORATION",
            Base.Model: "NIKON D70",
            Base.ImageDescription: "Two dogs",
            Base.XPTitle: "Hunde am Strand 🐕\x00".encode("utf-16-le"),
            Base.XPKeywords: "dog;strand;犬\x00".encode("utf-16-le"),
            0x4746: 4,
        },
        {Base.LensModel: "18.0-70.0 mm f/3.5-4.5"},
    )
    assert _captions(found) == ["Two dogs", "Hunde am Strand 🐕"]
    assert [text for text, _ in found.keywords] == ["dog", "strand", "犬"]
    assert {source for _, source in found.captions + found.keywords} == {EXIF}
    assert (found.camera, found.lens, found.rating) == ("NIKON D70", "18.0-70.0 mm f/3.5-4.5", 4)
    assert found.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_an_ascii_tag_may_hold_another_encoding(tmp_path: Path, encoding: str) -> None:
    found = _read(tmp_path, {Base.ImageDescription: "Zürich bei Nacht".encode(encoding)})
    assert _captions(found) == ["Zürich bei Nacht"]


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\x00\x00\x00caf\xc3\xa9",
        b"\x00" * 8 + "café".encode(),
        b"ASCII\x00\x00\x00caf\xe9\x00\x00\x00   ",
        b"UNICODE\x00" + "café".encode("utf-16-le"),
        b"UNICODE\x00" + "café".encode("utf-16-be"),
        b"UNICODE\x00\xfe\xff" + "café".encode("utf-16-be"),
        b"caf\xc3\xa9 without a code"[:5],
    ],
)
def test_a_comment_is_read_in_the_encoding_that_it_names_or_has(
    tmp_path: Path, comment: bytes
) -> None:
    assert _captions(_read(tmp_path, shot={Base.UserComment: comment})) == ["café"]


def test_a_japanese_comment_is_read(tmp_path: Path) -> None:
    comment = b"JIS\x00\x00\x00\x00\x00" + "桜の花".encode("iso2022_jp")
    assert _captions(_read(tmp_path, shot={Base.UserComment: comment})) == ["桜の花"]


@pytest.mark.parametrize(
    "text",
    [
        "OLYMPUS DIGITAL CAMERA         ",
        "SANYO DIGITAL CAMERA",
        "DCIM\\100MEDIA\\DJI_0012.JPG",
        "IMG_20190714_123456.jpg",
        "DSC01234",
        "ACME Cam 7",
        "Created with GIMP",
        '{"filter": "none", "mode": 3}',
        "filter=0; mode:3;scene:night;",
        "....",
        "   ",
    ],
)
def test_what_a_machine_wrote_is_no_caption(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path, {Base.ImageDescription: text, Base.Model: "ACME Cam 7"}).captions == ()


@pytest.mark.parametrize(
    "text",
    [
        "Left: Ada, right: Zoe",
        "A dog: the best",
        "a=b," * 400 + "and a dog",  # each of these is tried by every pattern, and none takes long
        "\\" * 1_000 + " a dog",
        "{" * 1_000 + "a dog",
        "digital " * 200 + "dog",
        "5e" * 900 + " dog",
    ],
)
def test_what_only_looks_like_a_machines_is_a_caption(tmp_path: Path, text: str) -> None:
    assert _captions(_read(tmp_path, {Base.ImageDescription: text})) == [text]


@pytest.mark.parametrize(
    ("original", "zone", "fraction", "expected"),
    [
        ("2019:07:14 12:34:56", "", "", datetime(2019, 7, 14, 12, 34, 56)),
        (
            "2019:07:14 12:34:56", "+02:00", "25",
            datetime(2019, 7, 14, 12, 34, 56, 250_000, timezone(timedelta(hours=2))),
        ),
        (
            "2019:07:14 12:34:56", "-03:30", "",
            datetime(2019, 7, 14, 12, 34, 56, 0, timezone(-timedelta(hours=3, minutes=30))),
        ),
        ("2019:07:14 12:34:56", "Z", "", datetime(2019, 7, 14, 12, 34, 56, 0, UTC)),
        ("2019:07:14 12:34:56", "   :  ", "", datetime(2019, 7, 14, 12, 34, 56)),
        ("2019:07:14 12:34:56", "+99:00", "", datetime(2019, 7, 14, 12, 34, 56)),
        ("2016:12:31 23:59:60", "Z", "", datetime(2016, 12, 31, 23, 59, 59, 0, UTC)),
        ("0000:00:00 00:00:00", "+02:00", "", None),
        ("    :  :     :  :  ", "", "", None),
        ("2019:13:45 12:34:56", "", "", None),
        ("yesterday", "", "", None),
    ],
)  # fmt: skip
def test_the_time_has_the_zone_that_was_written_and_no_other(
    tmp_path: Path, original: str, zone: str, fraction: str, expected: datetime | None
) -> None:
    shot = {Base.DateTimeOriginal: original}
    if zone:
        shot[Base.OffsetTimeOriginal] = zone
    if fraction:
        shot[Base.SubsecTimeOriginal] = fraction
    found = _read(tmp_path, shot=shot)
    assert found.taken == expected
    if expected is not None:
        assert found.taken is not None
        assert found.taken.tzinfo == expected.tzinfo


def test_satellites_tell_the_time_only_where_the_camera_does_not(tmp_path: Path) -> None:
    gps = {GPS.GPSDateStamp: "2019:07:14", GPS.GPSTimeStamp: (10.0, 34.0, 50.5)}
    assert _read(tmp_path, gps=gps).taken == datetime(2019, 7, 14, 10, 34, 50, 0, UTC)
    found = _read(tmp_path, shot={Base.DateTimeOriginal: "2019:07:14 12:34:56"}, gps=gps)
    assert found.taken == datetime(2019, 7, 14, 12, 34, 56)


def test_the_time_of_the_last_change_is_not_that_of_the_shot(tmp_path: Path) -> None:
    assert _read(tmp_path, {Base.DateTime: "2020:01:01 00:00:00"}).taken is None


def test_a_position_is_in_degrees_south_and_west_negative(tmp_path: Path) -> None:
    gps = {
        GPS.GPSLatitudeRef: "S", GPS.GPSLatitude: (33.0, 51.0, 25.2),
        GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (151.0, 12.6, 0.0),
    }  # fmt: skip
    found = _read(tmp_path, gps=gps)
    assert found.latitude == pytest.approx(-33.857, abs=1e-6)
    assert found.longitude == pytest.approx(151.21, abs=1e-6)


@pytest.mark.parametrize(
    "latitude",
    [
        (0.0, 0.0, 0.0),
        (200.0, 0.0, 0.0),
        (Rational(1, 0), Rational(0, 0), 0.0),
        (),
    ],
)
def test_a_position_that_is_none_is_left_out(tmp_path: Path, latitude: tuple[Any, ...]) -> None:
    gps = {
        GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: latitude,
        GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (0.0, 0.0, 0.0),
    }  # fmt: skip
    found = _read(tmp_path, gps=gps)
    assert (found.latitude, found.longitude) == (None, None)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
def test_every_format_that_holds_exif_gives_it(tmp_path: Path, suffix: str) -> None:
    exif = exif_bytes({Base.ImageDescription: "Zwei Hunde"})
    if suffix == "tiff":
        image = Image.new("RGB", (8, 8))
        image.save(tmp_path / "a.tiff", tiffinfo={270: "Zwei Hunde"})
    elif f".{suffix}" not in Image.registered_extensions():
        pytest.skip(f"this Pillow writes no {suffix}")
    else:
        write_picture(tmp_path / f"a.{suffix}", exif=exif)
    assert _captions(read_metadata(tmp_path / f"a.{suffix}")) == ["Zwei Hunde"]


def test_tags_of_any_size_are_read_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xmodal.metadata.embedded.MAX_BYTES", 20_000)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[37_724] = "Zwei Hunde", b"layers" * 10_000
    tags.tagtype[37_724] = 7
    path = write_picture(tmp_path / "a.tiff", tiffinfo=tags)
    assert path.stat().st_size > 60_000
    assert _captions(read_metadata(path)) == ["Zwei Hunde"]
    exif = exif_bytes({Base.ImageDescription: "Zwei Hunde"})
    path = write_picture(tmp_path / "a.webp", exif=exif)
    assert _captions(read_metadata(path)) == ["Zwei Hunde"]
    path.write_bytes(path.read_bytes() + bytes(20_000))
    assert read_metadata(path) == Metadata()


def test_a_heic_file_gives_exif_and_xmp(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    exif = exif_bytes({Base.ImageDescription: "Zwei Hunde"})
    write_picture(tmp_path / "a.heic", exif=exif)
    assert _captions(read_metadata(tmp_path / "a.heic")) == ["Zwei Hunde"]


@pytest.mark.parametrize("signature", [b"MM\x00*", b"MM\x00U", b"MMOR"])
def test_a_raw_file_that_is_built_as_a_tiff_gives_its_exif(
    tmp_path: Path, signature: bytes
) -> None:
    # What Pillow's reader refuses: a picture without pixels, or another signature.
    block = exif_bytes({Base.Model: "ACME 1"}, {Base.DateTimeOriginal: "2019:07:14 12:34:56"})
    path = tmp_path / "a.orf"
    path.write_bytes(signature + block[10:])
    found = read_metadata(path)
    assert (found.model, found.taken) == ("ACME 1", datetime(2019, 7, 14, 12, 34, 56))


def test_a_raw_file_of_fujifilm_gives_what_its_preview_has(tmp_path: Path) -> None:
    preview = write_picture(tmp_path / "a.jpg", exif=exif_bytes({Base.Model: "X-T9"})).read_bytes()
    head = b"FUJIFILMCCD-RAW ".ljust(84, b"\x00") + struct.pack(">II", 100, len(preview))
    path = tmp_path / "a.raf"
    path.write_bytes(head.ljust(100, b"\x00") + preview)
    assert read_metadata(path).model == "X-T9"
    path.write_bytes(b"FUJIFILMCCD-RAW ".ljust(84, b"\x00") + struct.pack(">II", 0, 100) + head)
    assert read_metadata(path) == Metadata()


def test_a_broken_directory_costs_only_itself(tmp_path: Path) -> None:
    block = exif_bytes(
        {Base.ImageDescription: "Two dogs"}, {Base.DateTimeOriginal: "2019:07:14 12:34:56"}
    )
    place = block.index((0x8769).to_bytes(2, "big")) + 8
    broken = block[:place] + b"\x7f\xff\xff\xff" + block[place + 4 :]
    found = read_metadata(write_picture(tmp_path / "a.jpg", exif=broken))
    assert _captions(found) == ["Two dogs"]
    assert found.taken is None


def test_numbers_that_are_none_are_no_rating(tmp_path: Path) -> None:
    for rating in (0, 6, 65_535):
        assert _read(tmp_path, {0x4746: rating}).rating is None
    assert [_read(tmp_path, {0x4749: p}).rating for p in (1, 25, 50, 75, 99)] == [1, 2, 3, 4, 5]
    assert math.isfinite(_read(tmp_path, {0x4749: 99}).rating or math.nan)
