"""Files that users asked for: written beside their place, then put there, whole or not at all."""

import os
from pathlib import Path

from xmodal.errors import UsageError


def write_whole(file: Path, content: bytes) -> None:
    """Make ``file`` hold ``content``; no reader sees half of it, and a failure leaves the old one.

    Raises UsageError where there is something else than a file, or nothing can be written.
    """
    if file.exists() and not file.is_file():
        raise UsageError(f"{file}: is not a file; choose another name")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        try:
            part.write_bytes(content)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be written ({error.strerror}); choose a folder that exists "
            "and can be written"
        ) from error
