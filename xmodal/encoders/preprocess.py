"""Turns pictures into the arrays that an image tower takes, as its training did."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How an open_clip model wants its pictures.

    Attributes:
        size: height and width in pixels.
        mean, std: per channel, on the scale where white is 1.
        interpolation: ``bicubic`` or ``bilinear``.
        resize_mode: ``shortest`` (the shorter side fits, the rest is cropped around the centre),
            ``longest`` (the longer side fits, the rest is filled) or ``squash``.
        fill_color: 0 to 255, for the pixels that ``longest`` adds.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"
    fill_color: int = 0

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """A picture of any size as float32 ``(3, height, width)``, normalised by mean and std."""
        fitted = self._fit(image.convert("RGB"))
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        pixels: NDArray[np.float32] = np.asarray(fitted, dtype=np.float32) / np.float32(255)
        return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))

    def _fit(self, image: Image.Image) -> Image.Image:
        height, width = self.size
        if self.resize_mode == "squash":
            return self._resize(image, width, height)
        ratios = image.width / width, image.height / height
        if self.resize_mode == "longest":
            ratio = max(ratios)
            image = self._resize(image, round(image.width / ratio), round(image.height / ratio))
        elif height != width:
            ratio = min(ratios)
            image = self._resize(image, round(image.width / ratio), round(image.height / ratio))
        elif image.width <= image.height:
            # Rounded down, as torchvision does where the target is square.
            image = self._resize(image, width, int(width * image.height / image.width))
        else:
            image = self._resize(image, int(height * image.width / image.height), height)
        return self._crop_or_pad(image)

    def _resize(self, image: Image.Image, width: int, height: int) -> Image.Image:
        bilinear = self.interpolation == "bilinear"
        filter_ = Image.Resampling.BILINEAR if bilinear else Image.Resampling.BICUBIC
        return image.resize((max(width, 1), max(height, 1)), filter_)

    def _crop_or_pad(self, image: Image.Image) -> Image.Image:
        height, width = self.size
        left, top = _offset(image.width, width), _offset(image.height, height)
        if (left, top, image.width, image.height) == (0, 0, width, height):
            return image
        canvas = Image.new("RGB", (width, height), (self.fill_color,) * 3)
        canvas.paste(image, (-left, -top))
        return canvas


def _offset(length: int, target: int) -> int:
    """Where the target begins in a side of ``length`` pixels; negative where it is padded."""
    if length < target:
        return -((target - length) // 2)
    return round((length - target) / 2)
