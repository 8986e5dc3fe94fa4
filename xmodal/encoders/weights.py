"""Knows weights by their SHA-256, and remembers a digest so that a start does not hash again."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from xmodal.encoders.runtime import cache_dir, replacing
from xmodal.errors import EncoderError


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file as 64 hexadecimal digits.

    The digest is remembered in the cache folder under the file's path, size and modification
    time in nanoseconds; as long as these stay, the file is not read again.

    Raises:
        EncoderError: if the file cannot be read.
    """
    path = Path(path).resolve()
    try:
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        known = _remembered().get(str(path))
        if known is not None and known[:2] == stamp:
            return str(known[2])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EncoderError(
            f"cannot read the weights {path}: {error.strerror or error}; check the path"
        ) from error
    _remember(path, [*stamp, digest])
    return digest


def verify_sha256(path: Path | str, expected: str) -> None:
    """Check that a file is the one that was meant, before anything is made of it.

    Raises:
        EncoderError: if the digest is another one, or the file cannot be read.
    """
    found = sha256_of(path)
    if found != expected.lower():
        raise EncoderError(
            f"{path} is not the file that was expected: its SHA-256 is {found}, not {expected}; "
            "delete it and install or download it again from where it came from"
        )


def _memory_file() -> Path:
    return cache_dir() / "digests.json"


def _remembered() -> dict[str, list[int | str]]:
    """``{path: [size, mtime_ns, digest]}``; empty when there is none or it is damaged."""
    try:
        entries = json.loads(_memory_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {k: v for k, v in entries.items() if isinstance(v, list) and len(v) == 3}


def _remember(path: Path, entry: list[int | str]) -> None:
    # Two processes may each forget the other's entry: that file is hashed once more, no harm.
    entries = {k: v for k, v in _remembered().items() if os.path.exists(k)}
    entries[str(path)] = entry
    # A cache that cannot be written only costs time.
    with contextlib.suppress(EncoderError), replacing(_memory_file()) as target:
        target.write_text(json.dumps(entries, indent=0), encoding="utf-8")
