"""What an encoder looks at in turn when a picture is very long or tall, so that no end is lost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

# A picture is looked at in parts beyond this ratio of its sides: squeezed further, things are no
# longer recognised.
LONGEST = 2.0
# However long it is, so many parts are enough.
MOST = 8


def parts_of(image: "Image.Image", longest: float = LONGEST) -> "list[Image.Image]":
    """The picture itself, or equal parts whose sides are at most ``longest`` : 1 to one another.

    A picture that is no longer than ``LONGEST`` is always looked at as a whole, one of more than
    ``MOST`` parts in ``MOST``.
    """
    width, height = image.size
    ratio = max(width, height) / min(width, height)
    if ratio <= LONGEST:
        return [image]
    count = min(int(np.ceil(ratio / longest)), MOST)
    across, down = (count, 1) if width > height else (1, count)
    return [
        image.crop((width * x // across, height * y // down,
                    width * (x + 1) // across, height * (y + 1) // down))
        for x in range(across) for y in range(down)
    ]  # fmt: skip


def mean_of_parts(
    outputs: NDArray[np.float32], split: "Sequence[Sequence[Image.Image]]"
) -> NDArray[np.float32]:
    """Rows of all parts → rows of the pictures ``(len(split), …)``, each the mean of its parts."""
    if len(outputs) == len(split):
        return outputs
    counts = np.array([len(parts) for parts in split])
    means = np.add.reduceat(outputs, np.cumsum(counts) - counts) / counts[:, None]
    return means.astype(np.float32)
