"""Decoding in processes of their own: a decoder that crashes or hangs costs one file.

``decoder_process.py`` is what runs there, and defines the messages.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from PIL import Image

from xmodal.errors import MediaError
from xmodal.ingest.decode import Picture
from xmodal.ingest.decoder_process import (
    ALIVE,
    ANSWER,
    BROKEN,
    DECODE,
    END,
    FRAME_AT,
    FRAMES,
    GO,
    IDLE_SECONDS,
    MEGAPIXELS,
    NEED,
    REQUEST,
    SIZES,
    TAGS,
    UNREADABLE,
)
from xmodal.ingest.memory import MemoryBudget, Need
from xmodal.ingest.video import VideoFrame

# A picture, or one of all the frames of a video, may take so long, and a large one more for each
# megapixel, once its memory is free.
SECONDS = 10.0
SECONDS_PER_MEGAPIXEL = 0.1
# What bad data does to a decoder; other signals come from people and from systems short of memory.
_CRASHES = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL")
    if hasattr(signal, name)
}  # fmt: skip
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_WINDOWS_CRASH = range(0xC0000000, 0xC0000100)


class DecoderStopped(Exception):
    """A decoder process ended or was ended for reasons that need not lie in the file."""


class Decoders:
    """Processes that decode, as many as there are threads that ask, started when first needed.

    One that nobody needs ends by itself, as all do with this process.
    """

    def __init__(self) -> None:
        self._memory = MemoryBudget()
        self._lock = threading.Lock()
        self._idle: list[_Process] = []

    def close(self) -> None:
        """End the processes that are idle; the object can be used again."""
        with self._lock:
            ended, self._idle = self._idle, []
        for process in ended:
            process.end()

    def decode(self, path: Path, min_side: int) -> Picture:
        """``decode_picture`` in a process.

        Raises MediaError for what the content is to blame for, OSError for a file that cannot be
        read, and DecoderStopped when the time is over or the process was killed.
        """
        frame = _frame(self._one(DECODE, path, min_side))
        return Picture(frame.image, frame.width, frame.height)

    def frames(self, path: Path, min_side: int) -> Generator[VideoFrame, None, None]:
        """``video_frames`` in a process, which waits until each frame is asked for.

        Raises what :meth:`decode` raises. Close it when not all frames are wanted.
        """
        with self._lent() as process, closing(process.ask(FRAMES, path, min_side)) as bodies:
            for body in bodies:
                yield _frame(body)

    def frame_at(self, path: Path, seconds: float, min_side: int) -> VideoFrame:
        """``frame_at`` of a video in a process; raises what :meth:`decode` raises."""
        return _frame(self._one(FRAME_AT, path, min_side, seconds))

    def video_tags(self, path: Path) -> dict[str, str]:
        """``video_tags`` in a process; raises what :meth:`decode` raises."""
        tags: dict[str, str] = json.loads(self._one(TAGS, path))
        return tags

    def _one(self, wanted: bytes, path: Path, min_side: int = 0, seconds: float = 0.0) -> bytes:
        with self._lent() as process:
            (body,) = process.ask(wanted, path, min_side, seconds)
            return body

    @contextmanager
    def _lent(self) -> Iterator["_Process"]:
        process = self._waiting() or _Process(self._memory)
        try:
            yield process
        finally:
            if process.running():
                with self._lock:
                    self._idle.append(process)

    def _waiting(self) -> "_Process | None":
        while True:
            with self._lock:
                if not self._idle:
                    return None
                process = self._idle.pop()
            if process.fresh():
                return process
            process.end()


class _Process:
    """One decoder process; it serves one thread at a time."""

    def __init__(self, memory: MemoryBudget) -> None:
        self._memory = memory
        self._limit = SECONDS
        self._timed_out = False
        self._asked = time.monotonic()
        paths = os.pathsep.join(path for path in sys.path if path)
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "xmodal.ingest.decoder_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
            # Ctrl-C is for the index run, which ends its decoders when it has committed.
            process_group=None if sys.platform == "win32" else 0,
            creationflags=_NEW_GROUP,
        )
        self._requests = cast(IO[bytes], self._popen.stdin)
        self._answers = cast(IO[bytes], self._popen.stdout)

    def running(self) -> bool:
        return self._popen.poll() is None and not self._timed_out

    def fresh(self) -> bool:
        """Whether the process waits, and is not about to end because nobody asked it."""
        return self.running() and time.monotonic() - self._asked < IDLE_SECONDS / 2

    def end(self) -> None:
        """End the process, whatever it does."""
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._requests, self._answers):
            with suppress(OSError):
                pipe.close()

    def ask(
        self, wanted: bytes, path: Path, min_side: int, seconds: float = 0.0
    ) -> Generator[bytes, None, None]:
        """The bodies of the answers: one, or as many as there are FRAMES."""
        try:
            kind = body = b""
            with closing(self._answered(wanted, path, min_side, seconds)) as answers:
                for kind, body in answers:
                    if kind not in (END, BROKEN, UNREADABLE):
                        yield body
        except BaseException as error:
            self.end()  # nothing else can follow in the middle of a message
            if isinstance(error, EOFError | BrokenPipeError):
                raise self._why_ended() from error
            raise
        if kind in (BROKEN, UNREADABLE):
            reason = body.decode("utf-8", "replace")
            raise OSError(reason) if kind == UNREADABLE else MediaError(reason)

    def _answered(
        self, wanted: bytes, path: Path, min_side: int, seconds: float
    ) -> Generator[tuple[bytes, bytes], None, None]:
        """The kind and the body of each answer."""
        self._limit = SECONDS
        name = os.fsencode(path)
        self._send(REQUEST.pack(wanted, min_side, seconds, len(name)) + name)
        with ExitStack() as admitted:
            kind = b""
            while kind not in (END, BROKEN, UNREADABLE):
                kind, size = ANSWER.unpack(self._receive(ANSWER.size))
                if kind == NEED:
                    (megapixels,) = MEGAPIXELS.unpack(self._receive(MEGAPIXELS.size))
                    admitted.close()  # a raw file asks for itself, then for its preview
                    admitted.enter_context(self._memory.admit(Need(size, megapixels)))
                    self._limit = SECONDS + SECONDS_PER_MEGAPIXEL * megapixels
                    self._send(GO)
                elif kind != ALIVE:
                    body = self._receive(size)
                    self._asked = time.monotonic()
                    yield kind, body
                    if wanted != FRAMES:
                        return

    def _send(self, message: bytes) -> None:
        self._requests.write(message)
        self._requests.flush()

    def _receive(self, size: int) -> bytes:
        """The next ``size`` bytes; EOFError when the process ended, or was ended for its time."""
        timer = threading.Timer(self._limit, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            data = self._answers.read(size)
        finally:
            timer.cancel()
        if len(data) < size:
            raise EOFError
        return data

    def _time_out(self) -> None:
        self._timed_out = True
        self._popen.kill()

    def _why_ended(self) -> Exception:
        if self._timed_out:
            return DecoderStopped(f"decoding it took more than {self._limit:.0f} s")
        code = self._popen.returncode
        if -code in _CRASHES:
            return MediaError(f"its decoder crashed ({signal.Signals(-code).name})")
        if code in _WINDOWS_CRASH:
            return MediaError(f"its decoder crashed (0x{code:08X})")
        return DecoderStopped(f"its decoder was ended (code {code}), perhaps for lack of memory")


def _frame(body: bytes) -> VideoFrame:
    seconds, width, height, *size = SIZES.unpack_from(body)
    image = Image.frombytes("RGB", (size[0], size[1]), body[SIZES.size :])
    return VideoFrame(seconds, image, width, height)


decoders = Decoders()
