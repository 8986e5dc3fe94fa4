"""What makes two files, or two texts, the same: hashes of their content."""

import hashlib
import struct
import unicodedata
from io import BufferedIOBase
from pathlib import Path

HASH_BYTES = 16


def _blake2b() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=HASH_BYTES)


def content_hash(source: Path | BufferedIOBase) -> bytes:
    """BLAKE2b (RFC 7693) of a file's bytes, 16 bytes, read as a stream.

    An open binary stream is read from where it stands. Raises OSError when it cannot be read.
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:
            return content_hash(stream)
    return hashlib.file_digest(source, _blake2b).digest()


def frame_hash(video: bytes, seconds: float) -> bytes:
    """BLAKE2b, 16 bytes, of a video's content hash and a time in it, in thousandths of a second.

    It is the content hash of a frame other than the first, which has the video's own.
    """
    digest = _blake2b()
    digest.update(video + struct.pack("<q", round(1000 * seconds)))
    return digest.digest()


def clean_text(text: str) -> str:
    """The text in Unicode form NFC, white space collapsed to single spaces.

    >>> clean_text("  a  dog\\non the beach ")
    'a dog on the beach'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def text_hash(text: str) -> bytes:
    """BLAKE2b, 16 bytes, of the cleaned text: the content hash of a text item."""
    digest = _blake2b()
    digest.update(clean_text(text).encode("utf-8"))
    return digest.digest()
