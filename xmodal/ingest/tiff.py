"""What Pillow opens of a TIFF and then reads wrongly."""

from PIL import Image, TiffImagePlugin

_BITS, _PHOTOMETRIC, _PLANES, _FORMAT = 258, 262, 284, 339
_WHITE_IS_ZERO, _SEPARATE, _UNSIGNED = 0, 2, 1


def mend_planes(image: Image.Image) -> None:
    """Have the planes of an opened TIFF read with their 16 bits, where each band lies on its own.

    Of uncompressed ones Pillow takes each byte for a value, and gives noise.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if image.tag_v2.get(_PLANES) != _SEPARATE or set(image.tag_v2.get(_BITS, ())) != {16}:
        return
    order = "L" if image.tag_v2.prefix == b"II" else "B"
    deep = {band: f"{band};16{order}" for band in image.getbands()}
    if image.mode.startswith("I;16"):
        deep = {"I": image.mode}
    image.tile = [
        tile._replace(args=(deep.get(tile.args[0], tile.args[0]), *tile.args[1:]))
        if isinstance(tile.args, tuple)
        else tile
        for tile in image.tile
    ]


def white_is_zero(image: Image.Image) -> bool:
    """Whether the greys of more than 8 bits count from white, which Pillow does not mind."""
    return _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO


def is_unsigned(image: Image.Image) -> bool:
    """Whether 32-bit integers, which Pillow takes for signed ones, have no sign."""
    return _tag(image, _FORMAT, (_UNSIGNED,)) == (_UNSIGNED,) and _tag(image, _BITS) == (32,)


def _tag(image: Image.Image, number: int, default: object = None) -> object:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2.get(number, default)
    return None
