"""Which picture formats can be decoded here, and what opens a file by its first bytes."""

import struct
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from io import BufferedIOBase
from typing import Any

import PIL
from PIL import Image, ImageFile

from xmodal.errors import MediaError
from xmodal.ingest.raw import RAW_SUFFIXES, raw_version
from xmodal.ingest.video import VIDEO_SUFFIXES, pyav_version

# Only these are tried, whatever the suffix: Pillow also knows formats that start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")
_SUFFIXES = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "PNG": ("png", "apng"),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
    "BMP": ("bmp", "dib"),
    "AVIF": ("avif", "avifs"),
    "HEIF": ("heic", "heif", "heics", "heifs", "hif"),
}


def suffixes_of(kind: str) -> frozenset[str]:
    """Lower-case suffixes of ``video``, ``raw``, or a format by its name or any suffix of it.

    Whether or not it can be decoded here. Raises KeyError for what is unknown.
    """
    kinds = {"video": VIDEO_SUFFIXES, "raw": RAW_SUFFIXES}
    for suffixes in map(frozenset, _SUFFIXES.values()):
        kinds |= dict.fromkeys(suffixes, suffixes)
    return kinds[kind]


@cache
def picture_suffixes() -> frozenset[str]:
    """Lower-case suffixes, without the dot, of the formats that are known here.

    Raw files and videos are among them where nothing can decode them, so that the reason is told.
    """
    pictures = {suffix for name in _readers() for suffix in _SUFFIXES[name]}
    return RAW_SUFFIXES.union(pictures, VIDEO_SUFFIXES)


@cache
def decoder_versions() -> str:
    """What decodes here; a failed file is tried again when this changes."""
    from xmodal import __version__

    parts = [f"xmodal {__version__}", f"Pillow {PIL.__version__}"]
    if "HEIF" in _readers():
        import pillow_heif

        parts.append(f"pillow-heif {pillow_heif.__version__}")
    if raw_version() is not None:
        parts.append(f"rawpy {raw_version()}")
    if pyav_version() is not None:
        parts.append(f"PyAV {pyav_version()}")
    return ", ".join(parts)


@cache
def _readers() -> dict[str, tuple[Callable[..., Any], Callable[[bytes], bool | str] | None]]:
    """Pillow's plug-ins by format: what opens a stream, and what accepts its first bytes."""
    with suppress(ImportError):  # where its wheel is missing, such files are not pictures
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
            broken = broken_file(name, accepted)
        elif accepted:
            stream.seek(0)
            try:
                image: ImageFile.ImageFile = reader(stream, "")
                return image
            except Exception as error:  # plug-ins raise whatever the broken bytes lead them to
                if str(error) == "unknown pixel mode":  # what Pillow says of a sound TIFF
                    broken = f"a kind of {name} that is not read (its colours or their bits)"
                else:
                    broken = "truncated in its header" if ended(error) else broken_file(name, error)
    if broken:
        raise MediaError(broken)
    if head.isascii() and head.decode("ascii").strip().isprintable():
        start = f'"{head.decode("ascii").strip()}"'
    else:
        start = head[:8].hex(" ")
    raise MediaError(f"not an image (starts with {start})")


def ended(error: Exception) -> bool:
    """Whether a decoder wanted to read on after the end of the file."""
    message = str(error).lower()
    return isinstance(error, EOFError | struct.error) or any(
        words in message for words in ("truncated", "unexpected end", "not enough", "eof")
    )


def broken_file(format: str, error: Exception | str) -> str:
    """The reason why a file of a format cannot be decoded, from what the decoder said."""
    details = " ".join(str(error).split())[:200] or type(error).__name__
    # Some plug-ins say "broken PNG file" themselves.
    return details if details.startswith("broken") else f"broken {format} file: {details}"
