"""A library of 100 million synthetic photos, searched from a cold process to printed results.

    python benchmarks/scale.py LIBRARY.db [--photos 100000000] [--runs 7]

The file is built when it is not there (the sample library, then random codes, ids that run on, and
a path for each; about 110 bytes a photo with all indexes, most of them for the paths) and kept.
Then a search by words and the start of Python with numpy, onnxruntime and sqlalchemy are timed in
turns, each in a new process, and the medians and their ratio are printed.
"""

import argparse
import sqlite3
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from sqlalchemy import func, insert, select

from xmodal.hamming import to_planes
from xmodal.library import Library
from xmodal.store.database import Database
from xmodal.store.layout import pack_segment
from xmodal.store.models import HasherRecord, Item, Segment, Volume
from xmodal.store.segments import SEGMENT_CODES

SAMPLE = Path(__file__).parents[1] / "assets" / "sample"
SEGMENTS_A_COMMIT = 64
PATHS_A_COMMIT = 1_000_000
START = "import numpy, onnxruntime, sqlalchemy"
SEARCH = "import sys; from xmodal.cli import main; sys.exit(main())"


def build(path: Path, photos: int) -> None:
    """Make the library: the sample pictures, then ``photos`` items with random codes and paths."""
    with Library.open(path, notify=print) as library:
        library.index([SAMPLE], captions=SAMPLE / "captions.csv", encoder="bundled")
    database = Database.open(path)
    with database.session() as session:
        first = (session.scalar(select(func.max(Item.id))) or 0) + 1
        hasher = session.scalars(select(HasherRecord).where(HasherRecord.state == "active")).one()
    with database.transaction() as session:
        volume = Volume(path="/synthetic")
        session.add(volume)
        session.flush()
        volume_id = volume.id
    rng = np.random.default_rng(0)
    starts = range(first, first + photos, SEGMENT_CODES)
    for commit in range(0, len(starts), SEGMENTS_A_COMMIT):
        with database.transaction() as session:
            for start in starts[commit : commit + SEGMENTS_A_COMMIT]:
                ids = np.arange(start, min(start + SEGMENT_CODES, first + photos))
                codes = rng.integers(0, 256, (len(ids), hasher.bits // 8), dtype=np.uint8)
                values = asdict(pack_segment(ids, to_planes(codes)))
                session.execute(
                    insert(Segment).values(hasher_id=hasher.id, modality="image", **values)
                )
    database.close()
    write_paths(path, volume_id, first, photos)


def write_paths(path: Path, volume_id: int, first: int, photos: int) -> None:
    """A file for each item, straight into the table: indexes are dropped and made again after."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'file' AND sql LIKE 'CREATE INDEX%'"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for start in range(first, first + photos, PATHS_A_COMMIT):
        stop = min(start + PATHS_A_COMMIT, first + photos)
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
            "INSERT INTO file (volume_id, relative_path, size, mtime_ns, item_id, state) "
            "SELECT ?, printf('%06d/%02d.jpg', i / 100, i % 100), 0, 0, i, 'present' FROM n",
            (start, stop, volume_id),
        )
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def timed(program: str, *arguments: str) -> tuple[float, str]:
    """Seconds and output of one new process."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(done.stderr)
    return seconds, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library", type=Path)
    parser.add_argument("--photos", type=lambda text: int(float(text)), default=100_000_000)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    if not options.library.exists():
        started = time.perf_counter()
        build(options.library, options.photos)
        print(f"built in {time.perf_counter() - started:.0f} s")
    search = ("search", "a dog on the beach", "-k", "100", "--library", str(options.library))
    timed(SEARCH, *search)  # reads the file into the page cache
    starts, searches = [], []
    for _ in range(options.runs):
        starts.append(timed(START)[0])
        seconds, output = timed(SEARCH, *search)
        searches.append(seconds)
    start, found = statistics.median(starts), statistics.median(searches)
    print(f"file                                {options.library.stat().st_size / 1e9:8.2f} GB")
    print(f"results                             {len(output.splitlines()):8}")
    print(f"numpy, onnxruntime, sqlalchemy      {start:8.2f} s")
    print(f"search of {options.photos:11,} photos       {found:8.2f} s")
    print(f"ratio                               {found / start:8.2f}")


if __name__ == "__main__":
    main()
