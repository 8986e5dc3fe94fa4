"""Pictures of every colour mode as 8-bit RGB."""

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from xmodal.errors import MediaError
from xmodal.ingest.tiff import is_unsigned, white_is_zero

_DEEP = ("I", "F")  # what Pillow calls 32-bit integers and floats; "I;16…" are the 16-bit greys


def rgb_converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What turns ``image``, or any strip of it, into RGB.

    Transparent parts become white. 16-bit greys are divided by 257, so that 65,535 is white.
    32-bit greys have no agreed white: values that fit 0 to 1 (floats), 0 to 255 or 0 to 65,535
    are read in that range, others are stretched between their own extremes. Raises MediaError
    for a mode that cannot be converted.
    """
    if image.mode.startswith("I;16"):
        black, white = (65535.0, 0.0) if white_is_zero(image) else (0.0, 65535.0)
        return lambda strip: _grey(np.asarray(strip, dtype=np.float32), black, white)
    if image.mode in _DEEP:
        unsigned = is_unsigned(image)
        black, white = _range(_finite(image, unsigned), image.mode)
        if white_is_zero(image):
            black, white = white, black
        return lambda strip: _grey(_finite(strip, unsigned), black, white)
    if image.mode == "LAB":
        return _from_lab
    if image.has_transparency_data:
        return _on_white
    return _plain_rgb


def _range(values: np.ndarray, mode: str) -> tuple[float, float]:
    # Not getextrema(): one NaN of a scientific TIFF would make both ends NaN.
    low, high = float(values.min()), float(values.max())
    if low >= 0:
        for white in (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0):
            if high <= white:
                return 0.0, white
    return low, max(high, low + 1.0)


def _finite(image: Image.Image, unsigned: bool) -> np.ndarray:
    values = np.asarray(image)
    if unsigned:
        values = values.view(np.uint32)
    return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _grey(values: np.ndarray, black: float, white: float) -> Image.Image:
    levels = (values - black) * (255 / (white - black))
    return Image.fromarray(levels.round().clip(0, 255).astype(np.uint8)).convert("RGB")


def _on_white(strip: Image.Image) -> Image.Image:
    rgba = strip.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _from_lab(strip: Image.Image) -> Image.Image:
    converted = ImageCms.applyTransform(strip, _lab_to_srgb())
    assert converted is not None  # it is None only where the strip is changed in place
    return converted


@cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


def _plain_rgb(strip: Image.Image) -> Image.Image:
    if strip.mode == "RGB":
        return strip
    try:
        return strip.convert("RGB")
    except ValueError as error:
        raise MediaError(f"colour mode {strip.mode} cannot be converted to RGB") from error
