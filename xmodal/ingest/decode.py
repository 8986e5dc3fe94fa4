"""From a picture file to an upright RGB picture, no larger than an encoder needs."""

import struct
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import Any

import PIL
from PIL import Image, ImageFile

from xmodal.errors import MediaError
from xmodal.ingest.colour import rgb_converter

# Decoding needs up to 8 bytes a pixel: 256 megapixels are 1 GB as RGBA.
MAX_MEGAPIXELS = 256
# Only these are tried, whatever the suffix: Pillow also knows formats that start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")
_SUFFIXES = {
    "JPEG": ("jpg", "jpeg"),
    "PNG": ("png",),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
    "BMP": ("bmp",),
    "AVIF": ("avif",),
    "HEIF": ("heic", "heif"),
}
_ORIENTATION = 0x0112
# EXIF orientation → what turns the stored picture upright (EXIF 2.32, 4.6.4).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pictures are converted and reduced in strips of about this many pixels, so that neither step
# holds a second copy of a large picture.
_STRIP_PIXELS = 4_000_000
# Above this many decoded pixels one thread at a time decodes, which bounds the memory of all.
_LARGE_PIXELS = 32_000_000
_one_large_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture and the size in pixels of the upright original."""

    image: Image.Image
    width: int
    height: int


def decode_image(source: Path | BufferedIOBase, min_side: int) -> Image.Image:
    """The picture as upright RGB, reduced where that saves work.

    The smaller side keeps at least ``min_side`` pixels (or its own size, if that is less). The
    first frame of an animation is taken, the EXIF orientation is applied, transparent parts
    become white, 16-bit greys keep their tones. Raises MediaError with the reason in plain
    words for whatever cannot be decoded completely.

    >>> from io import BytesIO
    >>> file = BytesIO()
    >>> Image.new("L", (400, 300)).save(file, "PNG")
    >>> image = decode_image(file, 100)
    >>> image.mode, image.size
    ('RGB', (134, 100))
    """
    return decode_picture(source, min_side).image


def decode_picture(source: Path | BufferedIOBase, min_side: int) -> Picture:
    """:func:`decode_image`, together with the size of the original."""
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return decode_picture(stream, min_side)
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}") from error
    with quiet_decoders:
        image = open_picture(source)
        width, height = image.size
        if not width or not height:
            raise MediaError(f"a picture of {width} × {height} pixels")
        _draft(image, min_side)
        guard: AbstractContextManager[Any] = nullcontext()
        if image.width * image.height > _LARGE_PIXELS:
            guard = _one_large_at_a_time
        with guard:
            _load(image)
            reduced = _reduced_rgb(image, min_side)
        orientation = _orientation(image)
        upright = reduced
        if orientation in _UPRIGHT:
            upright = reduced.transpose(_UPRIGHT[orientation])
        # TIFF and HEIF turn the picture themselves while loading; then the sizes tell.
        turned = orientation >= 5 or (
            image.size == (height, width) and image.size != (width, height)
        )
        if turned:
            width, height = height, width
        return Picture(upright, width, height)


@cache
def picture_suffixes() -> frozenset[str]:
    """Lower-case suffixes, without the dot, of the formats that this installation can decode."""
    return frozenset(suffix for name in _readers() for suffix in _SUFFIXES[name])


@cache
def decoder_versions() -> str:
    """What decodes here; a failed file is tried again when this changes."""
    from xmodal import __version__

    parts = [f"xmodal {__version__}", f"Pillow {PIL.__version__}"]
    if "HEIF" in _readers():
        import pillow_heif

        parts.append(f"pillow-heif {pillow_heif.__version__}")
    return ", ".join(parts)


@cache
def _readers() -> dict[str, tuple[Callable[..., Any], Callable[[bytes], bool | str] | None]]:
    """Pillow's plug-ins by format: what opens a stream, and what accepts its first bytes."""
    with suppress(ImportError):  # HEIC is an extra; without it such files are not pictures here
        import_module("pillow_heif").register_heif_opener()
    Image.init()
    return {name: Image.OPEN[name] for name in FORMATS if name in Image.OPEN}


