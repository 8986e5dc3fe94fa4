"""XMP (ISO 16684-1), embedded or in a file of its own: what catalogue programs write."""

import re
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING

from xmodal.metadata.facts import Metadata
from xmodal.metadata.texts import captions, name_of, names
from xmodal.metadata.times import parse_time

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    Value = Element | str
    Properties = dict[str, list[Value]]

# Far above what any program writes about one picture.
MAX_BYTES = 8_000_000
# A tree may need forty times the bytes of its text; above this one thread at a time makes one.
_LARGE_BYTES = 500_000
_one_large_at_a_time = threading.Lock()

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_XMP = "{http://ns.adobe.com/xap/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
_LIGHTROOM = "{http://ns.adobe.com/lightroom/1.0/}"
_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_EXIF_EX = "{http://cipa.jp/exif/1.0/}"
_AUX = "{http://ns.adobe.com/exif/1.0/aux/}"
_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
_CORE = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
_REGIONS = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_DIGIKAM = "{http://www.digikam.org/ns/1.0/}"
_MICROSOFT = "{http://ns.microsoft.com/photo/1.0/}"
_MP = "{http://ns.microsoft.com/photo/1.2/}"
_MP_INFO = "{http://ns.microsoft.com/photo/1.2/t/RegionInfo#}"
_MP_REGION = "{http://ns.microsoft.com/photo/1.2/t/Region#}"

_CONTAINERS = (f"{_RDF}Bag", f"{_RDF}Seq", f"{_RDF}Alt")
_CAPTIONS = (
    f"{_DC}description",
    f"{_DC}title",
    f"{_PHOTOSHOP}Headline",
    f"{_CORE}AltTextAccessibility",
    f"{_CORE}ExtDescrAccessibility",
    f"{_TIFF}ImageDescription",
    f"{_EXIF}UserComment",
)
_PATHS = (  # keywords as a path through a tree of them, and what is between its steps
    (f"{_LIGHTROOM}hierarchicalSubject", "|"),
    (f"{_DIGIKAM}TagsList", "/"),
    (f"{_MICROSOFT}LastKeywordXMP", "/"),
)
# What the first step of a path is where a program means nobody to see it.
_INTERNAL = ("darktable", "_Digikam_")
_PLACES = (
    f"{_CORE}Location",
    f"{_PHOTOSHOP}City",
    f"{_PHOTOSHOP}State",
    f"{_PHOTOSHOP}Country",
)
_LOCATIONS = (f"{_EXT}LocationShown", f"{_EXT}LocationCreated")
_PLACE_PARTS = ("LocationName", "Sublocation", "City", "ProvinceState", "CountryName")
_TIMES = (f"{_EXIF}DateTimeOriginal", f"{_PHOTOSHOP}DateCreated", f"{_XMP}CreateDate")
# Characters that no XML may hold; some programs copy them from EXIF.
_FORBIDDEN = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
# How such packets begin: with a byte-order mark, or with "<". Those of 32 bits come first, because
# their mark begins with that of 16. A zero in front alone is padding.
_WIDE = {
    "utf-32-le": (b"\xff\xfe\0\0", b"<\0\0\0"),
    "utf-32-be": (b"\0\0\xfe\xff", b"\0\0\0<\0"),
    "utf-16-le": (b"\xff\xfe", b"<\0"),
    "utf-16-be": (b"\xfe\xff", b"\0<\0"),
}
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_DECLARED = re.compile(r"\A\s*<\?xml\s[^>]*\?>")
_COORDINATE = re.compile(r"([\d.]+)(?:,([\d.]+))?(?:,([\d.]+))?\s*([NSEW])", re.IGNORECASE)


def read_xmp(data: bytes, source: str) -> Metadata:
    """What the packet says, as told by ``source``.

    Raises ValueError for one larger than ``MAX_BYTES``, the errors of the XML parser, and those of
    defusedxml for entities, which XMP has not.
    """
    root = _parse(data)
    rdf = root if root.tag == f"{_RDF}RDF" else root.find(f".//{_RDF}RDF")
    if rdf is None:
        return Metadata()
    facts = _properties(rdf)

    def texts(*properties: str) -> list[str]:
        return [t for each in properties for value in facts.get(each, []) for t in _texts(value)]

    paths = [path.split(between) for name, between in _PATHS for path in texts(name)]
    people, things = _regions(facts)
    latitude = _coordinate(texts(f"{_EXIF}GPSLatitude"), "NS", 90)
    longitude = _coordinate(texts(f"{_EXIF}GPSLongitude"), "EW", 180)
    located = latitude is not None and longitude is not None and bool(latitude or longitude)
    return Metadata(
        captions=captions(texts(*_CAPTIONS), source),
        keywords=names([*_keywords(texts(f"{_DC}subject"), paths), *things], source),
        people=names(texts(f"{_EXT}PersonInImage") + people, source),
        places=names(texts(*_PLACES) + _locations(facts), source),
        taken=_taken(texts(*_TIMES)),
        latitude=latitude if located else None,
        longitude=longitude if located else None,
        rating=_rating(texts(f"{_XMP}Rating")),
        make=_name(texts(f"{_TIFF}Make")),
        model=_name(texts(f"{_TIFF}Model")),
        lens=_name(texts(f"{_EXIF_EX}LensModel", f"{_AUX}Lens")),
    )


