"""Metadata inside a picture file: its blocks, taken from the header without decoding pixels."""

import struct
from collections.abc import Mapping
from io import BufferedIOBase, BytesIO
from typing import IO, Literal, cast

from PIL import Image, ImageFile

from xmodal.errors import MediaError
from xmodal.ingest.decode import open_picture, quiet_decoders
from xmodal.metadata.exif import read_exif
from xmodal.metadata.facts import Metadata, attempt, merge
from xmodal.metadata.iptc import read_iptc
from xmodal.metadata.texts import captions
from xmodal.metadata.xmp import read_xmp
from xmodal.sources import PNG, XMP

# Layers and thumbnails in the tags of a TIFF, or a whole WebP, AVIF or HEIC file; several files are
# read at once.
MAX_BYTES = 64_000_000
_PNG_START = 8
_PNG_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_PNG_TEXTS = ("Title", "Description", "Comment")
_BYTE_ORDERS: Mapping[bytes, tuple[str, Literal["little", "big"]]] = {
    b"II": ("<", "little"),
    b"MM": (">", "big"),
}
_FUJIFILM, _FUJIFILM_PREVIEW = b"FUJIFILMCCD-RAW ", 84
# Metadata comes first in a JPEG.
_PREVIEW_BYTES = 1_000_000
_TIFF_XMP = 700


def read_embedded(stream: BufferedIOBase) -> Metadata:
    """What EXIF, XMP, IPTC and the texts of a PNG say, each noted where it is broken."""
    with quiet_decoders:
        return attempt("metadata", lambda: _read(_Bounded(stream)))


class _Bounded(BufferedIOBase):
    """A stream of which only so much can be read, whatever a file claims to hold."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream = stream
        self._left = MAX_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        left = self._left
        data = self._stream.read(size if size is not None and 0 <= size <= left else left + 1)
        if len(data) > left:
            raise OSError(f"more than {MAX_BYTES // 10**6} MB to read for its metadata")
        self._left = left - len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _read(stream: BufferedIOBase) -> Metadata:
    try:
        image = open_picture(stream)
    except MediaError:
        return _read_raw(stream)
    parts = []
    if image.format == "PNG":
        parts = [
            attempt("PNG", lambda: _scan_png(stream, image)),
            attempt("PNG", lambda: _png_texts(image.info)),
        ]
    parts = [
        attempt("EXIF", lambda: _exif(image)),
        attempt("XMP", lambda: _xmp(image.info.get("xmp"))),
        attempt("IPTC", lambda: _iptc(image)),
        *parts,
    ]
    return merge(parts)


def _exif(image: ImageFile.ImageFile) -> Metadata:
    # PNG's own method decodes the picture in search of a block after it; that was looked for.
    return read_exif(Image.Image.getexif(image) if image.format == "PNG" else image.getexif())


def _iptc(image: ImageFile.ImageFile) -> Metadata:
    from PIL.IptcImagePlugin import getiptcinfo

    return read_iptc(getiptcinfo(image) or {})


def _xmp(packet: object) -> Metadata:
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    return read_xmp(packet, XMP) if isinstance(packet, bytes) and packet.strip() else Metadata()


def _scan_png(stream: BufferedIOBase, image: ImageFile.ImageFile) -> Metadata:
    """Add the texts and blocks of all chunks, also of those after the pixels, to ``image.info``."""
    from PIL.PngImagePlugin import PngStream

    stream.seek(_PNG_START)
    chunks = PngStream(cast(IO[bytes], stream))
    while True:
        kind, position, length = chunks.read()
        if kind == b"IEND":
            break
        if kind in _PNG_CHUNKS:
            chunks.crc(kind, chunks.call(kind, position, length))
        else:
            stream.seek(position + length + 4)
    image.info.update(chunks.im_info)
    return Metadata()


def _png_texts(info: Mapping[str | tuple[int, int], object]) -> Metadata:
    texts = (info.get(name) for name in _PNG_TEXTS)
    return Metadata(captions=captions((str(text) for text in texts if text), PNG))


def _read_raw(stream: BufferedIOBase) -> Metadata:
    """A camera's raw file, which Pillow does not open as a picture.

    Most makers build it as a TIFF, some with a signature of their own; Fujifilm's begins with
    where its JPEG preview lies, which has the metadata.
    """
    stream.seek(0)
    head = stream.read(len(_FUJIFILM))
    if head == _FUJIFILM:
        stream.seek(_FUJIFILM_PREVIEW)
        place, length = struct.unpack(">II", stream.read(8))
        stream.seek(place)
        preview = BytesIO(stream.read(min(length, _PREVIEW_BYTES)))
        return Metadata() if preview.read(len(_FUJIFILM)) == _FUJIFILM else _read(preview)
    if head[:2] not in _BYTE_ORDERS:
        return Metadata()
    exif = Image.Exif()
    exif.endian, order = _BYTE_ORDERS[head[:2]]
    first = int.from_bytes(head[4:8], order)

    def load() -> Metadata:
        # Told where to begin, it does not look at the signature.
        exif.load_from_fp(cast(IO[bytes], stream), first)
        return read_exif(exif)

    return merge([attempt("EXIF", load), attempt("XMP", lambda: _xmp(exif.get(_TIFF_XMP)))])
