"""A contact sheet: search results as one HTML file that needs nothing beside itself."""

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from xmodal.errors import MediaError, UsageError
from xmodal.resources import resource_path
from xmodal.results import SearchResult, clock
from xmodal.thumbnails import Shown, side_by_side, thumbnail
from xmodal.writing import write_whole

# Width and height of thumbnails on a page of up to so many pictures: sharp at twice the height at
# which they stand in their rows, small enough that a page of any length can be opened.
_THUMBNAILS = ((200, (680, 360)), (1_000, (420, 220)))
_SMALLEST = (230, 120)
_JPEG_QUALITY = 80
# Beyond these a panorama or a till receipt would spoil its row; the page shows its middle.
_NARROWEST, _WIDEST = 0.6, 2.4


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer: a picture with a line below it, or, without a ``path``, a line of text.

    ``seconds`` is the time of the frame to show where the path is that of a video; ``taken`` and
    ``keywords`` are shown with a picture where they are known.
    """

    path: Path | None
    caption: str = ""
    detail: str = ""
    seconds: float | None = None
    taken: datetime | None = None
    keywords: tuple[str, ...] = ()

    @property
    def shown(self) -> Shown | None:
        """What its tile shows."""
        return None if self.path is None else Shown(self.path, self.seconds)


@dataclass(frozen=True, slots=True)
class Section:
    """A query, in words or as a picture, and its answers; an empty ``title`` leaves out the head.

    ``lang`` is the language of the title (BCP 47), for hyphenation and screen readers.
    """

    title: str
    subtitle: str = ""
    query_image: Path | None = None
    entries: list[Entry] = field(default_factory=list)
    lang: str = ""


@dataclass(frozen=True, slots=True)
class _Tile:
    """A picture as the template needs it; ``src`` is empty when it could not be read."""

    href: str
    name: str
    moment: str = ""
    src: str = ""
    width: int = 4
    height: int = 3
    reason: str = ""

    @property
    def ratio(self) -> float:
        return round(min(max(self.width / self.height, _NARROWEST), _WIDEST), 3)


def write_gallery(
    file: str | Path,
    sections: Sequence[Section],
    *,
    title: str = "xmodal",
    lead: str = "",
    foot: str = "",
    filter: bool = False,
) -> Path:
    """Write the sections as one HTML page and return its absolute path.

    Thumbnails are inside the page, upright; each links to its original. A picture that cannot be
    read becomes a tile that says why. With ``filter`` pages of more than a row have a field that
    shows only what has some words. The page appears complete or not at all. Raises UsageError
    when ``file`` does not end in ``.html`` or cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    page = Path(os.path.realpath(file))
    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{file}: a page is an HTML file; give it a name that ends in .html")
    templates = Environment(
        loader=FileSystemLoader(resource_path("assets")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = resource_path("assets/gallery.js").read_text(encoding="utf-8")
    html = templates.get_template("gallery.html.j2").render(
        title=title,
        lead=lead,
        foot=foot,
        filter=filter,
        sections=sections,
        tiles=_tiles(page, sections),
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    write_whole(page, html.encode("utf-8", "replace"))
    return page


def write_search_page(
    file: str | Path,
    query: str,
    results: Sequence[SearchResult],
    query_image: Path | None = None,
) -> Path:
    """The page of one search; ``query`` is its title, ``query_image`` what was searched with.

    Results that chance may explain stand apart; where all do, the page says that nothing matches.
    """
    sure = [found for found in results if found.sure]
    others = [found for found in results if not found.sure]
    sections = []
    if sure or query_image is not None or not results:
        sections.append(Section("", "", query_image, _found(sure)))
    if others:
        title = "Chance may explain these" if sure else "The nearest pictures"
        subtitle = "" if sure else "chance may explain them"
        sections.append(Section(title, subtitle, None, _found(others)))
    scores = any(found.score is not None for found in results)
    return write_gallery(
        file,
        sections,
        title=query,
        lead=_lead(sure, others),
        filter=True,
        foot="Numbers: score, higher is nearer; the distance of the codes; and how many pictures "
        "would match as well by chance, so that less is surer."
        if scores
        else "",
    )


def _lead(sure: Sequence[SearchResult], others: Sequence[SearchResult]) -> str:
    """What was found, in a sentence."""
    if not sure:
        return "Nothing in this library matches." if others else "Nothing found."
    videos = sum(found.seconds is not None for found in sure)
    counts = {"picture": len(sure) - videos, "video": videos}
    told = [f"{n:,} {what}{'s' if n != 1 else ''}" for what, n in counts.items() if n]
    order = "newest" if all(found.score is None for found in sure) else "nearest"
    more = f"; {len(others):,} more, which chance may explain" if others else ""
    return f"{' and '.join(told)}, {order} first{more}"


def _found(results: Iterable[SearchResult]) -> list[Entry]:
    """Results with all that is known of them."""
    entries = []
    for found in results:
        chance = f"{found.expected} by chance" if found.expected else ""
        entry = replace(
            result_entry(found, found.caption or ""),
            detail=" · ".join(filter(None, (found.measured, chance))),
            taken=found.taken,
            keywords=found.keywords,
        )
        entries.append(entry)
    return entries


def result_entry(found: SearchResult, caption: str = "") -> Entry:
    """A result with its score and distance, and its file's name where there is no ``caption``."""
    caption = caption or printable(found.path.name)
    if found.seconds is not None:
        caption = f"{caption} @ {clock(found.seconds)}"
    detail = found.measured
    return Entry(found.path, caption, detail, found.seconds)


def printable(name: str) -> str:
    """A file name as text; bytes that are not UTF-8 become replacement characters.

    >>> printable("caf\\udce9.jpg")
    'caf\ufffd.jpg'
    """
    return os.fsencode(name).decode("utf-8", "replace")


def _tiles(page: Path, sections: Iterable[Section]) -> dict[Shown, _Tile]:
    """Every picture of the page, decoded once however often it appears."""
    shown: dict[Shown, None] = {}
    for section in sections:
        if section.query_image is not None:
            shown[Shown(section.query_image)] = None
        shown.update((entry.shown, None) for entry in section.entries if entry.shown is not None)
    size = next((size for most, size in _THUMBNAILS if len(shown) <= most), _SMALLEST)
    tiles = side_by_side(lambda each: _tile(each, page.parent, size), shown)
    return dict(zip(shown, tiles, strict=True))


def _tile(shown: Shown, folder: Path, size: tuple[int, int]) -> _Tile:
    path, seconds = shown
    href, name = _link(Path(os.path.abspath(path)), folder), printable(path.name)
    moment = ""
    if seconds is not None:
        href += f"#t={seconds:g}"  # a media fragment: players begin there
        moment = clock(seconds)
    try:
        image = thumbnail(shown, size)
    except MediaError as error:
        return _Tile(href, name, moment, reason=str(error))
    jpeg = BytesIO()
    image.save(jpeg, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    data = base64.b64encode(jpeg.getvalue()).decode("ascii")
    return _Tile(href, name, moment, f"data:image/jpeg;base64,{data}", image.width, image.height)


def _link(path: Path, folder: Path) -> str:
    """A picture below the page's folder may move with it; any other is named in full.

    >>> _link(Path("/photos/page/a b.jpg"), Path("/photos/page"))
    './a%20b.jpg'
    >>> _link(Path("/photos/b#1.jpg"), Path("/photos/page"))
    'file:///photos/b%231.jpg'
    """
    if path.is_relative_to(folder):
        return "./" + quote(os.fsencode(path.relative_to(folder).as_posix()))
    return path.as_uri()
