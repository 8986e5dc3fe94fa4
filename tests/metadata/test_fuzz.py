"""Metadata may hold anything: whatever the bytes, something is returned and can be stored."""

import random
import unicodedata
from pathlib import Path

import pytest
from PIL import PngImagePlugin
from PIL.ExifTags import GPS, Base
from written import alternatives, bag, exif_bytes, takeout, write_picture, xmp_bytes

from xmodal.metadata import Metadata, read_metadata

ROUNDS = 150


@pytest.fixture
def written(tmp_path: Path) -> list[Path]:
    """One file of each kind that says as much as it can."""
    exif = exif_bytes(
        {
            Base.Make: "ACME",
            Base.Model: "ACME 1",
            Base.ImageDescription: "Zwei Hunde",
            Base.XPKeywords: "dog;strand\x00".encode("utf-16-le"),
            0x4746: 4,
        },
        {
            Base.DateTimeOriginal: "2019:07:14 12:34:56",
            Base.OffsetTimeOriginal: "+02:00",
            Base.UserComment: b"UNICODE\x00" + "café".encode("utf-16-le"),
            Base.LensModel: "50mm",
        },
        {
            GPS.GPSLatitudeRef: "S",
            GPS.GPSLatitude: (33.0, 51.0, 25.2),
            GPS.GPSLongitudeRef: "E",
            GPS.GPSLongitude: (151.0, 12.6, 0.0),
            GPS.GPSDateStamp: "2019:07:14",
            GPS.GPSTimeStamp: (10.0, 34.0, 50.5),
        },
    )
    packet = xmp_bytes(
        alternatives("dc:description", x_default="Two dogs") + bag("dc:subject", "dog", "Straße"),
        'xmp:Rating="4" photoshop:City="京都市" exif:GPSLatitude="35,0.6N"',
    )
    iptc = [(1, 90, b"\x1b%G"), (2, 25, b"dog"), (2, 25, b"sea"), (2, 120, "Zürich".encode())]
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", packet.decode())
    texts.add(b"tEXt", b"Description\x00A lake", after_idat=True)
    paths = [
        write_picture(tmp_path / "jpeg" / "a.jpg", iptc, exif=exif, xmp=packet),
        write_picture(tmp_path / "png" / "a.png", exif=exif, pnginfo=texts),
        write_picture(tmp_path / "webp" / "a.webp", exif=exif, xmp=packet),
        write_picture(tmp_path / "tiff" / "a.tiff", tiffinfo={270: "Zwei Hunde", 700: packet}),
    ]
    raw = tmp_path / "raw" / "a.nef"
    raw.parent.mkdir()
    raw.write_bytes(exif[6:])
    for name, data in (
        ("a.xmp", packet),
        ("a.jpg.json", takeout(description="Zwei", people=[{"name": "Ada"}]).encode()),
        ("a.txt", "Zürich\nde.utf8=Zürich\n".encode()),
    ):
        folder = tmp_path / name
        write_picture(folder / "a.jpg")
        (folder / name).write_bytes(data)
        paths.append(folder / name)
    return [*paths, raw]


def _mutated(data: bytes, dice: random.Random) -> bytes:
    """Bits turned, bytes set to the extremes, pieces cut out, repeated or moved."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 3, 30))):
        place = dice.randrange(max(1, len(changed)))
        length = dice.choice((1, 2, 4, 50))
        match dice.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                changed[place : place + length] = dice.choice((b"\xff", b"\x00")) * length
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                del changed[place:]
        if not changed:
            break
    return bytes(changed)


def _check(found: Metadata) -> None:
    for text, _ in (*found.captions, *found.keywords, *found.people, *found.places):
        text.encode("utf-8")
        assert text == unicodedata.normalize("NFC", text)
        assert text.isprintable() or not set(text) & set(map(chr, range(32)))
    assert found.latitude is None or abs(found.latitude) <= 90
    assert found.longitude is None or abs(found.longitude) <= 180
    assert found.rating in (None, -1, 1, 2, 3, 4, 5)


def test_mutated_metadata_never_raises(written: list[Path]) -> None:
    dice = random.Random(7)
    for path in written:
        picture = path if path.suffix not in (".xmp", ".json", ".txt") else path.parent / "a.jpg"
        assert read_metadata(picture) != Metadata()
        whole = path.read_bytes()
        for _ in range(ROUNDS):
            path.write_bytes(_mutated(whole, dice))
            _check(read_metadata(picture))
