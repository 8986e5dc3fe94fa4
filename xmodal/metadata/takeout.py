"""The JSON that Google Takeout puts beside each picture: which file it is, and what it says."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from xmodal.metadata.facts import Metadata
from xmodal.metadata.texts import captions, decode, names
from xmodal.sources import SIDECAR

SUFFIX = ".json"
_TAIL = ".supplemental-metadata"
# Takeout cuts the name before ``.json`` to this many characters.
_LONGEST = 46
_NUMBER = re.compile(r"(.*)(\(\d+\))")
_EDITED = re.compile(r"(.+)-(edited|bearbeitet|modifié|editado|modificato|bewerkt)", re.IGNORECASE)
# Without one of these it is some other program's JSON.
_SIGNS = ("photoTakenTime", "geoData", "googlePhotosOrigin", "creationTime")


def sidecar_names(picture: str) -> Iterator[str]:
    """Names that Takeout may have given the JSON of a picture, the likeliest first.

    >>> found = list(sidecar_names("IMG_1(2).jpg"))
    >>> found[0], "IMG_1.jpg.supplemental-metadata(2).json" in found
    ('IMG_1(2).jpg.json', True)
    """
    yield from _names(picture, "")
    path = PurePosixPath(picture)
    if numbered := _NUMBER.fullmatch(path.stem):
        stem, number = numbered.groups()
        yield from _names(stem + path.suffix, number)
    if edited := _EDITED.fullmatch(path.stem):
        yield from _names(edited.group(1) + path.suffix, "")


def _names(picture: str, number: str) -> Iterator[str]:
    """The name itself, with any beginning of the tail, and cut."""
    yield f"{picture}{number}{SUFFIX}"
    for length in range(len(_TAIL), 0, -1):
        yield f"{picture}{_TAIL[:length]}{number}{SUFFIX}"
    if len(picture) > _LONGEST - len(number):
        yield f"{picture[: _LONGEST - len(number)]}{number}{SUFFIX}"
        yield f"{picture[:_LONGEST]}{number}{SUFFIX}"


def read_takeout(data: bytes) -> Metadata:
    """What the file says; nothing when it is not Takeout's.

    Its time is UTC; it does not say in which zone the picture was taken. Raises ValueError, or
    RecursionError, for what is no JSON.
    """
    found = json.loads(decode(data))
    if not isinstance(found, dict) or not any(sign in found for sign in _SIGNS):
        return Metadata()
    people = found.get("people")
    entries = people if isinstance(people, list) else []
    latitude, longitude = _position(found)
    return Metadata(
        captions=captions([_string(found, "description")], SIDECAR),
        people=names((_string(entry, "name") for entry in entries), SIDECAR),
        taken=_taken(found),
        latitude=latitude,
        longitude=longitude,
    )


def _string(record: Any, name: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, str) else ""


def _taken(found: dict[str, Any]) -> datetime | None:
    time = found.get("photoTakenTime")
    seconds = time.get("timestamp") if isinstance(time, dict) else None
    try:
        taken = datetime.fromtimestamp(int(seconds), UTC)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    # Takeout writes 0 where it knows nothing.
    return taken if int(seconds) else None  # type: ignore[arg-type]


def _position(found: dict[str, Any]) -> tuple[float | None, float | None]:
    for name in ("geoData", "geoDataExif"):
        place = found.get(name)
        if not isinstance(place, dict):
            continue
        latitude, longitude = place.get("latitude"), place.get("longitude")
        if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
            continue
        # (0, 0) is what it writes for "unknown".
        if abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude or longitude):
            return float(latitude), float(longitude)
    return None, None