def _parse(data: bytes) -> "Element":
    from defusedxml.ElementTree import ParseError, fromstring

    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES // 10**6} MB")
    data = _utf8(data).strip(b"\x00 \t\r\n")
    with _one_large_at_a_time if len(data) > _LARGE_BYTES else nullcontext():
        try:
            root: Element = fromstring(data)
        except ParseError:
            text = re.sub(_FORBIDDEN, "\ufffd", _mostly_utf8(data))
            root = fromstring(text.encode())
    return root


def _mostly_utf8(data: bytes) -> str:
    """Bytes that are no UTF-8 are Windows-1252, one by one: one of them spoils no other text."""
    return _NOT_UTF8.sub(
        lambda found: found[0].encode("utf-8", "surrogateescape").decode("cp1252", "replace"),
        data.decode("utf-8", "surrogateescape"),
    )


def _utf8(data: bytes) -> bytes:
    """A packet of 16- or 32-bit characters, which XMP may be, as UTF-8 (XML 1.0, appendix F)."""
    for encoding, signs in _WIDE.items():
        if data.startswith(signs):
            text = data.decode(encoding, "replace").lstrip("\ufeff")
            return _DECLARED.sub("<?xml version='1.0'?>", text, count=1).encode()
    return data


def _properties(element: "Element") -> "Properties":
    """Properties of a structure by name: as attributes, as elements, or in a Description."""
    found: Properties = {}
    for node in (element, *element.findall(f"{_RDF}Description")):
        for name, value in node.attrib.items():
            found.setdefault(name, []).append(value)
        for child in node:
            if child.tag != f"{_RDF}Description":
                found.setdefault(child.tag, []).append(child)
    return found


def _entries(value: "Value") -> "list[Element]":
    """The entries of a list, or the value itself where it is none; a text has no entries."""
    if isinstance(value, str):
        return []
    for container in _CONTAINERS:
        if (found := value.find(container)) is not None:
            return list(found)
    return [value]


def _texts(value: "Value") -> list[str]:
    """The texts of a value; of one in several languages the default comes first."""
    if isinstance(value, str):
        return [value]
    entries = _entries(value)
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    entries.sort(key=lambda entry: entry.get(language) != "x-default")
    found = []
    for entry in entries:
        nested = entry.find(f".//{_RDF}value")
        found.append((entry if nested is None else nested).text or "")
    return found


def _structures(facts: "Properties", name: str) -> "Iterator[Properties]":
    for value in facts.get(name, []):
        for entry in _entries(value):
            yield _properties(entry)


def _texts_of(facts: "Properties", name: str) -> list[str]:
    return [text for value in facts.get(name, []) for text in _texts(value)]


def _keywords(subjects: list[str], paths: list[list[str]]) -> list[str]:
    """Subjects, then the steps of paths; without the tags that programs keep for themselves."""
    steps = [step for path in paths if not path[0].startswith(_INTERNAL) for step in path]
    internal = {step for path in paths for step in path}.difference(steps)
    written = [word for subject in subjects for word in subject.split(";")]
    return [word for word in written if word not in internal] + steps


def _regions(facts: "Properties") -> tuple[list[str], list[str]]:
    """Names of the people, and of what else is marked in the picture."""
    people: list[str] = []
    things: list[str] = []
    for regions in _structures(facts, f"{_REGIONS}Regions"):
        for region in _structures(regions, f"{_REGIONS}RegionList"):
            kinds = _texts_of(region, f"{_REGIONS}Type") or ["Face"]
            named = people if kinds[0].casefold() == "face" else things
            named += _texts_of(region, f"{_REGIONS}Name")
    for info in _structures(facts, f"{_MP}RegionInfo"):
        for region in _structures(info, f"{_MP_INFO}Regions"):
            people += _texts_of(region, f"{_MP_REGION}PersonDisplayName")
    for person in _structures(facts, f"{_EXT}PersonInImageWDetails"):
        people += _texts_of(person, f"{_EXT}PersonName")
    return people, things


def _locations(facts: "Properties") -> list[str]:
    return [
        text
        for name in _LOCATIONS
        for location in _structures(facts, name)
        for part in _PLACE_PARTS
        for text in _texts_of(location, f"{_EXT}{part}")
    ]


def _taken(texts: list[str]) -> datetime | None:
    return next((time for text in texts if (time := parse_time(text))), None)


def _rating(texts: list[str]) -> int | None:
    """1 to 5, or -1 for "rejected"; 0 is "not rated"."""
    for text in texts:
        if re.fullmatch(r"\s*(-1|[1-5])(\.0*)?\s*", text):
            return int(float(text))
    return None


def _name(texts: list[str]) -> str | None:
    return next((name for text in texts if (name := name_of(text))), None)


def _coordinate(texts: list[str], directions: str, limit: int) -> float | None:
    """``DDD,MM.mmk`` or ``DDD,MM,SSk`` (ISO 16684-2, GPSCoordinate), or what some
    programs write instead, decimal degrees ``DD.ddk``, as degrees."""
    for text in texts[:1]:
        match = _COORDINATE.fullmatch(text.strip())
        if match is None or match.group(4).upper() not in directions:
            return None
        try:
            degrees = sum(float(part or 0) / 60**i for i, part in enumerate(match.groups()[:3]))
        except ValueError:
            return None
        if degrees <= limit:
            return round(-degrees if match.group(4).upper() in "SW" else degrees, 7)
    return None
