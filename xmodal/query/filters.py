"""From filters to the ids of the pictures that pass them; docs/query.md says what each means.

What has few distinct values (keywords, cameras, lenses) is compared in Python, where letters of
every script have their two cases, and then looked up by value; the rest is compared by the database
as far as it is ASCII, whose letters are all that its LIKE knows.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    cast,
    false,
    func,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from xmodal.query.places import bounding_box, distances, path_prefixes
from xmodal.query.terms import Filter, folded
from xmodal.query.values import Between, Missing, Near, Span, Value
from xmodal.store.chunks import chunks
from xmodal.store.models import LIVE, Caption, Capture, File, Item, ItemKeyword, Keyword
from xmodal.store.sqlite import is_ascii, is_like
from xmodal.store.volumes import volume_places

Bitmap = NDArray[np.bool_]
Values = tuple[Value, ...]
# Ids in one text that the database makes of them: below the billion bytes that SQLite allows.
_IDS_A_TEXT = 1 << 25
_KINDS = {"keyword": None, "person": "person", "place": "place"}
_FOLLOWS_SLASH = "0"


def allowed_items(session: Session, filters: Iterable[Filter]) -> NDArray[np.int64]:
    """Ids of the pictures that pass all filters, ascending; only those with a file that is present.

    A negated filter passes every picture that it would not match otherwise, also those of which
    the fact is unknown.
    """
    pictures = _Pictures(session)
    allowed = pictures.of(live_pictures())
    for each in filters:
        if not allowed.any():
            break
        matching = _SELECTORS[each.name](pictures, each.values)
        allowed &= ~matching if each.negated else matching
    return np.flatnonzero(allowed).astype(np.int64, copy=False)


def live_pictures(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Item ids, some repeated, of files that are present or offline and fulfil the conditions."""
    return select(File.item_id).where(File.state.in_(LIVE), File.item_id.is_not(None), *conditions)


