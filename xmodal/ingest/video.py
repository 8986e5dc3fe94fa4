"""Frames of a video: one every two seconds and one after each change of scene, upright."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xmodal.errors import MediaError
from xmodal.ingest.memory import BUDGET, Admit, Need, decoding_memory

_NAMES = (
    "3g2 3gp asf avi divx flv m2ts m2v m4v mkv mov mp4 mpe mpeg mpg mts mxf ogv qt vob webm wmv"
)
VIDEO_SUFFIXES = frozenset(_NAMES.split())
WITHOUT_PYAV = 'videos need PyAV: pip install "xmodal[video]"'
EVERY = 2.0
MAX_FRAMES = 1_000
# Of a longer video only key frames are decoded: encoders put them where the scene changes, seldom
# more than ten seconds apart. Where the index says that they are rarer than SPARSE (programs that
# record a screen may write a single one), all frames are decoded.
LONG = 600.0
SPARSE = 60.0
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
# FFmpeg tells formats by their content, whatever the suffix. Its playlists would open other files
# and addresses, so only these are let in, and only files.
_FORMATS = "mov,matroska,avi,mpeg,mpegvideo,mpegts,asf,ogg,flv,mxf"
_OPTIONS = {"format_whitelist": _FORMATS, "protocol_whitelist": "file", "export_xmp": "1"}
# Peak bytes a pixel with 8 bits, measured with PyAV 18: 16 reference frames and four threads take
# 46 (H.264), four frames of 10 bits 38 (HEVC); each further thread takes 2.5.
_BYTES_PER_PIXEL = 50
_THREADS = 4
_MAX_MEGAPIXELS = 70
# What is handed on holds at most this many pixels, however long and thin it is.
_MOST_PIXELS = 4_000_000
_MICROSECOND = 1e-6
# Some containers have no index: winding them leads behind the frame, then so much earlier is
# tried, and at last the whole video is decoded up to it.
_EARLY = (0.0, 10.0, None)
_SAME = 0.001  # times are kept in thousandths


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One frame: when it is shown, the upright RGB picture, the size of the upright original.

    ``seconds`` count from the beginning of the video, in thousandths.
    """

    seconds: float
    image: Image.Image
    width: int
    height: int


def is_video(name: str | PurePath) -> bool:
    """Whether a file is named as a video is.

    >>> is_video("2019/IMG_1.MOV"), is_video("IMG_1.jpg")
    (True, False)
    """
    return PurePath(name).suffix.lower().removeprefix(".") in VIDEO_SUFFIXES


@cache
def pyav_version() -> str | None:
    """The version of PyAV, None where it is not installed."""
    try:
        return str(import_module("av").__version__)
    except ImportError:
        return None


def video_frames(
    path: Path,
    min_side: int,
    admit: Admit = decoding_memory.admit,
    tick: Callable[[], None] = _nothing,
) -> Iterator[VideoFrame]:
    """The frames that stand for a video, in the order of time, decoded one by one.

    The smaller side keeps ``min_side`` pixels (or its own size, if that is less). There is one
    every ``EVERY`` seconds, or as often as gives ``MAX_FRAMES``, and one after each cut. What is
    broken is left out, and a video that breaks off gives what came before. ``admit`` is entered
    with what decoding will need and may wait; ``tick`` is called whenever decoding got further.
    Raises MediaError with the reason for a file without any frame, and where PyAV is not
    installed.
    """
    found = False
    reason = "holds no frame that can be decoded"
    try:
        with _opened(path) as (av, container, stream), admit(_need(stream)):
            start = _start(container)
            for frame in _chosen(av, container, stream, tick):
                found = True
                yield _picture(frame, start, stream.sample_aspect_ratio or 1, min_side)
    except MediaError:
        if not found:
            raise
    if not found:
        raise MediaError(reason)


def frame_at(
    path: Path, seconds: float, min_side: int, admit: Admit = decoding_memory.admit
) -> VideoFrame:
    """The frame that is shown ``seconds`` after the beginning, or the last one before that.

    ``min_side``, ``admit`` and what is raised are as for :func:`video_frames`.
    """
    for early in _EARLY:
        with _opened(path) as (av, container, stream), admit(_need(stream)):
            start, shown = _start(container), None
            if early is not None:
                with suppress(av.FFmpegError):
                    container.seek(int(max(0.0, start + seconds - early) / _MICROSECOND))
            for frame in _decoded(av, container, stream, _nothing):
                late = frame.time - start - seconds
                if shown is None and late > _SAME and early is not None:
                    break
                shown = frame
                if late >= -_SAME:
                    break
            if shown is not None:
                return _picture(shown, start, stream.sample_aspect_ratio or 1, min_side)
    raise MediaError("holds no frame that can be decoded")


