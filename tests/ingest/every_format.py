"""One small file of every format and kind that xmodal reads, made from one picture."""

import io
import struct

import numpy as np
from PIL import Image

from xmodal.ingest.decode import picture_suffixes

Tag = tuple[int, int, int, bytes]  # number, type, count, value


def every_format(picture: Image.Image) -> dict[str, bytes]:
    """File names and contents; formats that cannot be written here are left out."""
    grey16 = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    rgba = picture.convert("RGBA")
    rgba.putalpha(200)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "plain.jpg": (picture, {"exif": exif}),
        "progressive.jpg": (picture, {"progressive": True}),
        "cmyk.jpg": (picture.convert("CMYK"), {}),
        "grey.jpg": (picture.convert("L"), {}),
        "plain.png": (picture, {}),
        "alpha.png": (rgba, {}),
        "palette.png": (picture.quantize(16), {"transparency": 0}),
        "deep.png": (grey16, {}),
        "plain.webp": (picture, {}),
        "lossless.webp": (rgba, {"lossless": True}),
        "animated.webp": (picture, {"save_all": True, "append_images": [rgba, picture]}),
        "animated.gif": (picture, {"save_all": True, "append_images": [rgba, picture]}),
        "plain.tif": (picture, {}),
        "lzw.tif": (picture, {"compression": "tiff_lzw"}),
        "jpeg.tif": (picture, {"compression": "jpeg"}),
        "deep.tif": (grey16, {"compression": "tiff_adobe_deflate"}),
        "float.tif": (picture.convert("F"), {}),
        "pages.tif": (picture, {"save_all": True, "append_images": [rgba]}),
        "fax.tif": (picture.convert("1"), {"compression": "group4"}),
        "plain.bmp": (picture, {}),
        "palette.bmp": (picture.quantize(16), {}),
        "plain.avif": (picture, {}),
        "plain.heic": (picture, {}),
        "alpha.heif": (rgba, {}),
    }
    formats = {"jpg": "JPEG", "tif": "TIFF", "heic": "HEIF", "heif": "HEIF"}
    files = {"plain.dng": raw_file(picture), "small preview.dng": raw_file(picture, preview=8)}
    for name, (image, options) in kinds.items():
        suffix = name.rpartition(".")[2]
        if suffix in picture_suffixes():
            file = io.BytesIO()
            image.save(file, formats.get(suffix, suffix.upper()), **options)
            files[name] = file.getvalue()
    return files


def raw_file(picture: Image.Image, orientation: int = 1, preview: int | None = None) -> bytes:
    """A camera raw file (DNG 1.4): the picture under an RGGB filter, and a JPEG preview of it.

    ``preview`` is the longer side of the preview, by default the picture's own, 0 for none.
    """
    rgb = np.asarray(picture.convert("RGB"), np.uint16) * 64
    mosaic = np.zeros(rgb.shape[:2], np.uint16)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = rgb[row::2, column::2, channel]
    small, jpeg = picture.convert("RGB"), io.BytesIO()
    if preview:
        small.thumbnail((preview, preview))
    small.save(jpeg, "JPEG", quality=95)
    camera = [
        _tag(0xC612, "B", 1, 4, 0, 0),
        _tag(0xC614, "c", *b"Toy camera\0"),
        _tag(0x0112, "H", orientation),
        _tag(0xC621, "i", *(1 if n in (0, 4, 8) else 0 for n in range(9))),
        _tag(0xC65A, "H", 21),
        _tag(0xC628, "i", 1, 1, 1),
    ]
    sensor = [
        _tag(0xFE, "I", 0), *_size(picture.size), _tag(0x102, "H", 16), _tag(0x106, "H", 32803),
        _tag(0x115, "H", 1), _tag(0x828D, "H", 2, 2), _tag(0x828E, "B", 0, 1, 1, 2),
        _tag(0xC61D, "I", 16383), _tag(0xC617, "H", 1), _tag(0x103, "H", 1),
        _tag(0x117, "I", mosaic.nbytes),
    ]  # fmt: skip
    shown = [
        _tag(0xFE, "I", 1), *_size(small.size), _tag(0x102, "H", 8, 8, 8), _tag(0x103, "H", 7),
        _tag(0x106, "H", 6), _tag(0x115, "H", 3), _tag(0x117, "I", len(jpeg.getvalue())),
    ]  # fmt: skip
    header = b"II*\0" + struct.pack("<I", 8)
    if preview == 0:
        start = 8 + len(_directory([*camera, *sensor, _tag(0x111, "I", 0)], 8))
        return (
            header + _directory([*camera, *sensor, _tag(0x111, "I", start)], 8) + mosaic.tobytes()
        )

    def first(jpeg_at: int, sensor_at: int) -> bytes:
        places = [_tag(0x111, "I", jpeg_at), _tag(0x14A, "I", sensor_at)]
        return _directory([*camera, *shown, *places], 8)

    second_at = 8 + len(first(0, 0))
    jpeg_at = second_at + len(_directory([*sensor, _tag(0x111, "I", 0)], second_at))
    mosaic_at = jpeg_at + len(jpeg.getvalue())
    second = _directory([*sensor, _tag(0x111, "I", mosaic_at)], second_at)
    return header + first(jpeg_at, second_at) + second + jpeg.getvalue() + mosaic.tobytes()


