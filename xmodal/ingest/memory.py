"""What decoding a picture costs in memory, and how many pictures may do so at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from PIL import ImageFile

from xmodal.errors import MediaError

# Bytes that pictures being decoded may take together; the encoder and the interpreters come on top.
BUDGET = 900_000_000
# Pictures below this are not worth asking.
SMALL = 16_000_000
# Peak bytes a pixel while a file is decoded, measured with Pillow 13 and pillow-heif 1.8. WebP's
# decoder holds two canvases beside the frame and the picture; a PNG or TIFF may have to be turned.
_BYTES = {"PNG": 8.5, "WEBP": 16.5, "GIF": 5, "TIFF": 8.5, "BMP": 4.5, "AVIF": 10, "HEIF": 8}
_DEEP_BYTES = 16  # 32-bit greys, whose range is looked for in the whole picture


class Need(NamedTuple):
    """What decoding one picture takes: bytes at the peak, and megapixels for the time."""

    bytes: int
    megapixels: float


# What may wait until a need can be met; MemoryBudget.admit is one.
Admit = Callable[[Need], AbstractContextManager[None]]


def memory_needed(image: ImageFile.ImageFile, full_pixels: int) -> Need:
    """What decoding ``image`` takes, an opened file of so many pixels.

    A JPEG may have been told a smaller scale by ``draft`` since it was opened. Raises MediaError,
    with the size, for what would not fit even alone.
    """
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        # A progressive one keeps all coefficients, two bytes each, whatever the scale.
        kept = 2 * len(image.getbands()) * full_pixels if "progressive" in image.info else 0
        needed = 8 * pixels + kept
    elif image.mode in ("I", "F"):
        needed = _DEEP_BYTES * pixels
    else:
        needed = int(_BYTES.get(str(image.format), max(_BYTES.values())) * pixels)
    megapixels = full_pixels / 1e6
    if needed > BUDGET:
        raise MediaError(
            f"too large to decode: {megapixels:,.0f} megapixels need {needed / 1e6:,.0f} MB, "
            f"the limit is {BUDGET // 1_000_000}"
        )
    return Need(needed, megapixels)


class MemoryBudget:
    """Lets pictures in as long as they fit together; one always may.

    >>> budget = MemoryBudget(100)
    >>> with budget.admit(Need(60, 1)), budget.admit(Need(40, 1)):
    ...     budget.used
    100
    """

    def __init__(self, limit: int = BUDGET) -> None:
        self.limit = limit
        self.used = 0
        self._changed = threading.Condition()

    @contextmanager
    def admit(self, need: Need) -> Iterator[None]:
        """Wait until the bytes needed are free and hold them meanwhile."""
        needed = need.bytes
        if needed < SMALL and self.limit >= SMALL:
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self.used or self.used + needed <= self.limit)
            self.used += needed
        try:
            yield
        finally:
            with self._changed:
                self.used -= needed
                self._changed.notify_all()


decoding_memory = MemoryBudget()
