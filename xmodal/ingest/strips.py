"""Large PNG files a strip at a time: a picture of any size in a few megabytes of memory.

Pillow decodes a PNG only as a whole. Here the compressed stream is inflated for some rows at a
time, and Pillow undoes the row filters of each strip as if it were a small PNG of its own.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BufferedIOBase, BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from xmodal.errors import MediaError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")  # width, height, depth, colour type, and three methods
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type (PNG 1.2, 4.1.1)
# Filters work on bytes, each by its own place in the pixel (PNG 1.2, 6.2), so that any bytes can be
# unfiltered as the 8-bit channels of another colour type: Pillow's mode and PNG's number, by bytes.
_AS = {1: ("L", 0), 2: ("LA", 4), 3: ("RGB", 2), 4: ("RGBA", 6)}
_READ = 1 << 16


def can_be_read_in_strips(stream: BufferedIOBase, image: ImageFile.ImageFile) -> bool:
    """Whether the file is a PNG whose rows follow one another (an interlaced one's do not)."""
    if image.format != "PNG":
        return False
    stream.seek(len(_SIGNATURE) + 4)
    header = stream.read(4 + _HEADER.size)
    if len(header) < 4 + _HEADER.size or header[:4] != b"IHDR":
        return False
    width, height, depth, colour, _, _, interlace = _HEADER.unpack(header[4:])
    return (width, height) == image.size and interlace == 0 and colour in _CHANNELS and depth > 0


def png_strips(
    stream: BufferedIOBase, image: ImageFile.ImageFile, rows: int
) -> Iterator[Image.Image]:
    """The picture from top to bottom in strips of ``rows`` rows, of the mode of ``image``.

    ``image`` is the opened file, which is not loaded. Raises MediaError when the stream is broken
    or ends too early.
    """
    stream.seek(len(_SIGNATURE) + 8)
    width, height, depth, colour, *_ = _HEADER.unpack(stream.read(_HEADER.size))
    bits = _CHANNELS[colour] * depth
    per_row = -(-width * bits // 8)
    pixel = max(1, bits // 8)
    above = np.zeros((1, per_row), np.uint8)
    lines = _Inflated(stream)
    for top in range(0, height, rows):
        count = min(rows, height - top)
        data = lines.read(count * (per_row + 1))
        if len(data) < count * (per_row + 1):
            raise MediaError(
                f"truncated after {100 * (top + len(data) // (per_row + 1)) // height} %"
            )
        filtered = np.frombuffer(data, np.uint8).reshape(count, per_row + 1)
        strip = _unfiltered(filtered, above, pixel)
        above = strip[-1:]
        yield _picture(image, (width, count), strip)


def _unfiltered(
    filtered: NDArray[np.uint8], above: NDArray[np.uint8], pixel: int
) -> NDArray[np.uint8]:
    """Rows ``(n, 1 + bytes)``, each with its filter in front → their bytes ``(n, bytes)``."""
    first = np.concatenate([np.zeros((1, 1), np.uint8), above], axis=1)
    rows = np.concatenate([first, filtered])
    count, per_row = len(rows), rows.shape[1] - 1
    if pixel in _AS:
        return _by_pillow(rows, per_row // pixel, pixel)[1:]
    # Pixels of six or eight bytes are unfiltered half by half.
    half = pixel // 2
    pixels = rows[:, 1:].reshape(count, per_row // pixel, 2, half)
    out = np.empty_like(pixels)
    for part in range(2):
        packed = np.concatenate([rows[:, :1], pixels[:, :, part].reshape(count, -1)], axis=1)
        out[:, :, part] = _by_pillow(packed, per_row // pixel, half).reshape(count, -1, half)
    return out.reshape(count, per_row)[1:]


def _by_pillow(rows: NDArray[np.uint8], width: int, pixel: int) -> NDArray[np.uint8]:
    mode, colour = _AS[pixel]
    header = _HEADER.pack(width, len(rows), 8, colour, 0, 0, 0)
    # Level 0 only frames the bytes.
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b""))
    file = BytesIO(_SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks))
    with Image.open(file, formats=("PNG",)) as image:
        assert image.mode == mode
        return np.asarray(image).reshape(len(rows), width * pixel)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
    return struct.pack(">I", len(data)) + kind + data + check


def _picture(
    image: ImageFile.ImageFile, size: tuple[int, int], data: NDArray[np.uint8]
) -> Image.Image:
    """The bytes of some rows as a picture of the file's own mode, palette and transparency."""
    strip = Image.frombytes(image.mode, size, data.tobytes(), "raw", image.tile[0].args)
    if image.mode == "P" and image.palette is not None:
        strip.putpalette(image.palette.palette, image.palette.rawmode or "RGB")
    if "transparency" in image.info:
        strip.info["transparency"] = image.info["transparency"]
    return strip


class _Inflated:
    """The bytes that all IDAT chunks hold together."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._chunks = _idat(stream)
        self._inflate = zlib.decompressobj()
        self._waiting = b""

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer at the end."""
        parts = []
        while count > 0:
            data = self._waiting or next(self._chunks, b"")
            if not data or self._inflate.eof:
                break
            try:
                part = self._inflate.decompress(data, count)
            except zlib.error as error:
                raise MediaError(f"broken PNG file: {error}") from error
            self._waiting = self._inflate.unconsumed_tail
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _idat(stream: BufferedIOBase) -> Iterator[bytes]:
    stream.seek(len(_SIGNATURE))
    begun = False
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            begun = True
            while length > 0:
                data = stream.read(min(length, _READ))
                if not data:
                    return
                length -= len(data)
                yield data
            stream.seek(4, 1)
        elif begun or kind == b"IEND":
            return
        else:
            stream.seek(length + 4, 1)
