"""From a picture file to an upright RGB picture, no larger than an encoder needs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from PIL import Image, ImageFile

from xmodal.errors import MediaError
from xmodal.ingest.colour import rgb_converter
from xmodal.ingest.formats import (
    broken_file,
    decoder_versions,
    ended,
    open_picture,
    picture_suffixes,
)
from xmodal.ingest.memory import Admit, Need, decoding_memory, memory_needed
from xmodal.ingest.quiet import quiet_decoders
from xmodal.ingest.raw import is_raw, raw_picture
from xmodal.ingest.strips import can_be_read_in_strips, png_strips
from xmodal.ingest.tiff import mend_planes

__all__ = [
    "Picture",
    "decode_image",
    "decode_picture",
    "decoder_versions",
    "open_picture",
    "picture_suffixes",
    "quiet_decoders",
    "turn_upright",
    "upright_size",
]

# A PNG is decoded in strips, in little memory; this bounds the time.
MAX_PNG_MEGAPIXELS = 1_000
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
_STRIP_PIXELS = 2_000_000
_STRIP_BYTES = 120_000_000  # what a strip of that size costs at most on its way
# PNG files of more pixels are never decoded as a whole.
_PNG_WHOLE_PIXELS = 16_000_000
# What is handed on holds at most this many pixels, however long and thin it is.
_MAX_REDUCED_PIXELS = 4_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture and the size in pixels of the upright original."""

    image: Image.Image
    width: int
    height: int


def decode_image(source: Path | BufferedIOBase, min_side: int) -> Image.Image:
    """The picture as upright RGB, reduced where that saves work.

    The smaller side keeps at least ``min_side`` pixels (or its own size, if that is less; or
    what four megapixels allow a picture that is very long). The
    first frame of an animation and the first page of a TIFF are taken, of a camera's raw file the
    preview in it; the EXIF orientation is applied, transparent parts
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


def decode_picture(
    source: Path | BufferedIOBase, min_side: int, admit: Admit = decoding_memory.admit
) -> Picture:
    """:func:`decode_image`, together with the size of the original.

    ``admit`` is entered with what decoding will need, once the header tells it, and may wait.
    """
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return decode_picture(stream, min_side, admit)
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}") from error
    with quiet_decoders:
        if is_raw(source):
            return _decode_raw(source, min_side, admit)
        return _decode(source, min_side, admit)


def _decode(stream: BufferedIOBase, min_side: int, admit: Admit) -> Picture:
    image = open_picture(stream)
    width, height = image.size
    if not width or not height:
        raise MediaError(f"a picture of {width} × {height} pixels")
    if width * height > _PNG_WHOLE_PIXELS and can_be_read_in_strips(stream, image):
        return _decode_strips(stream, image, min_side, admit)
    image.draft(None, (min_side, min_side))
    mend_planes(image)
    with admit(memory_needed(image, width * height)):
        _load(image)
        orientation = _orientation(image)
        # Before it is reduced, so that all orientations of one picture give the same pixels.
        reduced = _reduced(turn_upright(image, orientation), min_side)
    # TIFF and HEIF turn the picture themselves while loading; then the sizes tell.
    turned = orientation >= 5 or (image.size == (height, width) and image.size != (width, height))
    return Picture(reduced, height, width) if turned else Picture(reduced, width, height)


def _decode_strips(
    stream: BufferedIOBase, image: ImageFile.ImageFile, min_side: int, admit: Admit
) -> Picture:
    width, height = image.size
    megapixels = width * height / 1e6
    if megapixels > MAX_PNG_MEGAPIXELS:
        raise MediaError(
            f"too large to decode: {megapixels:,.0f} megapixels, the limit is "
            f"{MAX_PNG_MEGAPIXELS:,}"
        )
    rows, factor = _strip_rows(image, min_side)
    with admit(Need(_STRIP_BYTES, megapixels)):
        reduced = _reduced_rgb(image, png_strips(stream, image, rows), factor)
    # Without EXIF in the header Pillow would decode the whole picture to look for it behind.
    orientation = _orientation(image) if "exif" in image.info else 1
    if orientation >= 5:
        width, height = height, width
    return Picture(turn_upright(reduced, orientation), width, height)


def _decode_raw(stream: BufferedIOBase, min_side: int, admit: Admit) -> Picture:
    raw = raw_picture(stream, min_side, admit)
    if isinstance(raw.content, Image.Image):
        reduced = _reduced(raw.content, min_side)
    else:
        reduced = _decode(raw.content, min_side, admit).image
    return Picture(turn_upright(reduced, raw.orientation), raw.width, raw.height)


def upright_size(stream: BufferedIOBase) -> tuple[int, int] | None:
    """Width and height of the upright picture, from its header alone.

    None where the header does not tell: raw files, broken ones, TIFF files, whose decoder turns
    them when it likes, and PNG files, whose orientation may stand behind the pixels.
    """
    with quiet_decoders:
        try:
            if is_raw(stream):
                return None
            image = open_picture(stream)
            width, height = image.size
            if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
                return None
            turned = _orientation(image) >= 5
        except Exception:  # plug-ins raise whatever the broken bytes lead them to
            return None
    return (height, width) if turned else (width, height)


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """``image`` as EXIF ``orientation`` means it to be seen."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _load(image: ImageFile.ImageFile) -> None:
    try:
        image.load()
    except MemoryError as error:
        raise MediaError(f"not enough memory for {image.width} × {image.height} pixels") from error
    except Exception as error:  # plug-ins raise whatever the broken bytes lead them to
        if ended(error):
            raise MediaError(f"truncated{_rows_read(image)}") from error
        raise MediaError(broken_file(str(image.format), error)) from error


def _rows_read(image: ImageFile.ImageFile) -> str:
    """How far a truncated picture got: rows that were never written are still black."""
    if getattr(image, "_im", None) is None:
        return ""
    box = image.im.getbbox()
    return f" after {100 * box[3] // image.height} %" if box else ""


def _reduced(image: Image.Image, min_side: int) -> Image.Image:
    """A loaded picture as RGB, a strip at a time."""
    width, height = image.size
    rows, factor = _strip_rows(image, min_side)
    strips = (
        image.crop((0, top, width, min(top + rows, height))) for top in range(0, height, rows)
    )
    return _reduced_rgb(image, strips, factor)


def _strip_rows(image: Image.Image, min_side: int) -> tuple[int, int]:
    """The rows of a strip, a multiple of the factor by which both sides are reduced."""
    width, height = image.size
    thin = math.isqrt((width * height - 1) // _MAX_REDUCED_PIXELS) + 1
    factor = max(thin, min(width, height) // max(1, min_side))
    return max(1, _STRIP_PIXELS // (width * factor)) * factor, factor


def _reduced_rgb(image: Image.Image, strips: Iterable[Image.Image], factor: int) -> Image.Image:
    to_rgb = rgb_converter(image)
    reduced = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    top = 0
    for strip in strips:
        rgb = to_rgb(strip)
        reduced.paste(rgb.reduce(factor) if factor > 1 else rgb, (0, top // factor))
        top += strip.height
    return reduced


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken tag is no reason to refuse the picture; Pillow raises anything
        return 1
