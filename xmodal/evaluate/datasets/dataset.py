"""Features of pictures and texts with labels: what every reader returns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.splits import Split

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Dataset:
    """Row i of each array is item i.

    ``images`` float32 ``(n, image_dim)``; ``texts`` float32 ``(n, text_dim)``, or ``(m, text_dim)``
    with ``text_of`` int64 ``(m,)``, the item that each text describes; ``labels`` float32
    ``(n, classes)``, 0/1 or soft, a row of NaN where unlabelled. ``classes`` are the names of the
    label columns and ``split`` the published split, where the files have them. ``source`` says
    which files and variables were read.
    """

    name: str
    images: Floats
    texts: Floats
    labels: Floats
    source: str
    classes: list[str] | None = None
    text_of: NDArray[np.int64] | None = None
    split: Split | None = None

    @property
    def shares_space(self) -> bool:
        """Whether both modalities may lie in one feature space: equally many dimensions."""
        return self.images.shape[1] == self.texts.shape[1]

    def __str__(self) -> str:
        texts = "" if self.text_of is None else f", {len(self.texts):,} texts"
        return (
            f"{self.name}: {len(self.images):,} items{texts}, {self.images.shape[1]}-d images, "
            f"{self.texts.shape[1]}-d texts, {self.labels.shape[1]} classes ({self.source})"
        )


def features(values: NDArray[Any], where: str) -> Floats:
    """Features ``(n, dim)`` as float32; pixels are refused, with what to do instead."""
    refuse_pixels(values.shape, where)
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise UsageError(
            f"{where}: expected numbers of shape (items, dim), found dtype {values.dtype}, "
            f"shape {values.shape}"
        )
    return np.ascontiguousarray(values, np.float32)


def refuse_pixels(shape: tuple[int, ...], where: str) -> None:
    """UsageError if an array of that shape holds pictures instead of features."""
    if len(shape) > 2:
        raise UsageError(
            f"{where}: expected features of shape (items, dim), found {shape}, which are pixels; "
            "use a file with features (XAll of mirflickr25k-iall-vgg.mat, for example), or encode "
            "the pictures and save a .npz with image, text and label"
        )


def label_matrix(values: NDArray[Any], where: str) -> tuple[Floats, list[str] | None]:
    """Labels ``(n, classes)``, and the classes where a single column numbers them.

    A matrix holds 0/1, -1/1 or shares from 0 to 1; a column holds the number of each item's class.

    >>> label_matrix(np.array([[3], [1], [3]]), "L")
    (array([[0., 1.],
           [1., 0.],
           [0., 1.]], dtype=float32), ['1', '3'])
    """
    if values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1):
        numbers, column = np.unique(values, return_inverse=True)
        matrix = np.eye(len(numbers), dtype=np.float32)[column.reshape(-1)]
        return matrix, [f"{number:g}" for number in numbers]
    matrix = features(values, where)
    known = matrix[~np.isnan(matrix)]
    if known.size and known.min() == -1 and set(np.unique(known)) <= {-1, 0, 1}:
        return (matrix > 0).astype(np.float32), None
    if known.size and not 0 <= known.min() <= known.max() <= 1:
        raise UsageError(
            f"{where}: expected labels from 0 to 1 (or -1 and 1), found {known.min():g} to "
            f"{known.max():g}"
        )
    return matrix, None
