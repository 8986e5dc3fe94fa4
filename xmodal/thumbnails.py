"""Small upright pictures of what was found: of files in any format, and of frames of videos."""

import os
from collections.abc import Callable, Collection, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from PIL import Image

from xmodal.errors import MediaError
from xmodal.ingest.decoders import DecoderStopped, decoders

T = TypeVar("T")


class Shown(NamedTuple):
    """A picture, or with ``seconds`` the frame of a video at that time."""

    path: Path
    seconds: float | None = None


def thumbnail(shown: Shown, size: tuple[int, int]) -> Image.Image:
    """The picture as upright RGB, no wider and no higher than ``size``.

    It is decoded in a process of its own. Raises MediaError with the reason where it cannot be
    shown, also where the file is gone.
    """
    path, seconds = shown
    try:
        if seconds is None:
            image = decoders.decode(path, min(size)).image
        else:
            image = decoders.frame_at(path, seconds, min(size)).image
    except (DecoderStopped, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"cannot be shown: {reason}") from error
    image.thumbnail(size, Image.Resampling.LANCZOS)
    return image


def side_by_side(make: Callable[[Shown], T], shown: Collection[Shown]) -> Generator[T, None, None]:
    """``make`` of each, in order, several at a time; close it when the rest is not wanted."""
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        yield from pool.map(make, shown)