def deep_tiff(pixels: np.ndarray, photometric: int = 2, separate: bool = False) -> bytes:
    """A TIFF of 16- or 32-bit values ``(height, width, channels)``, which Pillow reads at most but
    does not write. ``photometric``: 2 for colours, 1 for greys, 0 for greys whose white is 0.
    ``separate`` gives each channel a strip of its own."""
    height, width, channels = pixels.shape
    bits = pixels.itemsize * 8
    strips = [pixels[..., i].tobytes() for i in range(channels)] if separate else [pixels.tobytes()]
    tags = [
        *_size((width, height)), _tag(0x102, "H", *[bits] * channels), _tag(0x103, "H", 1),
        _tag(0x106, "H", photometric), _tag(0x115, "H", channels),
        _tag(0x117, "I", *map(len, strips)), _tag(0x11C, "H", 2 if separate else 1),
        _tag(0x153, "H", *[3 if pixels.dtype.kind == "f" else 1] * channels),
    ]  # fmt: skip
    if channels == 4:
        tags.append(_tag(0x152, "H", 2))
    start = 8 + len(_directory([*tags, _tag(0x111, "I", *[0] * len(strips))], 8))
    offsets = [start + sum(map(len, strips[:i])) for i in range(len(strips))]
    header = b"II*\0" + struct.pack("<I", 8)
    return header + _directory([*tags, _tag(0x111, "I", *offsets)], 8) + b"".join(strips)


def _size(size: tuple[int, int]) -> list[Tag]:
    return [_tag(0x100, "I", size[0]), _tag(0x101, "I", size[1]), _tag(0x116, "I", size[1])]


def _tag(number: int, kind: str, *values: int) -> Tag:
    """``kind`` is a code of ``struct``; i stands for fractions, c for text."""
    if kind == "i":
        data = b"".join(struct.pack("<ii", value, 1) for value in values)
        return number, 10, len(values), data
    if kind == "c":
        return number, 2, len(values), bytes(values)
    return (
        number,
        {"B": 1, "H": 3, "I": 4}[kind],
        len(values),
        struct.pack(f"<{len(values)}{kind}", *values),
    )


def _directory(tags: list[Tag], start: int) -> bytes:
    """An image file directory (TIFF 6.0, section 2) that stands at ``start``."""
    entries, data = b"", b""
    free = start + 2 + 12 * len(tags) + 4
    for number, kind, count, value in sorted(tags):
        head = struct.pack("<HHI", number, kind, count)
        if len(value) <= 4:
            entries += head + value.ljust(4, b"\0")
        else:
            entries += head + struct.pack("<I", free + len(data))
            data += value + b"\0" * (len(value) % 2)
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + data
