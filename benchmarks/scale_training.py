"""What fitting costs a row as rows grow, what it holds in memory, and what further rows cost.

    python benchmarks/scale_training.py --hasher lemon --rows 100000 1000000

Made-up pairs lie in files under ``--folder`` and are memory-mapped, so that the memory printed is
the hasher's own (Linux; elsewhere "–"). Ratios are to the first row count, all in one run.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from xmodal.hashing import Hasher, create_hasher

CHUNK = 10_000
FURTHER = 10_000
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hasher", default="lemon")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where the pairs are put; default: temporary")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        most = max(args.rows)
        pairs = make_pairs(Path(folder), most + FURTHER, args.dim, args.classes)
        further = [values[most:] for values in pairs]
        few = create_hasher(args.hasher, args.bits).fit(*(values[:FURTHER] for values in pairs))
        first = None
        print(f"{args.hasher}, {args.bits} bits, {args.dim} columns, {args.classes} labels")
        for rows in args.rows:
            hasher = create_hasher(args.hasher, args.bits)
            part = [values[:rows] for values in pairs]
            seconds, peak = measured(lambda h=hasher, p=part: h.fit(*p))
            first = first or seconds / rows
            print(
                f"{rows:>9} rows: {seconds:6.1f} s, {1e6 * seconds / rows:6.1f} µs a row "
                f"(ratio {seconds / rows / first:.2f}), {peak} beyond the input"
            )
        if hasher.streams:
            print_further(few, hasher, most, further)


def print_further(few: Hasher, many: Hasher, rows: int, further: list[np.ndarray]) -> None:
    """Time ``partial_fit`` on both in turn: what else the machine does then counts for both."""
    times: dict[int, list[float]] = {FURTHER: [], rows: []}
    for _ in range(REPEATS):
        for known, hasher in ((FURTHER, few), (rows, many)):
            times[known].append(measured(lambda h=hasher: h.partial_fit(*further))[0])
    best = {known: min(found) for known, found in times.items()}
    for known, seconds in best.items():
        print(
            f"partial_fit of {FURTHER} rows after {known}: {seconds:.2f} s "
            f"(ratio {seconds / best[FURTHER]:.2f})"
        )


def make_pairs(folder: Path, rows: int, dim: int, classes: int) -> list[np.ndarray]:
    """Images and texts ``(rows, dim)``, and labels ``(rows, classes)``, a few a row, in files."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((classes, dim), dtype=np.float32)
    widths = {"images": dim, "texts": dim, "labels": classes}
    arrays = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=(rows, width)
        )
        for name, width in widths.items()
    }
    for start in range(0, rows, CHUNK):
        part = slice(start, min(start + CHUNK, rows))
        count = part.stop - part.start
        labels = np.zeros((count, classes), np.float32)
        for _ in range(3):
            labels[np.arange(count), rng.integers(classes, size=count)] = 1
        arrays["labels"][part] = labels
        for name in ("images", "texts"):
            noise = rng.standard_normal((count, dim), dtype=np.float32)
            arrays[name][part] = labels @ centres + 2 * noise
    for array in arrays.values():
        array.flush()
    return [np.load(folder / f"{name}.npy", mmap_mode="r") for name in widths]


def measured(work: Callable[[], object]) -> tuple[float, str]:
    """Seconds that ``work`` takes, and the most memory that it holds besides mapped files."""
    before, found, done = own_memory(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            found.append(own_memory() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return seconds, f"{max(found) / 1e6:.0f} MB" if before else "–"


def own_memory() -> int:
    """Bytes of this process that belong to no file; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("RssAnon:"):
                return 1024 * int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
