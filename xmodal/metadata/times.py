"""When a picture was taken: the ways in which EXIF, IPTC and XMP write it, read strictly."""

import re
from datetime import UTC, datetime, timedelta, timezone

_DATE = re.compile(
    r"(\d{4})(?:[-:/.]?(\d\d)(?:[-:/.]?(\d\d))?)?"
    r"(?:[T ]+(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?",
    re.IGNORECASE,
)
_ZONE = re.compile(r"([+-])(\d\d)(?::?(\d\d))?")
# The first photograph, and a century in which clocks that are set at random seldom land.
_FIRST_YEAR, _LAST_YEAR = 1826, 2100
_FARTHEST = timedelta(hours=14)


def parse_time(text: str, zone: str = "", fraction: str = "") -> datetime | None:
    """The time that ``text`` names; aware if it, or ``zone``, names a zone; None if it is none.

    ``fraction`` are the digits of the second after the point. A date without a day, or without a
    time, counts from its beginning.

    >>> parse_time("2019:07:14 12:34:56", "+02:00").isoformat()
    '2019-07-14T12:34:56+02:00'
    >>> parse_time("1955-06").isoformat(), parse_time("0000:00:00 00:00:00")
    ('1955-06-01T00:00:00', None)
    """
    match = _DATE.fullmatch(text.replace("\x00", "").strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, digits, own_zone = match.groups()
    digits = re.sub(r"\D.*", "", (digits or fraction).strip())[:6]
    try:
        found = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
            min(int(second or 0), 59), int(digits.ljust(6, "0")) if digits else 0,
        )  # fmt: skip
    except ValueError:
        return None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        return None
    return found.replace(tzinfo=parse_zone(own_zone or zone) if hour else None)


def parse_zone(text: str) -> timezone | None:
    """The offset that ``text`` names: ``Z``, ``+02:00``, ``-0330``, ``+02``; None if it is none.

    >>> parse_zone("+02") == parse_zone("+02:00")
    True
    >>> parse_zone("-0330"), parse_zone("   :  ")
    (datetime.timezone(datetime.timedelta(days=-1, seconds=73800)), None)
    """
    text = text.replace("\x00", "").strip()
    if text.upper() in ("Z", "UTC"):
        return UTC
    match = _ZONE.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    if int(minutes or 0) > 59 or offset > _FARTHEST:
        return None
    return timezone(-offset if sign == "-" else offset)
