"""XMP and IPTC: keywords, people, places, ratings, and packets that are broken or hostile."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from PIL.ExifTags import Base
from written import alternatives, bag, exif_bytes, write_picture, xmp_bytes

from xmodal.metadata import Metadata, read_metadata
from xmodal.metadata.facts import Told
from xmodal.sources import IPTC, PNG, SIDECAR, XMP


def _texts(told: tuple[Told, ...]) -> list[str]:
    return [text for text, _ in told]


def _read(tmp_path: Path, inside: str, attributes: str = "") -> Metadata:
    path = write_picture(tmp_path / "a.jpg", xmp=xmp_bytes(inside, attributes))
    return read_metadata(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\ufeff<?xml version='1.0' encoding='UTF-16'?>"])
def test_packets_of_wide_characters_are_read(tmp_path: Path, encoding: str, start: str) -> None:
    picture = write_picture(tmp_path / "a.jpg")
    packet = start + xmp_bytes(bag("dc:subject", "Straße", "京都")).decode()
    (tmp_path / "a.jpg.xmp").write_bytes(packet.encode(encoding))
    assert _texts(read_metadata(picture).keywords) == ["Straße", "京都"]


@pytest.mark.parametrize("padding", [b"\0", b"\0\0\0", b" \0"])
def test_zeros_before_a_packet_are_padding(tmp_path: Path, padding: bytes) -> None:
    picture = write_picture(tmp_path / "a.jpg")
    (tmp_path / "a.xmp").write_bytes(padding + xmp_bytes(bag("dc:subject", "sea")))
    assert _texts(read_metadata(picture).keywords) == ["sea"]


def test_a_packet_that_is_no_utf8_is_read_as_windows_1252(tmp_path: Path) -> None:
    packet = xmp_bytes(bag("dc:subject", "Straße")).decode().replace("\ufeff", "")
    found = read_metadata(write_picture(tmp_path / "a.jpg", xmp=packet.encode("cp1252")))
    assert _texts(found.keywords) == ["Straße"]


def test_what_a_catalogue_program_writes_is_read(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        alternatives("dc:description", de_DE="Zwei Hunde", x_default="Two dogs")
        + alternatives("dc:title", x_default="Beach")
        + bag("dc:subject", "dog", "Straße")
        + bag("lr:hierarchicalSubject", "animals|dog", "places|beach")
        + bag("digiKam:TagsList", "animals/pets")
        + "<photoshop:Country>Japan</photoshop:Country>",
        'xmp:Rating="4" photoshop:City="京都市" tiff:Make="Apple" tiff:Model="iPhone 12" '
        'aux:Lens="50mm" exif:DateTimeOriginal="2019-07-14T12:34:56.25+02:00" '
        'exif:GPSLatitude="35,0.6N" exif:GPSLongitude="135,46,6.0E"',
    )
    assert _texts(found.captions) == ["Two dogs", "Zwei Hunde", "Beach"]
    assert _texts(found.keywords) == ["dog", "Straße", "animals", "places", "beach", "pets"]
    assert _texts(found.places) == ["京都市", "Japan"]
    assert {source for _, source in found.captions + found.keywords + found.places} == {XMP}
    assert (found.rating, found.camera, found.lens) == (4, "Apple iPhone 12", "50mm")
    zone = timezone(timedelta(hours=2))
    assert found.taken == datetime(2019, 7, 14, 12, 34, 56, 250_000, zone)
    assert (found.latitude, found.longitude) == (pytest.approx(35.01), pytest.approx(135.7683333))


def test_decimal_degrees_zones_of_hours_and_keywords_of_signs_are_read_too(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        bag("dc:subject", "🐕", "❤️", "---", "\ufffd\ufffd"),
        'exif:DateTimeOriginal="2019-07-14T12:34:56-05" '
        'exif:GPSLatitude="35.51S" exif:GPSLongitude="135.25E"',
    )
    assert _texts(found.keywords) == ["🐕", "❤️"]
    assert found.taken == datetime(2019, 7, 14, 12, 34, 56, tzinfo=timezone(timedelta(hours=-5)))
    assert (found.latitude, found.longitude) == (pytest.approx(-35.51), pytest.approx(135.25))


def test_tags_that_a_program_keeps_for_itself_are_no_keywords(tmp_path: Path) -> None:
    found = _read(
        tmp_path,
        bag("dc:subject", "darktable", "format", "nef", "dog", "exported")
        + bag("lr:hierarchicalSubject", "darktable|format|nef", "animals|dog", "darktable|exported")
        + bag("digiKam:TagsList", "_Digikam_Internal_Tags_/Need Resolving History"),
    )
    assert _texts(found.keywords) == ["dog", "animals"]


def test_keywords_that_a_program_joined_are_taken_apart(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg", [(2, 25, b"cat; horse")])
    path.with_suffix(".xmp").write_bytes(xmp_bytes(bag("dc:subject", "dog; sea")))
    assert _texts(read_metadata(path).keywords) == ["dog", "sea", "cat", "horse"]


def test_people_are_read_from_names_and_from_faces(tmp_path: Path) -> None:
    def region(name: str, kind: str) -> str:
        return (
            f'<rdf:li><rdf:Description mwg-rs:Name="{name}" mwg-rs:Type="{kind}">'
            "<mwg-rs:Area/></rdf:Description></rdf:li>"
        )

    resource = 'rdf:parseType="Resource"'
    found = _read(
        tmp_path,
        bag("Iptc4xmpExt:PersonInImage", "Ada", "Søren")
        + f"<mwg-rs:Regions {resource}>"
        + bag("mwg-rs:RegionList", region("Grace", "Face"), region("Rex", "Pet"))
        + "</mwg-rs:Regions>"
        + f"<MP:RegionInfo {resource}>"
        + bag("MPRI:Regions", f"<rdf:li {resource}><MPReg:PersonDisplayName>Linus"
              "</MPReg:PersonDisplayName></rdf:li>")
        + "</MP:RegionInfo>",
    )  # fmt: skip
    assert _texts(found.people) == ["Ada", "Søren", "Grace", "Linus"]
    assert _texts(found.keywords) == ["Rex"]


def test_places_are_read_from_the_smallest_to_the_country(tmp_path: Path) -> None:
    location = (
        '<rdf:li rdf:parseType="Resource"><Iptc4xmpExt:CountryName>Norge'
        "</Iptc4xmpExt:CountryName><Iptc4xmpExt:City>Bergen</Iptc4xmpExt:City></rdf:li>"
    )
    found = _read(
        tmp_path, bag("Iptc4xmpExt:LocationShown", location), 'Iptc4xmpCore:Location="Bryggen"'
    )
    assert _texts(found.places) == ["Bryggen", "Bergen", "Norge"]


@pytest.mark.parametrize(
    ("written", "rating"), [("5", 5), ("-1", -1), ("3.0", 3), ("0", None), ("many", None)]
)
def test_a_rating_is_one_to_five_or_rejected(
    tmp_path: Path, written: str, rating: int | None
) -> None:
    assert _read(tmp_path, "", f'xmp:Rating="{written}"').rating == rating


def test_a_date_without_a_day_counts_from_its_beginning(tmp_path: Path) -> None:
    assert _read(tmp_path, "", 'photoshop:DateCreated="1955-06"').taken == datetime(1955, 6, 1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "avif"])
def test_every_format_that_holds_xmp_gives_it(tmp_path: Path, suffix: str) -> None:
    packet = xmp_bytes(bag("dc:subject", "Straße"))
    path = tmp_path / f"a.{suffix}"
    if f".{suffix}" not in Image.registered_extensions():
        pytest.skip(f"this Pillow writes no {suffix}")
    if suffix == "png":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
        write_picture(path, pnginfo=texts)
    elif suffix == "tiff":
        write_picture(path, tiffinfo={700: packet})
    else:
        write_picture(path, xmp=packet)
    assert _texts(read_metadata(path).keywords) == ["Straße"]


def test_the_texts_of_a_png_are_read_also_after_the_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("Title", "Zürich bei Nacht")
    texts.add(b"tEXt", b"Description\x00A lake", after_idat=True)
    path = write_picture(tmp_path / "a.png", pnginfo=texts)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda image: pytest.fail("decoded"))
    assert read_metadata(path).captions == (Told("Zürich bei Nacht", PNG), Told("A lake", PNG))


@pytest.mark.parametrize(
    ("charset", "encoding"), [(b"\x1b%G", "utf-8"), (None, "utf-8"), (None, "latin-1")]
)
def test_iptc_is_read_in_the_charset_that_it_names_or_has(
    tmp_path: Path, charset: bytes | None, encoding: str
) -> None:
    records = [(1, 90, charset)] if charset else []
    records += [
        (2, 120, "Zwei Hunde in Zürich".encode(encoding)),
        (2, 25, b"dog"),
        (2, 25, "Straße".encode(encoding)),
        (2, 90, "Zürich".encode(encoding)),
        (2, 101, b"Schweiz"),
        (2, 55, b"20190714"),
        (2, 60, b"123456+0200"),
    ]
    found = read_metadata(write_picture(tmp_path / "a.jpg", records))
    assert found.captions == (Told("Zwei Hunde in Zürich", IPTC),)
    assert _texts(found.keywords) == ["dog", "Straße"]
    assert _texts(found.places) == ["Zürich", "Schweiz"]
    assert found.taken == datetime(2019, 7, 14, 12, 34, 56, 0, timezone(timedelta(hours=2)))


def test_one_keyword_of_iptc_is_a_keyword(tmp_path: Path) -> None:
    found = read_metadata(write_picture(tmp_path / "a.jpg", [(2, 25, b"dog")]))
    assert _texts(found.keywords) == ["dog"]


def test_the_camera_is_believed_before_xmp_and_iptc(tmp_path: Path) -> None:
    path = write_picture(
        tmp_path / "a.jpg",
        [(2, 25, b"dog"), (2, 55, b"20010101")],
        exif=exif_bytes(
            {Base.ImageDescription: "Two dogs"}, {Base.DateTimeOriginal: "2019:07:14 12:34:56"}
        ),
        xmp=xmp_bytes(
            alternatives("dc:description", x_default="two dogs") + bag("dc:subject", "dog", "sea"),
            'exif:DateTimeOriginal="2019-07-14T12:34:56+05:00"',
        ),
    )
    found = read_metadata(path)
    assert found.taken == datetime(2019, 7, 14, 12, 34, 56)
    assert found.captions == (Told("Two dogs", "exif"),)
    assert found.keywords == (Told("dog", XMP), Told("sea", XMP))


BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><x>&c;</x>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>
<x>&a;</x>"""


