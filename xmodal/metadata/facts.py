"""What metadata can say of a picture, and how several sources that say it become one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import NamedTuple


class Told(NamedTuple):
    """A cleaned text and where it was written: one of ``sources.METADATA``."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What people and cameras wrote about one picture; None and ``()`` where they did not.

    ``captions`` are titles, headlines and descriptions; ``keywords``, ``people`` and ``places``
    (from the smallest to the country) are single names. ``taken`` is the wall clock of the place
    where the picture was taken, aware of its zone only where a zone or UTC was written.
    ``latitude`` (north) and ``longitude`` (east) are degrees of WGS 84. ``rating`` is 1 to 5, or
    -1 for a rejected picture. ``make``, ``model`` and ``lens`` are as the camera writes them.
    ``notes`` say what was there and could not be read.
    """

    captions: tuple[Told, ...] = ()
    keywords: tuple[Told, ...] = ()
    people: tuple[Told, ...] = ()
    places: tuple[Told, ...] = ()
    taken: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    rating: int | None = None
    make: str | None = None
    model: str | None = None
    lens: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def camera(self) -> str | None:
        """Make and model as one name.

        >>> Metadata(make="NIKON CORPORATION", model="NIKON D70").camera
        'NIKON D70'
        >>> Metadata(make="Apple", model="iPhone 12").camera
        'Apple iPhone 12'
        """
        if not self.make or not self.model:
            return self.model or self.make
        brands = tuple(word for word in self.make.casefold().split() if len(word) > 1)
        if self.model.casefold().startswith(brands):
            return self.model
        return f"{self.make} {self.model}"


def merge(parts: Iterable[Metadata]) -> Metadata:
    """One from several, the most believed first.

    Of facts that are one (time, place, rating, camera, lens) the first that is there counts, and
    the two numbers of a position come from one source. Texts of all sources are kept; a text that
    two of them have belongs to the first.
    """
    listed = list(parts)
    one: dict[str, object] = {}
    for name in ("taken", "rating", "lens"):
        one[name] = _first(getattr(part, name) for part in listed)
    position = next((part for part in listed if part.latitude is not None), Metadata())
    camera = next((part for part in listed if part.camera is not None), Metadata())
    return Metadata(
        captions=_once((t for part in listed for t in part.captions), str.casefold),
        keywords=_once(t for part in listed for t in part.keywords),
        people=_once(t for part in listed for t in part.people),
        places=_once(t for part in listed for t in part.places),
        latitude=position.latitude,
        longitude=position.longitude,
        make=camera.make,
        model=camera.model,
        notes=tuple(dict.fromkeys(note for part in listed for note in part.notes)),
        **one,  # type: ignore[arg-type]
    )


def attempt(what: str, read: Callable[[], Metadata]) -> Metadata:
    """What ``read`` finds, or a note that ``what`` is broken: it may hold anything."""
    try:
        return read()
    except Exception as error:  # libraries raise whatever the broken bytes lead them to
        details = " ".join(str(error).split())[:200] or type(error).__name__
        return Metadata(notes=(f"{what} cannot be read: {details}",))


def is_empty(metadata: Metadata) -> bool:
    """Whether it says nothing about the picture."""
    return all(
        getattr(metadata, field.name) in (None, ())
        for field in fields(metadata)
        if field.name != "notes"
    )


def _first(values: Iterable[object]) -> object:
    return next((value for value in values if value is not None), None)


def _once(told: Iterable[Told], key: Callable[[str], str] = str) -> tuple[Told, ...]:
    found: dict[str, Told] = {}
    for each in told:
        found.setdefault(key(each.text), each)
    return tuple(found.values())