class _Pictures:
    """Bitmaps by item id of what statements select."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._size = (session.scalar(select(func.max(Item.id))) or 0) + 1

    def of(self, *statements: Select[Any]) -> Bitmap:
        """Those whose id is the only column of any of the statements."""
        found = np.zeros(self._size, dtype=bool)
        for statement in statements:
            for (ids,) in self._columns(statement):
                found[ids.astype(np.int64)] = True
        return found

    def of_ids(self, ids: Iterable[int]) -> Bitmap:
        found = np.zeros(self._size, dtype=bool)
        found[np.fromiter(ids, np.int64)] = True
        return found

    def near(self, statement: Any, place: Near) -> Bitmap:
        """Those whose latitude and longitude, beside their id, lie near a place."""
        found = np.zeros(self._size, dtype=bool)
        for ids, latitudes, longitudes in self._columns(statement):
            metres = distances(place.latitude, place.longitude, latitudes, longitudes)
            found[ids[metres <= place.metres].astype(np.int64)] = True
        return found

    def _columns(self, statement: Any) -> Iterable[list[NDArray[np.float64]]]:
        """The columns of numbers that a statement selects, the first of which are ids.

        The database joins each to one text, all in the order of one pass over the rows: fetching a
        million rows one by one takes ten times as long. Floats hold ids exactly, up to 2⁵³.
        """
        rows = statement.subquery()
        texts = [func.aggregate_strings(cast(column, String), ",") for column in rows.c]
        joined = select(*texts)
        if self._size > _IDS_A_TEXT:
            joined = joined.group_by(next(iter(rows.c)) // _IDS_A_TEXT)
        for row in self.session.execute(joined):
            if row[0] is not None:
                yield [np.fromstring(text, np.float64, sep=",") for text in row]


def _dates(pictures: _Pictures, values: Values) -> Bitmap:
    spans = [
        and_(
            Capture.taken_at.is_not(None)
            if value.start is None
            else Capture.taken_at >= value.start,
            true() if value.end is None else Capture.taken_at < value.end,
        )
        for value in values
        if isinstance(value, Span)
    ]
    return pictures.of(select(Capture.item_id).where(or_(*spans)))


def _ratings(pictures: _Pictures, values: Values) -> Bitmap:
    found = pictures.of(select(Capture.item_id).where(_between(Capture.rating, values)))
    if any(isinstance(value, Missing) for value in values):
        found |= ~pictures.of(select(Capture.item_id).where(Capture.rating.is_not(None)))
    return found


def _sizes(column: Any) -> Callable[[_Pictures, Values], Bitmap]:
    # Texts have no width: asking for the kind of an item would only take the slower way to it.
    return lambda pictures, values: pictures.of(select(Item.id).where(_between(column, values)))


def _orientations(pictures: _Pictures, values: Values) -> Bitmap:
    known = {
        "portrait": Item.width < Item.height,
        "landscape": Item.width > Item.height,
        "square": Item.width == Item.height,
    }
    return pictures.of(select(Item.id).where(or_(*(known[str(value)] for value in values))))


def _keywords(kind: str) -> Callable[[_Pictures, Values], Bitmap]:
    def found(pictures: _Pictures, values: Values) -> Bitmap:
        wanted = {folded(str(value)) for value in values}
        rows = pictures.session.execute(select(Keyword.id, Keyword.name))
        ids = [number for number, name in rows if folded(name) in wanted]
        of_kind = _of_kind(_KINDS[kind])
        return pictures.of(
            *(
                select(ItemKeyword.item_id).where(ItemKeyword.keyword_id.in_(chunk), *of_kind)
                for chunk in chunks(ids)
            )
        )

    return found


def _equipment(column: Any) -> Callable[[_Pictures, Values], Bitmap]:
    """Cameras or lenses whose name has one of the values in it."""

    def found(pictures: _Pictures, values: Values) -> Bitmap:
        wanted = [folded(str(value)) for value in values]
        names = pictures.session.scalars(select(column).where(column.is_not(None)).distinct())
        alike = [name for name in names if any(part in folded(name) for part in wanted)]
        return pictures.of(
            *(select(Capture.item_id).where(column.in_(chunk)) for chunk in chunks(alike))
        )

    return found


def _captions(pictures: _Pictures, values: Values) -> Bitmap:
    wanted = [folded(str(value)) for value in values]
    captions = select(Caption.item_id).join(Item, Item.id == Caption.text_item_id)
    plain = [is_like(Item.text, f"%{_escaped(part)}%") for part in wanted if part.isascii()]
    found = pictures.of(captions.where(or_(false(), *plain), is_ascii(Item.text)))
    others = captions.add_columns(Item.text).where(not_(is_ascii(Item.text)))
    rows = pictures.session.execute(others)
    return found | pictures.of_ids(
        picture for picture, text in rows if any(part in folded(text) for part in wanted)
    )


def _near(pictures: _Pictures, values: Values) -> Bitmap:
    (place,) = (value for value in values if isinstance(value, Near))
    south, north, sides = bounding_box(place.latitude, place.longitude, place.metres)
    statement = select(Capture.item_id, Capture.latitude, Capture.longitude).where(
        Capture.latitude.between(south, north),
        or_(*(Capture.longitude.between(west, east) for west, east in sides)),
    )
    return pictures.near(statement, place)


def _folders(pictures: _Pictures, values: Values) -> Bitmap:
    """Files below a folder: one range of the index of paths, which compares code points."""
    volumes = [(v, str(root)) for v, root in volume_places(pictures.session).items()]
    statements = []
    for value in values:
        for volume, root in volumes:
            for prefix in path_prefixes(str(value), root):
                if not prefix:  # a sum, so that the index is left aside: it would be read in full
                    statements.append(live_pictures(File.volume_id + 0 == volume))
                    continue
                inside = (
                    File.volume_id == volume,
                    File.relative_path > f"{prefix}/",
                    File.relative_path < f"{prefix}{_FOLLOWS_SLASH}",
                )
                statements.append(live_pictures(*inside))
    return pictures.of(*statements)


def _names(pictures: _Pictures, values: Values) -> Bitmap:
    found = pictures.of()
    for pattern in (folded(str(value)) for value in values):
        if pattern.isascii():
            conditions = _is_named(pattern), is_ascii(File.relative_path)
            found |= pictures.of(live_pictures(*conditions))
        # An opening bracket is only itself: it is common in names, and sets are not.
        matches = re.compile(fnmatch.translate(pattern.replace("[", "[[]"))).match
        rows = pictures.session.execute(
            live_pictures(not_(is_ascii(File.relative_path))).add_columns(File.relative_path)
        )
        found |= pictures.of_ids(
            picture for picture, path in rows if matches(folded(path.rpartition("/")[2]))
        )
    return found


def _is_named(pattern: str) -> ColumnElement[bool]:
    """Whether the last part of an ASCII path is like an ASCII pattern in small letters."""
    path: Any = File.relative_path
    like = _escaped(pattern).replace("*", "%").replace("?", "_")
    if pattern.startswith("*") and not set("*?") & set(pattern[1:]):
        return is_like(path, like)
    fast = or_(is_like(path, f"%/{like}"), is_like(path, like))
    if not set("*?") & set(pattern):
        return fast
    # Stars would reach over slashes: what stands behind the last one is compared once more.
    folder = func.rtrim(path, func.replace(path, "/", ""))
    return and_(fast, is_like(func.substr(path, func.length(folder) + 1), like))


def _escaped(text: str) -> str:
    """Text of which LIKE takes every character for itself."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def _types(pictures: _Pictures, values: Values) -> Bitmap:
    from xmodal.ingest.formats import suffixes_of  # imports Pillow

    conditions = []
    for value in values:
        if value in ("image", "photo"):
            conditions.append(not_(_has_suffix(suffixes_of("video"))))
        else:
            conditions.append(_has_suffix(suffixes_of(str(value))))
    return pictures.of(live_pictures(or_(*conditions)))


