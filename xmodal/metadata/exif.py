"""EXIF (CIPA DC-008): camera, capture time, position, and the texts that Windows writes there."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from xmodal.metadata.facts import Metadata, attempt, merge
from xmodal.metadata.texts import captions, decode, name_of, names
from xmodal.metadata.times import parse_time
from xmodal.sources import EXIF

Tags = Mapping[int, Any]

_RATING, _RATING_PERCENT = 0x4746, 0x4749
_PERCENT_OF_STARS = (0, 1, 25, 50, 75, 99)
# The first eight bytes of a UserComment name its encoding (CIPA DC-008, 4.6.5, table 9).
_ENCODINGS = {b"ASCII": None, b"JIS": "iso2022_jp", b"": None}


def read_exif(exif: Image.Exif) -> Metadata:
    """What the tags say; a directory that is broken becomes a note, the others still count."""
    directories: tuple[tuple[str, Callable[[], Tags], Callable[[Tags], Metadata]], ...] = (
        ("EXIF", lambda: dict(exif), _camera_and_texts),
        ("EXIF", lambda: exif.get_ifd(IFD.Exif), _shot),
        ("EXIF position", lambda: exif.get_ifd(IFD.GPSInfo), _position),
    )

    def one(load: Callable[[], Tags], read: Callable[[Tags], Metadata]) -> Metadata:
        return read(load())

    return merge(
        attempt(what, lambda load=load, read=read: one(load, read))  # type: ignore[misc]
        for what, load, read in directories
    )


def _camera_and_texts(tags: Tags) -> Metadata:
    keywords = _utf16(tags.get(Base.XPKeywords)).split(";")
    texts = [
        _text(tags.get(Base.ImageDescription)),
        _utf16(tags.get(Base.XPTitle)),
        _utf16(tags.get(Base.XPSubject)),
        _utf16(tags.get(Base.XPComment)),
    ]
    make, model = name_of(_text(tags.get(Base.Make))), name_of(_text(tags.get(Base.Model)))
    told = captions(texts, EXIF)
    return Metadata(
        # Some cameras describe every picture by their own name.
        captions=tuple(caption for caption in told if caption.text not in (make, model)),
        keywords=names(keywords, EXIF),
        rating=_rating(tags),
        make=make,
        model=model,
    )


def _shot(tags: Tags) -> Metadata:
    taken = parse_time(
        _text(tags.get(Base.DateTimeOriginal)),
        _text(tags.get(Base.OffsetTimeOriginal)),
        _text(tags.get(Base.SubsecTimeOriginal)),
    ) or parse_time(
        _text(tags.get(Base.DateTimeDigitized)),
        _text(tags.get(Base.OffsetTimeDigitized)),
        _text(tags.get(Base.SubsecTimeDigitized)),
    )
    comment = tags.get(Base.UserComment)
    return Metadata(
        captions=captions([_comment(comment)], EXIF),
        taken=taken,
        lens=name_of(_text(tags.get(Base.LensModel))),
    )


def _position(tags: Tags) -> Metadata:
    latitude = _degrees(tags.get(GPS.GPSLatitude), _text(tags.get(GPS.GPSLatitudeRef)), 90)
    longitude = _degrees(tags.get(GPS.GPSLongitude), _text(tags.get(GPS.GPSLongitudeRef)), 180)
    taken = _gps_time(tags)
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):
        return Metadata(taken=taken)
    return Metadata(latitude=latitude, longitude=longitude, taken=taken)


def _rating(tags: Tags) -> int | None:
    rating = _number(tags.get(_RATING))
    if rating is None:
        percent = _number(tags.get(_RATING_PERCENT))
        if percent is not None:
            rating = sum(percent >= least for least in _PERCENT_OF_STARS[1:])
    return int(rating) if rating is not None and 1 <= rating <= 5 else None


def _degrees(value: Any, direction: str, limit: int) -> float | None:
    """Degrees, minutes and seconds, of which the last may be missing, as one number."""
    parts = value if isinstance(value, tuple) else (value,)
    numbers = [_number(part) for part in parts[:3]]
    if not numbers or numbers[0] is None:
        return None
    degrees = sum((number or 0) / 60**place for place, number in enumerate(numbers))
    if not -limit <= degrees <= limit:
        return None
    return round(-degrees if direction[:1].upper() in ("S", "W") else degrees, 7)


def _gps_time(tags: Tags) -> datetime | None:
    """UTC, as satellites tell it."""
    clock = tags.get(GPS.GPSTimeStamp)
    if not isinstance(clock, tuple) or len(clock) != 3:
        return None
    hour, minute, second = (_number(part) for part in clock)
    if hour is None or minute is None:
        return None
    date = _text(tags.get(GPS.GPSDateStamp)).strip()
    found = parse_time(f"{date} {hour:02.0f}:{minute:02.0f}:{math.floor(second or 0):02d}")
    return found.replace(tzinfo=UTC) if found and len(date) == 10 else None


def _number(value: Any) -> float | None:
    with suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        number = float(value)
        if math.isfinite(number):
            return number
    return None


def _text(value: Any) -> str:
    """An ASCII tag; Pillow reads its bytes as Latin-1, programs write UTF-8 into it."""
    if isinstance(value, tuple):
        value = next((part for part in value if isinstance(part, str | bytes)), "")
    if isinstance(value, str):
        try:
            value = value.encode("latin-1")
        except UnicodeEncodeError:
            return value
    return decode(value).split("\x00")[0] if isinstance(value, bytes) else ""


def _utf16(value: Any) -> str:
    """One of the tags that Windows made: UTF-16, little-endian, as bytes."""
    if isinstance(value, tuple):
        with suppress(TypeError, ValueError):
            value = bytes(value)
    if not isinstance(value, bytes):
        return ""
    return value.decode("utf-16-le", "replace").split("\x00")[0]


def _comment(value: Any) -> str:
    if isinstance(value, str):
        value = value.encode("latin-1", "replace")
    if not isinstance(value, bytes):
        return ""
    code, body = value[:8].rstrip(b"\x00 "), value[8:]
    if code == b"UNICODE":
        # In the byte order of the file, says the standard; programs write either.
        order = "utf-16-be" if body[::2].count(0) > body[1::2].count(0) else "utf-16-le"
        return decode(body[: len(body) & ~1], order)
    return decode(body if code in _ENCODINGS else value, _ENCODINGS.get(code)).split("\x00")[0]
