"""The program of a decoder process: paths come in, reduced pictures or reasons go out.

It runs as ``python -m xmodal.ingest.decoder_process`` and ends with its standard input. What a
broken file does to a decoder, it does here: the index run sees a process that ended and starts
another. ``decoders.py`` is the other end.
"""

import os
import signal
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from xmodal.errors import MediaError
from xmodal.ingest.decode import decode_picture
from xmodal.ingest.memory import SMALL, Need

# A request is the smaller side that is wanted, and a path of so many bytes.
REQUEST = struct.Struct("<II")
# Every answer begins with one of these letters and a length in bytes, or, for NEED, the need.
ANSWER = struct.Struct("<cQ")
PICTURE, BROKEN, UNREADABLE, NEED = b"p", b"b", b"u", b"n"
MEGAPIXELS = struct.Struct("<d")  # after NEED, before which the process waits for GO
GO = b"g"
SIZES = struct.Struct("<IIII")  # of the original and of the picture whose RGB bytes follow
# A process that waits so long for a request ends, and so does one that works longer than anyone
# waits for it: should the index run be killed, a decoder that hangs must not live on.
IDLE_SECONDS = 30
_BUSY_SECONDS = 600
# Libraries, stacks and allocators take part of the address space; pictures have MemoryBudget.
_ADDRESS_SPACE = 3_000_000_000


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""

    @contextmanager
    def admit(need: Need) -> Iterator[None]:
        if need.bytes >= SMALL or need.megapixels * 1e6 >= SMALL:
            answers.write(ANSWER.pack(NEED, need.bytes) + MEGAPIXELS.pack(need.megapixels))
            answers.flush()
            if requests.read(len(GO)) != GO:
                raise SystemExit
        yield

    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        min_side, length = REQUEST.unpack(head)
        path = Path(os.fsdecode(requests.read(length)))
        _end_after(_BUSY_SECONDS)
        kind, body = BROKEN, b""
        try:
            with path.open("rb") as stream:
                picture = decode_picture(stream, min_side, admit)
            kind = PICTURE
            body = SIZES.pack(picture.width, picture.height, *picture.image.size)
            body += picture.image.tobytes()
        except MediaError as error:
            body = str(error).encode("utf-8", "replace")
        except MemoryError:
            body = b"not enough memory to decode it"
        except OSError as error:
            kind, body = UNREADABLE, (error.strerror or str(error)).encode("utf-8", "replace")
        except Exception as error:  # what no plug-in should raise must not end the run either
            body = f"cannot be decoded: {error or type(error).__name__}".encode("utf-8", "replace")
        answers.write(ANSWER.pack(kind, len(body)))
        answers.write(body)
        answers.flush()
        _end_after(IDLE_SECONDS)


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
