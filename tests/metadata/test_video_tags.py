"""What videos say about themselves."""

import struct
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import bag, xmp_bytes

from xmodal.metadata import read_metadata
from xmodal.metadata.video import read_video_tags

APPLE = "com.apple.quicktime."


def _texts(told: object) -> list[str]:
    return [each.text for each in told]  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", ["mov", "mp4"])
def test_a_phone_says_when_where_and_with_what(suffix: str, tmp_path: Path, save_video) -> None:
    path = save_video(
        tmp_path / f"IMG_1.{suffix}",
        ("red", 1),
        tags={
            f"{APPLE}location.ISO6709": "+48.1372+011.5755+519.000/",
            f"{APPLE}creationdate": "2023-07-14T12:34:56+0200",
            f"{APPLE}make": "Apple",
            f"{APPLE}model": "iPhone 12",
            "creation_time": "2023-07-14T10:34:56.000000Z",
            "title": "At the sea",
            "keywords": "beach, summer;beach",
        },
    )
    found = read_metadata(path)
    assert found.taken == datetime(2023, 7, 14, 12, 34, 56, tzinfo=timezone(timedelta(hours=2)))
    assert found.taken.hour == 12
    assert (found.latitude, found.longitude) == (48.1372, 11.5755)
    assert found.camera == "Apple iPhone 12"
    assert _texts(found.captions) == ["At the sea"]
    assert _texts(found.keywords) == ["beach", "summer"]
    assert {told.source for told in (*found.captions, *found.keywords)} == {"video"}
    assert not found.notes


def test_without_apples_tags_the_time_is_utc(tmp_path: Path, save_video) -> None:
    path = save_video(
        tmp_path / "a.mkv", ("red", 1), tags={"creation_time": "2023-07-14T10:34:56.000000Z"}
    )
    assert read_metadata(path).taken == datetime(2023, 7, 14, 10, 34, 56, tzinfo=UTC)


def test_xmp_in_an_mp4_and_beside_it_is_read(tmp_path: Path, save_video) -> None:
    path = save_video(tmp_path / "a.mp4", ("red", 1))
    packet = xmp_bytes(bag("dc:subject", "beach"))
    box = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC") + packet  # XMP specification, part 3
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 8 + len(box), b"uuid") + box)
    (tmp_path / "a.xmp").write_bytes(xmp_bytes(bag("dc:subject", "evening")))
    found = {(told.text, told.source) for told in read_metadata(path).keywords}
    assert found == {("beach", "xmp"), ("evening", "sidecar")}


def test_what_is_no_video_says_so_in_a_note(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (note,) = read_metadata(tmp_path / "a.mp4").notes
    assert "broken video" in note


@pytest.mark.parametrize(
    "written", ["1904-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z", "", "soon"]
)
def test_a_clock_that_was_never_set_says_nothing(written: str) -> None:
    assert read_video_tags({"creation_time": written}).taken is None


def test_ratings_and_lenses_are_apples() -> None:
    found = read_video_tags(
        {
            f"{APPLE}rating.user": "4.0",
            f"{APPLE}camera.lens_model": "iPhone 12 back camera 4.2mm f/1.6",
            "com.android.manufacturer": "Google",
            "com.android.model": "Pixel 7",
        }
    )
    assert (found.rating, found.lens) == (4, "iPhone 12 back camera 4.2mm f/1.6")
    assert found.camera == "Google Pixel 7"


@given(
    st.floats(-90, 90, allow_nan=False).filter(lambda value: abs(value) > 1e-4),
    st.floats(-180, 180, allow_nan=False),
)
def test_positions_in_degrees_minutes_and_seconds_are_the_same(north: float, east: float) -> None:
    def parts(value: float, digits: int, units: int) -> str:
        sign = "-" if value < 0 else "+"
        whole, rest = int(abs(value)), abs(value) % 1
        if units == 1:
            return f"{sign}{abs(value):0{digits + 8}.7f}"
        if units == 2:
            return f"{sign}{whole:0{digits}d}{min(60 * rest, 59.9999999):010.7f}"
        minutes = int(60 * rest)
        seconds = min(3600 * rest - 60 * minutes, 59.999999)
        return f"{sign}{whole:0{digits}d}{minutes:02d}{seconds:09.6f}"

    for units in (1, 2, 3):
        position = f"{parts(north, 2, units)}{parts(east, 3, units)}+12.3/"
        found = read_video_tags({"location": position})
        assert found.latitude == pytest.approx(north, abs=2e-7)
        assert found.longitude == pytest.approx(east, abs=2e-7)


@given(st.dictionaries(st.sampled_from(["location", "creation_time", "keywords", "title", "xmp",
                                        f"{APPLE}rating.user", "make"]), st.text()))  # fmt: skip
def test_tags_may_hold_anything(tags: dict[str, str]) -> None:
    read_video_tags(tags)
