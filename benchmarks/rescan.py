"""A second index run over files that did not change, beside what `find` takes to look at them.

    python benchmarks/rescan.py FOLDER [--files 100000] [--folders 100] [--runs 7] [--renames 10000]

Tiny pictures and a library of them are made in FOLDER when they are not there, with the toy encoder
of the tests (minutes), and kept. Then these are timed in turns, with warm caches, and the minima
and their ratios are printed: ``find -printf '%s %T@'``, which asks of each file its size and time;
the run as its report counts it, in a process that has done one before; the whole process
``xmodal index``; and ``xmodal --version``, the part of it that is Python. At the end files are
renamed, and back: how long the runs take that find them again, and what they decoded.
"""

import argparse
import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

PLUGIN = Path(__file__).parents[1] / "tests" / "plugin"
CLI = [sys.executable, "-c", "import sys; from xmodal.cli import main; sys.exit(main())"]
sys.path.insert(0, str(PLUGIN))

from xmodal.library import Library  # noqa: E402  (the plug-in must be found)


def picture(number: int) -> bytes:
    """A PNG of 8 × 8 pixels that no other number has."""
    row = b"\0" + struct.pack(">I", number * 2_654_435_761 % 2**32) * 6
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * 8)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def make(photos: Path, library: Path, files: int, folders: int) -> None:
    """The pictures, spread over the folders, and the library that holds them."""
    if not photos.exists():
        for number in range(files):
            folder = photos / f"{number % folders:05d}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"IMG_{number:07d}.png").write_bytes(picture(number))
    with Library.open(library, offline=True) as opened:
        first = opened.index([photos], encoder="toy")
    print(f"first run: {first.indexed:,} indexed in {first.seconds:.0f} s")


def timed(command: list[str], **environment: str) -> float:
    """The seconds that a process takes."""
    started = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    return time.perf_counter() - started


def rescan(photos: Path, library: Path, runs: int) -> dict[str, float]:
    """Minima of ``runs`` rounds, in which each way is measured once."""
    with Library.open(library, offline=True) as opened:

        def run() -> float:
            report = opened.index([photos])
            assert not report.indexed + report.moved + report.removed + report.failed
            return report.seconds

        chosen = {"XMODAL_LIBRARY": str(library), "XMODAL_OFFLINE": "1"}
        ways: dict[str, Callable[[], float]] = {
            "find": lambda: timed(["find", str(photos), "-printf", "%s %T@\n"]),
            "index run": run,
            "index process": lambda: timed([*CLI, "index", str(photos)], **chosen),
            "xmodal --version": lambda: timed([*CLI, "--version"]),
        }
        rounds = [{name: way() for name, way in ways.items()} for _ in range(runs + 1)]
    return {name: min(each[name] for each in rounds[1:]) for name in ways}


def rename(photos: Path, library: Path, count: int, find: float) -> None:
    """Rename ``count`` files, index, and the same back again."""
    files = sorted(photos.rglob("*.png"))[:count]
    renamed = [path.with_name(f"moved_{path.name}") for path in files]
    with Library.open(library, offline=True) as opened:
        for old, new in ((files, renamed), (renamed, files)):
            for path, target in zip(old, new, strict=True):
                path.rename(target)
            report = opened.index([photos])
            print(
                f"{report.moved:,} renamed: {report.indexed} decoded, {report.seconds:.2f} s, "
                f"{report.seconds / find:.1f} × find"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folders", type=int, default=100)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--renames", type=int, default=10_000)
    arguments = parser.parse_args()
    photos, library = arguments.folder / "photos", arguments.folder / "library.db"
    make(photos, library, arguments.files, arguments.folders)
    seconds = rescan(photos, library, arguments.runs)
    for name, value in seconds.items():
        print(f"{name:18} {value:6.3f} s  {value / seconds['find']:5.2f} × find")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"at most {memory:,.0f} MB of memory in the process")
    rename(photos, library, arguments.renames, seconds["find"])


if __name__ == "__main__":
    main()