def open_picture(stream: BufferedIOBase) -> ImageFile.ImageFile:
    """The picture's header.

    This is ``Image.open`` without its limit on pixels, which would refuse large JPEGs that are
    decoded at a fraction of their size, and which is one setting for the whole process.
    """
    stream.seek(0)
    head = stream.read(16)
    if not head:
        raise MediaError("empty file")
    broken = ""
    for name, (reader, accepts) in _readers().items():
        accepted = True if accepts is None else accepts(head)
        if isinstance(accepted, str):
            broken = _broken(name, accepted)
        elif accepted:
            stream.seek(0)
            try:
                image: ImageFile.ImageFile = reader(stream, "")
                return image
            except Exception as error:  # plug-ins raise whatever the broken bytes lead them to
                broken = "truncated in its header" if _ended(error) else _broken(name, error)
    if broken:
        raise MediaError(broken)
    if head.isascii() and head.decode("ascii").strip().isprintable():
        start = f'"{head.decode("ascii").strip()}"'
    else:
        start = head[:8].hex(" ")
    raise MediaError(f"not an image (starts with {start})")


def _draft(image: ImageFile.ImageFile, min_side: int) -> None:
    """Choose the scale of a JPEG and refuse what would still need too much memory."""
    megapixels = image.width * image.height / 1e6
    image.draft(None, (min_side, min_side))
    # A progressive JPEG keeps all coefficients in memory, whatever the scale of the output.
    decoded = megapixels if "progressive" in image.info else image.width * image.height / 1e6
    if decoded > MAX_MEGAPIXELS:
        raise MediaError(
            f"too large to decode: {megapixels:,.0f} megapixels, the limit is {MAX_MEGAPIXELS}"
        )


def _load(image: ImageFile.ImageFile) -> None:
    try:
        image.load()
    except MemoryError as error:
        raise MediaError(f"not enough memory for {image.width} × {image.height} pixels") from error
    except Exception as error:  # plug-ins raise whatever the broken bytes lead them to
        if _ended(error):
            raise MediaError(f"truncated{_rows_read(image)}") from error
        raise MediaError(_broken(str(image.format), error)) from error


def _ended(error: Exception) -> bool:
    """Whether a decoder wanted to read on after the end of the file."""
    message = str(error).lower()
    return isinstance(error, EOFError | struct.error) or any(
        words in message for words in ("truncated", "unexpected end", "not enough", "eof")
    )


def _rows_read(image: ImageFile.ImageFile) -> str:
    """How far a truncated picture got: rows that were never written are still black."""
    if getattr(image, "_im", None) is None:
        return ""
    box = image.im.getbbox()
    return f" after {100 * box[3] // image.height} %" if box else ""


def _reduced_rgb(image: Image.Image, min_side: int) -> Image.Image:
    to_rgb = rgb_converter(image)
    width, height = image.size
    factor = max(1, min(width, height) // max(1, min_side))
    reduced = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = max(1, _STRIP_PIXELS // (width * factor)) * factor
    for top in range(0, height, rows):
        strip = to_rgb(image.crop((0, top, width, min(top + rows, height))))
        reduced.paste(strip.reduce(factor) if factor > 1 else strip, (0, top // factor))
    return reduced


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken tag is no reason to refuse the picture; Pillow raises anything
        return 1


def _broken(format: str, error: Exception | str) -> str:
    details = " ".join(str(error).split())[:200] or type(error).__name__
    # Some plug-ins say "broken PNG file" themselves.
    return details if details.startswith("broken") else f"broken {format} file: {details}"


class _QuietDecoders:
    """While any thread is inside, Pillow's warnings about odd metadata are not shown.

    ``warnings.catch_warnings`` alone must not be nested across threads: the filters of whoever
    leaves last would stay.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters: warnings.catch_warnings[Any] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.|pillow_heif")
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._filters is not None:
                self._filters.__exit__(kind, error, trace)
                self._filters = None


quiet_decoders = _QuietDecoders()
