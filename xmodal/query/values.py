"""What stands behind a filter's colon: dates, numbers, places, names; and each as text again."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from xmodal.ingest.identity import clean_text

# Half the equator: beyond it everything is near.
_FARTHEST = 20_038_000.0
_METRES = {"": 1000.0, "km": 1000.0, "m": 1.0, "mi": 1609.344}
_DATE = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2})(?::([0-9]{2})(?::([0-9]{2}))?)?)?)?)?",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"-?[0-9]{1,15}")
_LARGEST = 10**15 - 1
_DECIMAL = r"[-+]?[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]{1,3})?"
_NEAR = re.compile(
    rf"\s*({_DECIMAL})\s*,\s*({_DECIMAL})\s*(?:,\s*({_DECIMAL})\s*(km|m|mi|)\s*)?", re.IGNORECASE
)
# A value that is read as itself without quotes.
_BARE = re.compile(r"[\w./~@#%&+=!-][\w./~@#%&+=!:*?'’<>-]*")


@dataclass(frozen=True, slots=True)
class Span:
    """Times from ``start`` on and before ``end``, whole seconds; None: without that bound."""

    start: datetime | None
    end: datetime | None

    def __str__(self) -> str:
        if self.start is self.end is None:
            return "..9999"
        last = None if self.end is None else self.end - timedelta(seconds=1)
        if last is not None and last.time() == time(23, 59, 59):
            shown_last = last.date().isoformat()
        else:
            shown_last = "" if last is None else last.isoformat()
        if self.start is None or self.start.time() == time():
            shown_start = "" if self.start is None else self.start.date().isoformat()
        else:
            shown_start = self.start.isoformat()
        return shown_start if shown_start == shown_last else f"{shown_start}..{shown_last}"


@dataclass(frozen=True, slots=True)
class Between:
    """Whole numbers from ``low`` to ``high``, both included; None: without that bound."""

    low: int | None
    high: int | None

    def __str__(self) -> str:
        if self.low == self.high:
            return str(self.low)
        low, high = ("" if bound is None else str(bound) for bound in (self.low, self.high))
        return f"{low}..{high}"


@dataclass(frozen=True, slots=True)
class Near:
    """Places within ``metres`` of a point; degrees of WGS 84, north and east positive."""

    latitude: float
    longitude: float
    metres: float

    def __str__(self) -> str:
        return f"{self.latitude!r},{self.longitude!r},{self.metres!r}m"


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing known."""

    def __str__(self) -> str:
        return "none"


Value = str | Span | Between | Near | Missing


class ValueProblem(ValueError):
    """A value cannot be understood; the message says why and what is expected."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One filter of the language: how its values are read, and an example of one.

    ``spaced``: values may hold spaces. ``listed``: a comma separates values, any of which will do.
    """

    read: Callable[[str, date], Value]
    example: str
    spaced: bool = False
    listed: bool = True


def quoted(text: str) -> str:
    """The text in quotes; a quote in it is doubled.

    >>> print(quoted('6" pipe'))
    "6"" pipe"
    """
    return '"' + text.replace('"', '""') + '"'


def shown(value: Value) -> str:
    """A value as it stands behind a colon."""
    if not isinstance(value, str):
        return str(value)
    return value if _BARE.fullmatch(value) else quoted(value)


def read_span(text: str, today: date) -> Span:
    """A year, month, day, hour, minute or second, a range, or a comparison with one.

    >>> print(read_span("2023-06..2024", date.today()))
    2023-06-01..2024-12-31
    """
    low, high = _range(text, "2023, 2023-06, 2023-06-15, 2023-06..2024, >=2023-06 or today")
    starts, ends = (None if bound is None else _moment(bound[0], today) for bound in (low, high))
    start = None if low is None or starts is None else starts[low[1]]
    end = None if high is None or ends is None else ends[1 - high[1]]
    if low is not None and low[1] and start is None:
        raise ValueProblem(f"nothing is later than {low[0]}")
    if end == datetime.min:
        raise ValueProblem(f"nothing is earlier than {text.lstrip('<')}")
    if start is not None and end is not None and end <= start:
        raise ValueProblem("the range ends before it begins; write the earlier date first")
    return Span(start, end)


def read_between(text: str, today: date) -> Between:
    """A whole number, a range, or a comparison with one.

    >>> read_between(">=4", date.today()), read_between("2..4", date.today())
    (Between(low=4, high=None), Between(low=2, high=4))
    """
    expected = "a whole number such as 4, a range such as 2..4, or >=4"
    low, high = _range(text, expected)
    bounds: list[int | None] = []
    for bound, step in ((low, 1), (high, -1)):
        if bound is None:
            bounds.append(None)
            continue
        if not _WHOLE.fullmatch(bound[0]):
            raise ValueProblem(f"{bound[0]!r} is no whole number; expected {expected}")
        number = int(bound[0]) + step * bound[1]
        bounds.append(max(-_LARGEST, min(number, _LARGEST)))
    least, most = bounds
    if least is not None and most is not None and least > most:
        raise ValueProblem("the range ends before it begins; write the smaller number first")
    return Between(least, most)


def read_rating(text: str, today: date) -> Value:
    """As :func:`read_between`; ``none`` for pictures that nobody rated."""
    return Missing() if text.casefold() == "none" else read_between(text, today)


