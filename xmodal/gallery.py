"""A contact sheet: search results as one HTML file that needs nothing beside itself."""

import base64
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from xmodal.errors import MediaError, UsageError
from xmodal.ingest.decode import decode_image
from xmodal.resources import resource_path
from xmodal.results import SearchResult, clock

# Sharp at twice the height at which the page shows a picture, small enough for hundreds in a file.
_THUMBNAIL = (680, 360)
_JPEG_QUALITY = 80
# Beyond these a panorama or a till receipt would spoil its row; the page shows its middle.
_NARROWEST, _WIDEST = 0.6, 2.4


Shown = tuple[Path, float | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer: a picture with a line below it, or, without a ``path``, a line of text.

    ``seconds`` is the time of the frame to show where the path is that of a video.
    """

    path: Path | None
    caption: str = ""
    detail: str = ""
    seconds: float | None = None

    @property
    def shown(self) -> "Shown | None":
        """What its tile shows."""
        return None if self.path is None else (self.path, self.seconds)


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
) -> Path:
    """Write the sections as one HTML page and return its absolute path.

    Thumbnails are inside the page, upright; each links to its original. A picture that cannot be
    read becomes a tile that says why. The page appears complete or not at all. Raises UsageError
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
    html = templates.get_template("gallery.html.j2").render(
        title=title, lead=lead, foot=foot, sections=sections, tiles=_tiles(page, sections)
    )
    _replace(page, html.encode("utf-8", "replace"))
    return page


def write_search_page(
    file: str | Path,
    query: str,
    results: Sequence[SearchResult],
    query_image: Path | None = None,
) -> Path:
    """The page of one search; ``query`` is its title, ``query_image`` what was searched with."""
    entries = [result_entry(found) for found in results]
    videos = sum(found.seconds is not None for found in results)
    counts = {"picture": len(results) - videos, "video": videos}
    told = [f"{n} {what}{'s' if n != 1 else ''}" for what, n in counts.items() if n]
    order = "newest" if all(found.score is None for found in results) else "nearest"
    section = Section("", "", query_image, entries)
    return write_gallery(
        file,
        [section],
        title=query,
        lead=f"{' and '.join(told)}, {order} first" if told else "Nothing found",
        foot="Under each picture: score, higher is nearer, and the distance of the codes.",
    )


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
            shown[section.query_image, None] = None
        shown.update((entry.shown, None) for entry in section.entries if entry.shown is not None)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        tiles = pool.map(lambda each: _tile(each, page.parent), shown)
        return dict(zip(shown, tiles, strict=True))


def _tile(shown: Shown, folder: Path) -> _Tile:
    path, seconds = shown
    href, name = _link(Path(os.path.abspath(path)), folder), printable(path.name)
    if seconds is not None:
        href += f"#t={seconds:g}"  # a media fragment: players begin there
    try:
        image = _picture(shown)
    except MediaError as error:
        return _Tile(href, name, reason=str(error))
    image.thumbnail(_THUMBNAIL, Image.Resampling.LANCZOS)
    jpeg = BytesIO()
    image.save(jpeg, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    data = base64.b64encode(jpeg.getvalue()).decode("ascii")
    return _Tile(href, name, f"data:image/jpeg;base64,{data}", image.width, image.height)


def _picture(shown: Shown) -> Image.Image:
    path, seconds = shown
    if seconds is None:
        return decode_image(path, _THUMBNAIL[1])
    from xmodal.ingest.decoders import DecoderStopped, decoders

    try:
        return decoders.frame_at(path, seconds, _THUMBNAIL[1]).image
    except (DecoderStopped, OSError) as error:
        raise MediaError(f"cannot be shown: {error}") from error


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


def _replace(page: Path, content: bytes) -> None:
    """Write beside the page, then put it in its place: no reader sees half a page."""
    if page.exists() and not page.is_file():
        raise UsageError(f"{page}: is not a file; choose another name for the page")
    part = page.with_name(f".{page.name}.{os.getpid()}.part")
    try:
        try:
            part.write_bytes(content)
            part.replace(page)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{page}: cannot be written ({error.strerror}); choose a folder that exists "
            "and can be written"
        ) from error
