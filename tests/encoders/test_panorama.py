"""Panoramas: parts that cover the whole picture, and the mean of what is seen in them."""

import numpy as np
import pytest
from PIL import Image

from xmodal.encoders.panorama import MOST, mean_of_parts, parts_of


@pytest.mark.parametrize(
    ("size", "longest", "count"),
    [
        ((200, 100), 2.0, 1),
        ((200, 100), 1.0, 1),
        ((201, 100), 2.0, 2),
        ((100, 350), 2.0, 2),
        ((100, 350), 1.0, 4),
        ((90_000, 10), 2.0, MOST),
    ],
)
def test_parts_cover_the_picture_from_end_to_end(
    size: tuple[int, int], longest: float, count: int
) -> None:
    pixels = np.arange(size[0] * size[1], dtype=np.int32).reshape(size[1], size[0])
    parts = [np.asarray(part) for part in parts_of(Image.fromarray(pixels), longest)]
    assert len(parts) == count
    assert np.array_equal(np.concatenate(parts, axis=1 if size[0] > size[1] else 0), pixels)


def test_means_are_those_of_each_pictures_parts() -> None:
    one = Image.new("RGB", (2, 2))
    outputs = np.array([[1, 1], [2, 0], [4, 2], [5, 5]], np.float32)
    means = mean_of_parts(outputs, [[one], [one, one], [one]])
    assert means.tolist() == [[1, 1], [3, 1], [5, 5]]
    assert means.dtype == np.float32
    assert mean_of_parts(outputs, [[one]] * 4) is outputs