def read_near(text: str, today: date) -> Near:
    """Latitude, longitude, and a distance in km unless m or mi is written; 1 km without one.

    >>> read_near("48.85,2.35,5km", date.today())
    Near(latitude=48.85, longitude=2.35, metres=5000.0)
    """
    match = _NEAR.fullmatch(text)
    if match is None:
        raise ValueProblem("expected latitude,longitude,radius such as 48.85,2.35,5km")
    latitude, longitude = float(match[1]), float(match[2])
    metres = float(match[3] or 1) * _METRES[(match[4] or "").casefold()]
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueProblem("latitudes go from -90 to 90, longitudes from -180 to 180")
    if not 0 < metres < math.inf:
        raise ValueProblem("the radius must be greater than 0, such as 5km, 500m or 3mi")
    return Near(latitude, longitude, min(metres, _FARTHEST))


def read_words(text: str, today: date) -> str:
    """Text in Unicode form NFC, white space collapsed."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueProblem("a byte in it is no text in UTF-8")
    return clean_text(text)


def read_path(text: str, today: date) -> str:
    """A path or a name as it is written."""
    return text


def one_of(*names: str) -> Callable[[str, date], str]:
    """A reader of one of these names, in letters of either case."""

    def read(text: str, today: date) -> str:
        if text.casefold() not in names:
            raise ValueProblem(f"{text!r} is unknown; choose from {', '.join(names)}")
        return text.casefold()

    return read


TYPES = (
    "image", "photo", "video", "raw", "jpeg", "jpg", "png", "webp", "avif", "heic", "gif", "tiff",
    "bmp",
)  # fmt: skip
HAS = ("date", "place", "gps", "keyword", "caption", "person", "rating", "camera", "lens")

FILTERS = {
    "keyword": Kind(read_words, 'keyword:"birthday party"', spaced=True),
    "person": Kind(read_words, "person:Anna", spaced=True),
    "place": Kind(read_words, "place:Paris", spaced=True),
    "caption": Kind(read_words, "caption:birthday", spaced=True),
    "camera": Kind(read_words, "camera:fuji", spaced=True),
    "lens": Kind(read_words, "lens:35mm", spaced=True),
    "date": Kind(read_span, "date:2023-06"),
    "rating": Kind(read_rating, "rating:>=4"),
    "near": Kind(read_near, "near:48.85,2.35,5km", listed=False),
    "in": Kind(read_path, "in:holidays/", spaced=True),
    "name": Kind(read_path, "name:IMG_*.jpg", spaced=True),
    "type": Kind(one_of(*TYPES), "type:raw"),
    "has": Kind(one_of(*HAS), "has:gps"),
    "width": Kind(read_between, "width:>=4000"),
    "height": Kind(read_between, "height:>=4000"),
    "orientation": Kind(one_of("portrait", "landscape", "square"), "orientation:portrait"),
}
# Not a filter, but written as one: a picture that others should resemble.
LIKE = Kind(read_path, "like:dog.jpg", spaced=True, listed=False)

_Bound = tuple[str, bool]  # as written, and whether it is itself left out


def _range(text: str, expected: str) -> tuple[_Bound | None, _Bound | None]:
    """The lower and the upper bound of ``a``, ``a..b``, ``a..``, ``..b``, ``>=a``, ``<b``."""
    text = text.strip()
    for sign in (">=", "<=", ">", "<", "="):
        if text.startswith(sign):
            bound = (text[len(sign) :].strip(), sign in "<>")
            if not bound[0]:
                raise ValueProblem(f"nothing to compare with; expected {expected}")
            return (
                bound if sign[0] in ">=" else None,
                bound if sign[0] in "<=" else None,
            )
    low, dots, high = text.partition("..")
    if not low and not high:
        raise ValueProblem(f"the value is empty; expected {expected}")
    if not dots:
        high = low
    return (low.strip(), False) if low else None, (high.strip(), False) if high else None


def _moment(text: str, today: date) -> tuple[datetime, datetime | None]:
    """Where a year, month, day or time begins, and where the next one does; None: never."""
    days = {"today": 0, "yesterday": 1}
    if text.casefold() in days:
        first = datetime.combine(today, time()) - timedelta(days=days[text.casefold()])
        return first, first + timedelta(days=1)
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueProblem(
            f"{text!r} is no date; expected 2023, 2023-06, 2023-06-15, 2023-06-15T18:30 or today"
        )
    given = [int(group) for group in match.groups() if group is not None]
    year, month, day, hour, minute, second = (*given, *(1, 1, 1, 0, 0, 0)[len(given) :])
    try:
        start = datetime(year, month, day, hour, minute, second)
    except ValueError as error:
        raise ValueProblem(f"{text} is no date: {error}") from error
    try:
        if len(given) == 1:
            return start, start.replace(year=year + 1)
        if len(given) == 2:
            return start, datetime(year + month // 12, month % 12 + 1, 1)
        steps = {3: "days", 4: "hours", 5: "minutes", 6: "seconds"}
        return start, start + timedelta(**{steps[len(given)]: 1})
    except (ValueError, OverflowError):  # the year 10000
        return start, None
