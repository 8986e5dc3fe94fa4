"""The program of a decoder process: paths come in, reduced pictures, frames or reasons go out.

It runs as ``python -m xmodal.ingest.decoder_process`` and ends with its standard input. What a
broken file does to a decoder, it does here: the index run sees a process that ended and starts
another. ``decoders.py`` is the other end.
"""

import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from xmodal.errors import MediaError
from xmodal.ingest.decode import decode_picture
from xmodal.ingest.memory import SMALL, Admit, Need

# A request is what is wanted, the smaller side, the time of FRAME_AT, and a path of so many bytes.
REQUEST = struct.Struct("<cIdI")
DECODE, FRAMES, FRAME_AT, TAGS = b"d", b"f", b"a", b"t"
# Every answer begins with one of these letters and a length in bytes, or, for NEED, the need.
ANSWER = struct.Struct("<cQ")
PICTURE, TEXTS, BROKEN, UNREADABLE, NEED = b"p", b"t", b"b", b"u", b"n"
# Before the last answer to FRAMES, which is empty, a frame; before any answer, that it got further.
FRAME, ALIVE, END = b"f", b"a", b"e"
MEGAPIXELS = struct.Struct("<d")  # after NEED, before which the process waits for GO
GO = b"g"
# Seconds, the size of the original and that of the picture whose RGB bytes follow.
SIZES = struct.Struct("<dIIII")
# A process that waits so long for a request ends, and so does one that works longer than anyone
# waits for it: should the index run be killed, a decoder that hangs must not live on.
IDLE_SECONDS = 30
_BUSY_SECONDS = 600
_ALIVE_SECONDS = 1.0
# Libraries, stacks and allocators take part of the address space; pictures have MemoryBudget.
_ADDRESS_SPACE = 3_000_000_000


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""

    def answer(kind: bytes, body: bytes = b"") -> None:
        answers.write(ANSWER.pack(kind, len(body)))
        answers.write(body)
        answers.flush()

    @contextmanager
    def admit(need: Need) -> Iterator[None]:
        if need.bytes >= SMALL or need.megapixels * 1e6 >= SMALL:
            answers.write(ANSWER.pack(NEED, need.bytes) + MEGAPIXELS.pack(need.megapixels))
            answers.flush()
            if requests.read(len(GO)) != GO:
                raise SystemExit
        yield

    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        wanted, min_side, seconds, length = REQUEST.unpack(head)
        path = Path(os.fsdecode(requests.read(length)))
        _end_after(_BUSY_SECONDS)
        try:
            if wanted == DECODE:
                last = PICTURE, _picture(path, min_side, admit)
            else:
                last = _video(wanted, path, min_side, seconds, admit, answer)
        except MediaError as error:
            last = BROKEN, str(error).encode("utf-8", "replace")
        except MemoryError:
            last = BROKEN, b"not enough memory to decode it"
        except OSError as error:
            last = UNREADABLE, (error.strerror or str(error)).encode("utf-8", "replace")
        except Exception as error:  # what no plug-in should raise must not end the run either
            reason = f"cannot be decoded: {error or type(error).__name__}"
            last = BROKEN, reason.encode("utf-8", "replace")
        answer(*last)
        _end_after(IDLE_SECONDS)


def _picture(path: Path, min_side: int, admit: Admit) -> bytes:
    with path.open("rb") as stream:
        picture = decode_picture(stream, min_side, admit)
    return _pixels(0.0, picture.image, picture.width, picture.height)


def _video(
    wanted: bytes,
    path: Path,
    min_side: int,
    seconds: float,
    admit: Admit,
    answer: Callable[..., None],
) -> tuple[bytes, bytes]:
    from xmodal.ingest.video import frame_at, pyav_version, video_frames, video_tags

    pyav_version()
    answer(ALIVE)  # loading FFmpeg is nothing that the video is to blame for
    path.open("rb").close()  # a missing file is not a broken video
    if wanted == TAGS:
        return TEXTS, json.dumps(video_tags(path)).encode("utf-8", "replace")
    if wanted == FRAME_AT:
        frame = frame_at(path, seconds, min_side, admit)
        return PICTURE, _pixels(frame.seconds, frame.image, frame.width, frame.height)
    told = time.monotonic()

    def tick() -> None:
        nonlocal told
        if time.monotonic() - told > _ALIVE_SECONDS:
            answer(ALIVE)
            told = time.monotonic()
            _end_after(_BUSY_SECONDS)

    for frame in video_frames(path, min_side, admit, tick):
        # It may take any time until the frame is wanted; should nobody want it, the pipe is gone.
        _end_after(0)
        answer(FRAME, _pixels(frame.seconds, frame.image, frame.width, frame.height))
        _end_after(_BUSY_SECONDS)
    return END, b""


def _pixels(seconds: float, image: Image.Image, width: int, height: int) -> bytes:
    return SIZES.pack(seconds, width, height, *image.size) + image.tobytes()


def _end_after(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)  # nothing handles it: the process ends whatever holds the interpreter


def _limit() -> None:
    with suppress(ImportError, ValueError, OSError):  # not every system has such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))


def _main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever libraries print must not come between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit()
    _end_after(IDLE_SECONDS)
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
