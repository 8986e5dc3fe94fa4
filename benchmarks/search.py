"""A cold search of 100,000 synthetic photos, beside the start of Python and beside rclip's search.

    python benchmarks/search.py FOLDER [--photos 100000] [--repeats 15] [--rclip VENV/bin/python]

FOLDER keeps what is made once: a library of the sample pictures and of ``--photos`` further ones
whose features are those of two sample pictures mixed, with noise; each with a code, a feature, a
path and a keyword. In turns, each in a new process, are timed: searches, and a process that only
imports numpy, onnxruntime, sqlalchemy and typer. Printed are the minima, which other work on the
computer disturbs least, and their ratios; then ``search_many`` beside single searches, in one
process. With ``--rclip``, a Python that has rclip installed, its program searches as many photos
in the same turns, with a stand-in for its text model (``rclip_library.py``).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the commands do

import numpy as np
from rclip_library import prepare
from scale import SAMPLE, write_paths
from sqlalchemy import func, insert, select

from xmodal.encoders import load_encoder
from xmodal.encoders.background import load_background
from xmodal.encoders.base import normalise
from xmodal.library import Library
from xmodal.spaces.calibration import renew_calibration
from xmodal.spaces.code import active_code, sample_features
from xmodal.spaces.space import space_for_search
from xmodal.store.database import Database
from xmodal.store.features import write_features
from xmodal.store.models import Item, ItemKeyword, Keyword, Volume
from xmodal.store.segments import append_codes

# Arguments, environment and folder of a process; None: those of this one.
Command = tuple[list[str], dict[str, str] | None, Path | None]
START = "import numpy, onnxruntime, sqlalchemy, typer"
SEARCH = "import sys; from xmodal.cli import main; sys.exit(main())"
QUERIES = {
    "one sentence": ["a dog on the beach"],
    "two meanings, one left out, a type": ["beach", "2*sunset", "-people", "type:jpeg"],
    "a folder and a keyword": ["a dog", "in:0001*/", "keyword:k7"],
    "facts alone": ["keyword:k7"],
}
AT_ONCE = 8192
KEYWORDS = 100


def build(path: Path, photos: int) -> None:
    """Make the library, through the doors that the index run uses."""
    with Library.open(path, notify=print) as library:
        library.index([SAMPLE], captions=SAMPLE / "captions.csv", encoder="bundled")
    database = Database.open(path)
    encoder = load_encoder("bundled")
    with database.session() as session:
        space = space_for_search(session, None)
        code = active_code(session, space.id)
        sample = sample_features(session, space.id, "image")
        first = (session.scalar(select(func.max(Item.id))) or 0) + 1
        keyword = session.scalars(select(Keyword)).first()
    assert code is not None
    assert keyword is not None
    rng = np.random.default_rng(0)
    with database.writer():
        with database.transaction() as session:
            volume = Volume(path="/synthetic")
            words = [
                Keyword(name=f"k{n}", text_item_id=keyword.text_item_id) for n in range(KEYWORDS)
            ]
            session.add_all([volume, *words])
            session.flush()
            volume_id, word_ids = volume.id, [word.id for word in words]
        for start in range(first, first + photos, AT_ONCE):
            ids = np.arange(start, min(start + AT_ONCE, first + photos))
            one, other = sample[rng.integers(0, len(sample), (2, len(ids)))]
            share = rng.random((len(ids), 1), dtype=np.float32)
            noise = normalise(rng.standard_normal(one.shape, dtype=np.float32))
            features = normalise(share * one + (1 - share) * other + 0.5 * noise)
            items = [
                {"id": n, "kind": "image", "content_hash": n.to_bytes(16, "big")}
                for n in ids.tolist()
            ]
            tags = [
                {"item_id": n, "keyword_id": word_ids[n % KEYWORDS], "source": "xmp"}
                for n in ids.tolist()
            ]
            with database.transaction() as session:
                session.execute(insert(Item), items)
                session.execute(insert(ItemKeyword), tags)
                write_features(session, space.id, ids, features)
                append_codes(session, code.hasher_id, "image", ids, code.encode_images(features))
        database.close()
        write_paths(path, volume_id, first, photos)
        renew_calibration(database, code, space.id, lambda: load_background(encoder))
    database.close()


def timed(command: Command) -> float:
    """Seconds of one new process; exit code 1 says that nothing was found."""
    arguments, environment, folder = command
    started = time.perf_counter()
    done = subprocess.run(
        arguments, env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return seconds


def in_turns(commands: dict[str, Command], repeats: int) -> dict[str, float]:
    """The least seconds of each command."""
    least = dict.fromkeys(commands, float("inf"))
    for _ in range(repeats + 1):  # one more, to fill the page cache
        for name, command in commands.items():
            least[name] = min(least[name], timed(command))
    return least


def many(path: Path, repeats: int) -> tuple[float, float]:
    """Seconds of 64 queries one by one, and at once; the library and the encoder are loaded."""
    queries = [f"{what} {where}" for what in SUBJECTS for where in PLACES]
    alone = together = float("inf")
    with Library.open(path) as library:
        library.search_many(queries[:2])
        for _ in range(repeats):
            started = time.perf_counter()
            expected = [library.search(query) for query in queries]
            between = time.perf_counter()
            found = library.search_many(queries)
            together = min(together, time.perf_counter() - between)
            alone = min(alone, between - started)
            same = sum(a == b for a, b in zip(expected, found, strict=True))
    print(f"{same} of {len(queries)} answers are the same to the last digit")
    return alone, together


SUBJECTS = ("a dog", "a cat", "children", "a red car", "a boat", "flowers", "a bird", "bread")
PLACES = ("at night", "on the beach", "in snow", "in a town", "in a field", "indoors", "", "alone")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--rclip", type=Path, metavar="PYTHON")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    library = options.folder / f"{options.photos}.db"
    if not library.exists():
        started = time.perf_counter()
        building = library.with_suffix(".building.db")
        for left in options.folder.glob(f"{building.name}*"):
            left.unlink()
        build(building, options.photos)
        building.rename(library)
        print(f"built in {time.perf_counter() - started:.0f} s")
    commands: dict[str, Command] = {"imports": ([sys.executable, "-c", START], None, None)}
    for name, words in QUERIES.items():
        search = [sys.executable, "-c", SEARCH, "search", *words, "--library", str(library)]
        commands[name] = (search, None, None)
    if options.rclip:
        commands["rclip"] = prepare(options.rclip, options.folder, options.photos)
    before = os.getloadavg()[0]
    least = in_turns(commands, options.repeats)
    load = max(before, os.getloadavg()[0])
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {load:.1f}; least of "
          f"{options.repeats + 1}, {options.photos:,} photos")  # fmt: skip
    for name, seconds in least.items():
        print(f"| {name} | {1000 * seconds:.0f} ms | {seconds / least['imports']:.2f} |")
    alone, together = many(library, max(3, options.repeats // 5))
    print(f"| 64 queries | {1000 * alone:.0f} ms one by one | {1000 * together:.0f} ms at once | "
          f"{alone / together:.1f} |")  # fmt: skip
    print(json.dumps({name: round(seconds, 4) for name, seconds in least.items()}))


if __name__ == "__main__":
    main()