@pytest.mark.parametrize("packet", [BOMB, OUTSIDE])
def test_entities_are_refused_and_the_picture_stays(tmp_path: Path, packet: bytes) -> None:
    exif = exif_bytes({Base.ImageDescription: "Two dogs"})
    path = write_picture(tmp_path / "a.jpg", xmp=packet, exif=exif)
    path.with_name("a.jpg.xmp").write_bytes(packet)
    found = read_metadata(path)
    assert _texts(found.captions) == ["Two dogs"]
    assert [note.split(":")[0] for note in found.notes] == [
        "a.jpg.xmp cannot be read", "XMP cannot be read",
    ]  # fmt: skip
    assert "Entit" in found.notes[0]


def test_a_packet_with_bytes_that_are_no_xml_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    packet = xmp_bytes(bag("dc:subject", "d\x01og", "sea", "京都")).replace(b"sea", b"s\xe9a")
    found = read_metadata(write_picture(tmp_path / "a.jpg", xmp=packet))
    assert _texts(found.keywords) == ["d\ufffdog", "séa", "京都"]


def test_nesting_without_end_is_no_harm(tmp_path: Path) -> None:
    deep = "<dc:subject><rdf:Bag><rdf:li>" * 50_000 + "</rdf:li></rdf:Bag></dc:subject>" * 50_000
    path = write_picture(tmp_path / "a.jpg")
    path.with_name("a.xmp").write_bytes(xmp_bytes(deep + bag("dc:subject", "dog")))
    assert read_metadata(path).keywords == (Told("dog", SIDECAR),)


def test_a_picture_is_given_a_bounded_number_of_bounded_words(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.jpg")
    entries = [f"word {number}" for number in range(10_000)] + ["x" * 1_000_000]
    song = alternatives("dc:description", x_default="la " * 1_000_000)
    path.with_name("a.xmp").write_bytes(xmp_bytes(song))
    assert [len(text) for text in _texts(read_metadata(path).captions)] == [2_000]
    path.with_name("a.xmp").write_bytes(xmp_bytes(bag("dc:subject", *entries)))
    assert len(read_metadata(path).keywords) == 500


def test_utc_is_a_zone(tmp_path: Path) -> None:
    found = _read(tmp_path, "", 'xmp:CreateDate="2019-07-14T12:34Z"')
    assert found.taken == datetime(2019, 7, 14, 12, 34, tzinfo=UTC)
