"""Small real videos, made by PyAV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np

Colour = tuple[int, int, int]


def write_video(
    path: Path,
    scenes: Sequence[tuple[Colour, float]],
    *,
    fps: int = 10,
    codec: str = "mpeg4",
    corner: Colour | None = None,
    gop: int = 12,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Scenes of a colour and a length in seconds, 160 × 96, with a ``corner`` at the upper left.

    Of ``gop`` frames one is a key frame. ``tags`` have any names in MP4 and MOV.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "use_metadata_tags"} if path.suffix.lower() in (".mp4", ".mov") else {}
    with av.open(str(path), "w", container_options=options) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.gop_size = gop
        for colour, seconds in scenes:
            pixels = np.full((96, 160, 3), colour, np.uint8)
            if corner is not None:
                pixels[:48, :80] = corner
            for _ in range(round(seconds * fps)):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, matrix: Sequence[int]) -> None:
    """Give an MP4 the display matrix ``a b c d`` (ISO 14496-12, 8.3.2: version 0 of the header)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    numbers = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    data[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    path.write_bytes(data)


def write_sound(path: Path) -> Path:
    """An MP4 with sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path
