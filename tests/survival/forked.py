"""A program that indexes in forked processes and kills them: ``forked.py FOLDER``.

For each line ``LIBRARY SECONDS`` of its input it starts an index run, kills it after so long, and
prints the exit status, negative for a signal. A fork has nothing to import, so that the moments
fall into the run. The batches are tiny: there are many commits to fall into.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from xmodal.ingest import pipeline, reading
from xmodal.ingest.decoders import decoders
from xmodal.library import Library


def index(library: Path, folder: Path) -> None:
    with Library.open(library) as opened:
        opened.index([folder], encoder="toy")


def killed(library: Path, folder: Path, seconds: float) -> int:
    """The exit status of an index run that gets so long."""
    child = os.fork()
    if not child:
        try:
            index(library, folder)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    folder = Path(sys.argv[1])
    pipeline.BATCH, pipeline.AHEAD, pipeline.COMMIT_PICTURES = 4, 8, 8
    reading.THREADS = 1  # each run starts decoders of its own, which takes most of its time
    with tempfile.TemporaryDirectory() as place:
        index(Path(place) / "library.db", folder)  # what a run imports late is there from now on
    decoders.close()
    for line in sys.stdin:
        library, seconds = line.rsplit(maxsplit=1)
        print(killed(Path(library), folder, float(seconds)), flush=True)


if __name__ == "__main__":
    main()
