"""Videos: one frame every two seconds and at cuts, upright, whatever the file."""

import random
import struct
import sys
import wave
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from xmodal.errors import MediaError
from xmodal.ingest import video
from xmodal.ingest.video import video_frames

av = pytest.importorskip("av")
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 160, 50)


def _video(path: Path, scenes: list[tuple[tuple[int, int, int], float]], fps: int = 10) -> Path:
    """Scenes of a colour and a length in seconds, with a white corner at the upper left."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for colour, seconds in scenes:
            pixels = np.full((96, 160, 3), colour, np.uint8)
            pixels[:48, :80] = 255
            for _ in range(round(seconds * fps)):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _colour(image: object) -> int:
    """The strongest channel of the lower right corner."""
    return int(np.asarray(image)[-5, -5].argmax())


def test_there_is_a_frame_every_two_seconds(tmp_path: Path) -> None:
    frames = list(video_frames(_video(tmp_path / "a.mp4", [(RED, 7)]), 48))
    assert [frame.seconds for frame in frames] == pytest.approx([0, 2, 4, 6])
    assert {(frame.width, frame.height, frame.image.size) for frame in frames} == {
        (160, 96, (80, 48))
    }


def test_a_cut_gives_a_frame_of_the_new_scene(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.mp4", [(RED, 3), (BLUE, 1), (GREEN, 2.5)])
    frames = list(video_frames(path, 48))
    seen = [(round(frame.seconds, 1), _colour(frame.image)) for frame in frames]
    assert [colour for _, colour in seen] == [0, 0, 2, 1, 1]
    assert seen[2][0] == pytest.approx(3, abs=0.2)
    assert seen[3][0] == pytest.approx(4, abs=0.2)


def test_flicker_does_not_fill_the_library(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.mp4", [(RED, 0.2), (BLUE, 0.2)] * 10)
    gaps = [b.seconds - a.seconds for a, b in pairwise(video_frames(path, 48))]
    assert min(gaps) >= 0.5 - 1e-6


@pytest.mark.parametrize(
    ("matrix", "size", "white"),
    [
        ((0, 1, -1, 0), (96, 160), (1, 0)),  # a quarter turn clockwise: to the upper right
        ((-1, 0, 0, -1), (160, 96), (1, 1)),
        ((0, -1, 1, 0), (96, 160), (0, 1)),
    ],
)
def test_frames_are_upright(
    matrix: tuple[int, ...], size: tuple[int, int], white: tuple[int, int], tmp_path: Path
) -> None:
    path = _video(tmp_path / "a.mp4", [(RED, 1)])
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2: the matrix of a version 0 header
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    (frame,) = video_frames(path, 1000)
    assert (frame.width, frame.height) == frame.image.size == size
    corner = tuple(
        5 if place == 0 else length - 5 for place, length in zip(white, size, strict=True)
    )
    assert min(frame.image.getpixel(corner)) > 200


def test_of_a_long_video_only_key_frames_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _video(tmp_path / "a.mp4", [(RED, 12)])
    monkeypatch.setattr(video, "LONG", 5)
    monkeypatch.setattr(video, "EVERY", 0.1)
    with av.open(str(path)) as container:
        keys = [frame.time for frame in container.decode(video=0) if frame.key_frame]
    assert 1 < len(keys) < 20
    assert [frame.seconds for frame in video_frames(path, 48)] == pytest.approx(keys)


def test_there_are_never_more_frames_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _video(tmp_path / "a.mp4", [(RED, 12)])
    monkeypatch.setattr(video, "MAX_FRAMES", 3)
    assert [f.seconds for f in video_frames(path, 48)] == pytest.approx([0, 4, 8], abs=0.11)


def test_a_video_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.mpg", [(RED, 9)])
    whole = len(list(video_frames(path, 48)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert 0 < len(list(video_frames(path, 48))) < whole


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(5000)])
def test_what_is_no_video_is_refused_with_its_reason(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match="broken video"):
        list(video_frames(path, 48))


def test_wide_pixels_are_shown_wide(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(np.zeros((96, 160, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    (frame,) = video_frames(path, 48)
    assert (frame.width, frame.height, frame.image.size) == (320, 96, (160, 48))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "mpg"])
def test_corrupted_videos_give_frames_or_a_reason(suffix: str, tmp_path: Path) -> None:
    path = _video(tmp_path / f"a.{suffix}", [(RED, 3), (BLUE, 3)])
    data, chance = path.read_bytes(), random.Random(0)
    frames = 0
    for _ in range(30):
        # The index of an mp4 stands at its end: truncated it gives nothing.
        broken = bytearray(data[: chance.choice((len(data), len(data) // 2))])
        for _ in range(chance.randint(0, 30)):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        with suppress(MediaError):
            frames += len(list(video_frames(path, 48)))
    assert frames > 15


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(MediaError, match="holds no video"):
        list(video_frames(path, 48))


def test_without_pyav_a_video_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MediaError, match=r"pip install \"xmodal\[video\]\""):
        list(video_frames(tmp_path / "a.mp4", 48))
