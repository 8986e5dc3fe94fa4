"""Videos: one frame every two seconds and at cuts, upright, whatever the file."""

import random
import socket
import sys
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from xmodal.errors import MediaError
from xmodal.ingest import video
from xmodal.ingest.video import frame_at, video_frames

av = pytest.importorskip("av")

from videos import turn, write_sound, write_video  # noqa: E402

RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 160, 50)


def _video(path: Path, scenes: list[tuple[tuple[int, int, int], float]], fps: int = 10) -> Path:
    return write_video(path, scenes, fps=fps, corner=(255, 255, 255))


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
    turn(path, matrix)
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


def test_a_long_video_with_too_few_key_frames_is_decoded_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", [(RED, 12)], gop=600)
    monkeypatch.setattr(video, "LONG", 5)
    assert [frame.seconds for frame in video_frames(path, 48)] == [0]
    monkeypatch.setattr(video, "SPARSE", 5)
    assert [frame.seconds for frame in video_frames(path, 48)] == pytest.approx(range(0, 12, 2))


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


def test_an_empty_video_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(MediaError, match="empty file"):
        list(video_frames(tmp_path / "a.mp4", 32))


@pytest.mark.parametrize("content", [b"no video at all", bytes(5000)])
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
    with pytest.raises(MediaError, match="holds no video"):
        list(video_frames(write_sound(tmp_path / "a.mp4"), 48))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "mpeg4"), ("mkv", "mpeg4"), ("mpg", "mpeg2video"), ("m2ts", "mpeg2video")],
)
def test_the_frame_at_a_time_is_the_one_that_was_indexed(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    # MPEG's clocks do not begin at 0; times in a video do.
    path = write_video(
        tmp_path / f"a.{suffix}", [(RED, 5), (BLUE, 4), (GREEN, 3)], fps=25, codec=codec
    )
    frames = list(video_frames(path, 48))
    assert frames[0].seconds == pytest.approx(0, abs=0.1)
    assert {_colour(frame.image) for frame in frames} == {0, 1, 2}
    for frame in frames:
        again = frame_at(path, frame.seconds, 48)
        # Not every frame of an MPG has a time; the decoder guesses the others.
        assert again.seconds == pytest.approx(frame.seconds, abs=0.041)
        assert _colour(again.image) == _colour(frame.image)
    assert _colour(frame_at(path, 1000, 48).image) == 1  # after the end: the last one


def test_a_broken_place_does_not_cost_what_follows(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.avi", [(RED, 4), (BLUE, 4), (GREEN, 4)])
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 20] = bytes(len(data) // 20)
    path.write_bytes(data)
    frames = list(video_frames(path, 48))
    assert _colour(frames[0].image) == 0
    assert _colour(frames[-1].image) == 1


def test_a_playlist_that_is_named_as_a_video_opens_nothing(tmp_path: Path) -> None:
    other = _video(tmp_path / "other.mp4", [(RED, 1)])
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        lists = (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n",
            f"ffconcat version 1.0\nfile {other.name}\n",
        )
        for content in lists:
            path = tmp_path / "list.mp4"
            path.write_text(content)
            with pytest.raises(MediaError, match="broken video"):
                list(video_frames(path, 48))
        with pytest.raises(TimeoutError):
            server.accept()


def test_without_pyav_a_video_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MediaError, match=r"pip install \"xmodal\[video\]\""):
        list(video_frames(tmp_path / "a.mp4", 48))
