"""Where pictures are: on the globe, and in folders."""

import math
import os
import unicodedata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS = 6_371_008.8  # metres, the mean of WGS 84


def distances(
    latitude: float,
    longitude: float,
    latitudes: NDArray[np.float64],
    longitudes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Metres along the globe, a sphere, from a point to others, ``(n,)``; all in degrees.

    The haversine formula (Sinnott 1984), which keeps its digits where points are close.

    >>> paris_to_berlin = distances(48.8566, 2.3522, np.array([52.52]), np.array([13.405]))
    >>> round(paris_to_berlin[0] / 1000)
    877
    """
    north, norths = math.radians(latitude), np.radians(latitudes)
    half_up = (norths - north) / 2
    half_along = (np.radians(longitudes) - math.radians(longitude)) / 2
    h = np.sin(half_up) ** 2 + math.cos(north) * np.cos(norths) * np.sin(half_along) ** 2
    metres: NDArray[np.float64] = 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.minimum(h, 1.0)))
    return metres


def bounding_box(
    latitude: float, longitude: float, metres: float
) -> tuple[float, float, list[tuple[float, float]]]:
    """South, north, and ranges of longitude, in degrees, that hold all within ``metres``.

    Two ranges where the circle crosses the 180th meridian, all longitudes where it holds a pole.

    >>> bounding_box(0, 179.99, 5_000)[2]
    [(179.945..., 180.0), (-180.0, -179.965...)]
    """
    angle = metres / EARTH_RADIUS * (1 + 1e-9) + 1e-9  # a hair more: rounding must lose nothing
    south, north = latitude - math.degrees(angle), latitude + math.degrees(angle)
    if south <= -90 or north >= 90 or angle >= math.pi / 2:
        return max(south, -90.0), min(north, 90.0), [(-180.0, 180.0)]
    along = math.sin(angle) / math.cos(math.radians(latitude))
    half = math.degrees(math.asin(min(along, 1.0))) * (1 + 1e-9)
    west, east = longitude - half, longitude + half
    if west < -180:
        return south, north, [(-180.0, east), (west + 360, 180.0)]
    if east > 180:
        return south, north, [(west, 180.0), (-180.0, east - 360)]
    return south, north, [(west, east)]


def path_prefixes(folder: str, root: str) -> set[str]:
    """What relative paths below ``root`` begin with, without the slash, if they are in ``folder``.

    ``folder`` is relative to the root, or absolute; what begins with ``.`` or ``..`` is relative to
    the working folder, with ``~`` to the home folder. Empty text stands for everything; no prefix,
    for nothing. Accented letters are stored as one character or as two, by the system that wrote
    the name: both are among the prefixes.
    """
    given = os.path.expanduser(folder)
    if given.replace("\\", "/").split("/")[0] in (".", ".."):
        given = os.path.abspath(given)
    path = Path(os.path.normpath(given))
    if path.is_absolute():
        if Path(root).is_relative_to(path):
            return {""}
        if not path.is_relative_to(root):
            return set()
        path = path.relative_to(root)
    prefix = path.as_posix()
    if prefix == os.curdir:
        return {""}
    return {prefix, *(unicodedata.normalize(form, prefix) for form in ("NFC", "NFD"))}
