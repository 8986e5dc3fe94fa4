"""What a video says about itself: the tags of MP4, MOV, Matroska and other containers."""

import re
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

from xmodal.metadata.facts import Metadata, attempt, merge
from xmodal.metadata.texts import captions, name_of, names
from xmodal.metadata.times import parse_time
from xmodal.metadata.xmp import read_xmp
from xmodal.sources import VIDEO, XMP

_APPLE, _ANDROID = "com.apple.quicktime.", "com.android."
_TEXTS = ("title", "displayname", "description", "synopsis", "comment")
# The wall clock with its zone before UTC; a mere date last.
_TIMES = (_APPLE + "creationdate", "creation_time", "date_recorded", "date")
_POSITIONS = (_APPLE + "location.iso6709", "location", "location-eng")
# Latitude and longitude of ISO 6709 in degrees, in degrees and minutes, or with seconds too.
_POSITION = re.compile(r"([+-]\d{2,6}(?:\.\d+)?)([+-]\d{3,7}(?:\.\d+)?)(?:[+-]\d+(?:\.\d+)?)?.*")
# Clocks that were never set begin in one of these; MP4 counts from 1904.
_UNSET = (1904, 1970)


def read_video_tags(tags: Mapping[str, str]) -> Metadata:
    """What the tags say, by their names in FFmpeg, in lower case.

    >>> read_video_tags({"location": "+48.1372+011.5755/"}).latitude
    48.1372
    """
    packet = tags.get("xmp", "").encode("utf-8", "replace")
    return merge(
        [
            attempt("tags", lambda: _read(tags)),
            attempt("XMP", lambda: read_xmp(packet, XMP) if packet.strip() else Metadata()),
        ]
    )


def _read(tags: Mapping[str, str]) -> Metadata:
    latitude, longitude = _position(tags)
    rating = tags.get(_APPLE + "rating.user", "")
    stars = round(float(rating)) if re.fullmatch(r"\d(\.\d+)?", rating) else 0
    texts = [tags.get(prefix + name, "") for name in _TEXTS for prefix in ("", _APPLE)]
    keywords = [tags.get(prefix + "keywords", "") for prefix in ("", _APPLE)]
    return Metadata(
        captions=captions(texts, VIDEO),
        keywords=names((word for line in keywords for word in re.split("[;,]", line)), VIDEO),
        taken=_taken(tags),
        latitude=latitude,
        longitude=longitude,
        rating=stars if 1 <= stars <= 5 else None,
        make=_name(tags, "make", "manufacturer"),
        model=_name(tags, "model"),
        lens=name_of(tags.get(_APPLE + "camera.lens_model", "")),
    )


def _taken(tags: Mapping[str, str]) -> datetime | None:
    for name in _TIMES:
        found = parse_time(tags.get(name, ""))
        if found is not None and (found.year not in _UNSET or found.month > 1 or found.day > 1):
            return found
    return None


def _position(tags: Mapping[str, str]) -> tuple[float | None, float | None]:
    for name in _POSITIONS:
        if match := _POSITION.fullmatch(tags.get(name, "").strip()):
            latitude, longitude = _degrees(match.group(1), 2), _degrees(match.group(2), 3)
            if abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude or longitude):
                return latitude, longitude
    return None, None


def _degrees(text: str, digits: int) -> float:
    """A number of ISO 6709, whose degrees have so many digits; minutes and seconds two each."""
    whole = text[1:].partition(".")[0]
    ends = (1 + digits, *range(3 + digits, 2 + len(whole), 2))
    parts = [text[1 : ends[0]]]
    parts += [text[start:end] for start, end in pairwise(ends)]
    parts[-1] += text[1 + len(whole) :]
    degrees = sum(float(part) / 60**place for place, part in enumerate(parts))
    return round(-degrees if text[0] == "-" else degrees, 7)


def _name(tags: Mapping[str, str], *wanted: str) -> str | None:
    """The first that there is: Apple's, Android's, a plain one."""
    keys = (prefix + name for prefix in (_APPLE, _ANDROID, "") for name in wanted)
    return next((found for key in keys if (found := name_of(tags.get(key, "")))), None)
