"""Camera raw files: the preview that the camera put in, else the raw pixels, developed."""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from xmodal.errors import MediaError
from xmodal.ingest.memory import Admit, Need

_NAMES = (
    "3fr arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf "
    "srw x3f"
)
RAW_SUFFIXES = frozenset(_NAMES.split())
# Pictures that are no raw file whatever they are called; many raw files begin as a TIFF does.
_OTHER_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM")
# LibRaw holds the sensor's values and a pixel of four 16-bit channels for each of them.
_BYTES_PER_PIXEL = 12
# LibRaw's turns as EXIF orientations.
_FLIPS = {3: 3, 5: 8, 6: 6}
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class RawPicture:
    """What a raw file shows: the bytes of a JPEG or the pixels of an RGB picture.

    ``orientation`` (EXIF) is what is still to be applied, beside what a JPEG says of itself;
    ``width`` and ``height`` are those of the upright original.
    """

    content: BytesIO | Image.Image
    orientation: int
    width: int
    height: int


def is_raw(stream: BufferedIOBase) -> bool:
    """Whether an open file is named as a raw file is, and does not begin as another format."""
    name = getattr(stream, "name", "")
    if not isinstance(name, str | bytes):
        return False
    suffix = Path(name if isinstance(name, str) else name.decode("latin-1")).suffix.lower()
    if suffix.removeprefix(".") not in RAW_SUFFIXES:
        return False
    stream.seek(0)
    start = stream.read(4)
    return bool(start) and not start.startswith(_OTHER_STARTS)


def raw_picture(stream: BufferedIOBase, min_side: int, admit: Admit) -> RawPicture:
    """The preview in a raw file if its smaller side has ``min_side`` pixels, else the raw pixels
    at half size, else any preview there is.

    ``admit`` is as for ``decode_picture``. Raises MediaError where rawpy is not installed, and for
    a file that holds neither.
    """
    if raw_version() is None:
        raise MediaError('camera raw files need rawpy: pip install "xmodal[raw]"')
    rawpy: Any = import_module("rawpy")
    stream.seek(0)
    try:
        with rawpy.imread(stream) as raw:
            preview = _preview(rawpy, raw)
            if preview is not None and _smaller_side(preview.content) >= min_side:
                return preview
            try:
                return _developed(raw, admit)
            except Exception:
                if preview is None:
                    raise
                return preview
    except MemoryError as error:
        raise MediaError("not enough memory for this camera raw file") from error
    except Exception as error:  # LibRaw's errors have no common base outside rawpy
        details = error.args[0] if error.args else type(error).__name__
        text = details.decode("utf-8", "replace") if isinstance(details, bytes) else str(details)
        raise MediaError(f"broken camera raw file: {text}") from error


@cache
def raw_version() -> str | None:
    """The version of rawpy, None where it is not installed."""
    try:
        return str(import_module("rawpy").__version__)
    except ImportError:
        return None


def _preview(rawpy: Any, raw: Any) -> RawPicture | None:
    try:
        thumbnail = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    width, height, flip = _upright(raw)
    if thumbnail.format == rawpy.ThumbFormat.JPEG:
        try:
            with Image.open(BytesIO(thumbnail.data)) as image:
                size, says = image.size, int(image.getexif().get(_ORIENTATION, 1))
        except Exception:  # plug-ins raise whatever the broken bytes lead them to
            return None
        content: BytesIO | Image.Image = BytesIO(thumbnail.data)
    else:
        content, says = Image.fromarray(thumbnail.data), 1
        size = content.size
    # Some cameras store the preview turned already, or let it say itself how to turn it.
    turned = flip in (6, 8) and size[1] > size[0]
    return RawPicture(content, 1 if turned or says != 1 else flip, width, height)


def _developed(raw: Any, admit: Admit) -> RawPicture:
    width, height, _ = _upright(raw)
    with admit(Need(_BYTES_PER_PIXEL * width * height, width * height / 1e6)):
        # Turned upright by LibRaw; half size is one pixel for each two by two of the sensor.
        pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
    return RawPicture(Image.fromarray(pixels).convert("RGB"), 1, width, height)


def _upright(raw: Any) -> tuple[int, int, int]:
    """Width and height of the upright picture, and the EXIF orientation that leads to it."""
    sizes = raw.sizes
    orientation = _FLIPS.get(sizes.flip, 1)
    if orientation in (6, 8):
        return sizes.height, sizes.width, orientation
    return sizes.width, sizes.height, orientation


def _smaller_side(content: BytesIO | Image.Image) -> int:
    if isinstance(content, Image.Image):
        return min(content.size)
    with Image.open(content) as image:
        side = min(image.size)
    content.seek(0)
    return side