def _has_suffix(suffixes: Iterable[str]) -> ColumnElement[bool]:
    path = File.relative_path
    by_length: dict[int, list[str]] = {}
    for suffix in sorted(suffixes):
        by_length.setdefault(len(suffix), []).append(f".{suffix}")
    return or_(
        *(
            func.lower(func.substr(path, func.length(path) - length)).in_(of_length)
            for length, of_length in by_length.items()
        )
    )


def _facts(pictures: _Pictures, values: Values) -> Bitmap:
    known: dict[str, Select[Any]] = {
        "date": select(Capture.item_id).where(Capture.taken_at.is_not(None)),
        "gps": select(Capture.item_id).where(Capture.latitude.is_not(None)),
        "rating": select(Capture.item_id).where(Capture.rating.is_not(None)),
        "camera": select(Capture.item_id).where(Capture.camera.is_not(None)),
        "lens": select(Capture.item_id).where(Capture.lens.is_not(None)),
        "caption": select(Caption.item_id),
    } | {name: select(ItemKeyword.item_id).where(*_of_kind(kind)) for name, kind in _KINDS.items()}
    return pictures.of(*(known[str(value)] for value in values))


def _of_kind(kind: str | None) -> Sequence[ColumnElement[bool]]:
    return () if kind is None else (ItemKeyword.kind == kind,)


def _between(column: Any, values: Values) -> ColumnElement[bool]:
    """Whether a column of numbers is in any of the ranges among the values."""
    return or_(
        false(),
        *(
            and_(
                column.is_not(None) if value.low is None else column >= value.low,
                true() if value.high is None else column <= value.high,
            )
            for value in values
            if isinstance(value, Between)
        ),
    )


_SELECTORS: dict[str, Callable[[_Pictures, Values], Bitmap]] = {
    "keyword": _keywords("keyword"),
    "person": _keywords("person"),
    "place": _keywords("place"),
    "caption": _captions,
    "camera": _equipment(Capture.camera),
    "lens": _equipment(Capture.lens),
    "date": _dates,
    "rating": _ratings,
    "near": _near,
    "in": _folders,
    "name": _names,
    "type": _types,
    "has": _facts,
    "width": _sizes(Item.width),
    "height": _sizes(Item.height),
    "orientation": _orientations,
}
