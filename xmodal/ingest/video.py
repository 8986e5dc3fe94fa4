"""Frames of a video: one every two seconds and one after each change of scene, upright."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xmodal.errors import MediaError

EVERY = 2.0
MAX_FRAMES = 1_000
# Of a longer video only key frames are decoded: encoders put them where the scene changes, seldom
# more than ten seconds apart.
LONG = 600.0
# A change of scene is looked for so often, and taken only so long after the frame before it.
_LOOK = 0.2
_LEAST_GAP = 0.5
# Mean difference of two thumbnails, of 255: any two photographs differ by more than 34 (99 % of
# 250), a photograph and itself shifted by a fiftieth of its width by less than 15.
_CUT = 30.0
_THUMBNAIL = 16
# Degrees that the display matrix turns a frame counter-clockwise.
_UPRIGHT = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One frame: when it is shown, the upright RGB picture, the size of the upright original."""

    seconds: float
    image: Image.Image
    width: int
    height: int


def video_frames(path: Path, min_side: int) -> Iterator[VideoFrame]:
    """The frames that stand for a video, in the order of time, decoded one by one.

    The smaller side keeps ``min_side`` pixels (or its own size, if that is less). There is one
    every ``EVERY`` seconds, or as often as gives ``MAX_FRAMES``, and one after each cut. A video
    that breaks off gives what came before. Raises MediaError with the reason for a file without
    any frame, and where PyAV is not installed.
    """
    try:
        av: Any = import_module("av")
    except ImportError as error:
        raise MediaError('videos need PyAV: pip install "xmodal[video]"') from error
    found = False
    reason = "holds no frame that can be decoded"
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise MediaError("holds no video")
            stream = container.streams.video[0]
            for frame in _chosen(av, container, stream):
                found = True
                yield _picture(frame, stream.sample_aspect_ratio or 1, min_side)
    except (av.FFmpegError, ValueError) as error:
        reason = f"broken video: {getattr(error, 'strerror', None) or error}"
    if not found:
        raise MediaError(reason)


def _chosen(av: Any, container: Any, stream: Any) -> Iterator[Any]:
    stream.thread_type = "AUTO"
    duration = container.duration / av.time_base if container.duration else 0.0
    if duration > LONG:
        stream.codec_context.skip_frame = "NONKEY"
    every = max(EVERY, duration / MAX_FRAMES)
    taken = looked = -np.inf
    before: NDArray[np.float32] | None = None
    count = 0
    for frame in container.decode(stream):
        if frame.time is None or (frame.time - looked < _LOOK and frame.time - taken < every):
            continue
        now = _thumbnail(frame)
        cut = before is not None and float(np.abs(now - before).mean()) > _CUT
        before, looked = now, frame.time
        if frame.time - taken >= every or (cut and frame.time - taken >= _LEAST_GAP):
            taken = frame.time
            yield frame
            count += 1
            if count == MAX_FRAMES:
                return


def _thumbnail(frame: Any) -> NDArray[np.float32]:
    small = frame.reformat(_THUMBNAIL, _THUMBNAIL, "rgb24", interpolation="AREA")
    return np.asarray(small.to_ndarray(), np.float32)


def _picture(frame: Any, pixel_aspect: Fraction | int, min_side: int) -> VideoFrame:
    # Pixels may be wider than high; the picture is made as it is shown.
    width, height = max(1, round(frame.width * pixel_aspect)), frame.height
    scale = min(1.0, min_side / min(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = frame.reformat(*size, "rgb24", interpolation="AREA").to_image()
    turn = round(frame.rotation) % 360
    if turn in _UPRIGHT:
        image = image.transpose(_UPRIGHT[turn])
    if turn in (90, 270):
        width, height = height, width
    return VideoFrame(frame.time, image, width, height)