def video_tags(path: Path) -> dict[str, str]:
    """What the file says about itself, by the names that FFmpeg gives, in lower case.

    ``xmp`` is the XMP packet of an MP4. Raises MediaError as :func:`video_frames` does.
    """
    with _opened(path) as (_, container, stream):
        return {
            str(name).lower(): str(value)
            for tags in (stream.metadata, container.metadata)
            for name, value in tags.items()
        }


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """PyAV, the container and its video stream: of several the largest, rather than a cover."""
    try:
        av: Any = import_module("av")
    except ImportError as error:
        raise MediaError(WITHOUT_PYAV) from error
    if path.is_file() and not path.stat().st_size:
        raise MediaError("empty file")
    try:
        with av.open(str(path), options=_OPTIONS, metadata_errors="replace") as container:
            stream = container.streams.best("video")
            if stream is None:
                raise MediaError("holds no video")
            if stream.codec_context is None:
                raise MediaError("holds no video of a codec that is known here")
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = _THREADS
            yield av, container, stream
    except av.MemoryError as error:
        raise MediaError("not enough memory to decode it") from error
    except av.InvalidDataError as error:  # also where the end, with the index of an MP4, is missing
        raise MediaError("broken video: cut off, or not a video") from error
    except (av.FFmpegError, ValueError) as error:
        details = getattr(error, "strerror", None) or error
        raise MediaError(f"broken video: {details}") from error


def _need(stream: Any) -> Need:
    pixels = stream.codec_context.width * stream.codec_context.height
    megapixels = pixels / 1e6
    if megapixels > _MAX_MEGAPIXELS:
        raise MediaError(
            f"too large to decode: frames of {megapixels:,.0f} megapixels, the limit is "
            f"{_MAX_MEGAPIXELS}"
        )
    depth = max((part.bits for part in getattr(stream.format, "components", ())), default=8)
    return Need(min(BUDGET, _BYTES_PER_PIXEL * pixels * (2 if depth > 8 else 1)), megapixels)


def _start(container: Any) -> float:
    """When the video begins, on the clock of its frames: camcorders let theirs run on."""
    return (container.start_time or 0) * _MICROSECOND


def _decoded(av: Any, container: Any, stream: Any, tick: Callable[[], None]) -> Iterator[Any]:
    """Every frame whose time is known; a packet that is broken costs its own frames."""
    for packet in container.demux(stream):
        tick()
        frames: list[Any] = []
        with suppress(av.InvalidDataError):
            frames = packet.decode()
        for frame in frames:
            tick()
            if frame.time is not None:
                yield frame


def _chosen(av: Any, container: Any, stream: Any, tick: Callable[[], None]) -> Iterator[Any]:
    duration = (container.duration or 0) * _MICROSECOND
    if duration > LONG and not _sparse(stream, duration):
        stream.codec_context.skip_frame = "NONKEY"
    every = max(EVERY, duration / MAX_FRAMES)
    taken = looked = -np.inf
    before: NDArray[np.float32] | None = None
    count = 0
    for frame in _decoded(av, container, stream, tick):
        if frame.time - looked < _LOOK and frame.time - taken < every:
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


def _sparse(stream: Any, duration: float) -> bool:
    """Whether the index, where it lists all of the video, has key frames too far apart."""
    entries = getattr(stream, "index_entries", None) or ()
    if not entries or entries[-1].timestamp * stream.time_base < duration / 2:
        return False
    keys = [entry.timestamp * stream.time_base for entry in entries if entry.is_keyframe]
    return any(after - key > SPARSE for key, after in pairwise([*keys, duration]))


def _thumbnail(frame: Any) -> NDArray[np.float32]:
    small = frame.reformat(_THUMBNAIL, _THUMBNAIL, "rgb24", interpolation="AREA")
    return np.asarray(small.to_ndarray(), np.float32)


def _picture(frame: Any, start: float, pixel_aspect: Fraction | int, min_side: int) -> VideoFrame:
    # Pixels may be wider than high; the picture is made as it is shown.
    width, height = max(1, round(frame.width * pixel_aspect)), frame.height
    scale = min(1.0, min_side / min(width, height), (_MOST_PIXELS / (width * height)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = frame.reformat(*size, "rgb24", interpolation="AREA").to_image()
    turn = round(frame.rotation) % 360
    if turn in _UPRIGHT:
        image = image.transpose(_UPRIGHT[turn])
    if turn in (90, 270):
        width, height = height, width
    return VideoFrame(round(max(0.0, frame.time - start), 3), image, width, height)
