"""The Hamming engine beside its peers and its limits, in one process and one run.

    python benchmarks/hamming.py [--sizes 1e5 1e6 1e7] [--bits 128] [--report docs/benchmarks]

For every size, length and kind of codes all searchers answer the same queries in turns, round by
round; a row has the median time and the median over rounds of its ratio to ours. Peers come with
the extra `bench`. `--report` writes `hamming.md` and its plots into a folder.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from codesets import planes, queries
from contenders import contenders, counting, reading
from radius import measure_radius

from xmodal.hamming.compiled_engine import available_cores

OURS = "xmodal compiled"
EXACT = {"usearch exact", "sqlite-vec", "numpy rows", "xmodal numpy", "faiss flat"}


def seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(
    kind: str, n: int, bits: int, ks: list[int], counts: list[int], threads: int, rounds: int
) -> list[dict]:
    """One row for each searcher, k and number of queries."""
    stored = planes(kind, n, bits)
    read = reading(stored, threads)
    rows = []
    for count in counts:
        asked = queries(kind, count, bits)
        made = contenders(stored, bits, count, threads)
        for k in ks:
            answer = made[OURS](asked, k)
            for name in made.keys() & EXACT:
                assert np.array_equal(made[name](asked, k), answer), f"{name}: other distances"
            times: dict[str, list[float]] = {name: [] for name in ("reading once", *made)}
            for _ in range(rounds):
                times["reading once"].append(seconds(read))
                for name, search in made.items():
                    times[name].append(seconds(partial(search, asked, k)))
            for name, taken in times.items():
                ratios = [t / ours for t, ours in zip(taken, times[OURS], strict=True)]
                rows.append(
                    {
                        "kind": kind, "n": n, "bits": bits, "k": k, "queries": count, "name": name,
                        "ms": 1e3 * statistics.median(taken), "ratio": statistics.median(ratios),
                    }
                )  # fmt: skip
                print(json.dumps(rows[-1]), flush=True)
    return rows


def measure_memory(n: int, bits: int, gaps: bool) -> dict:
    """Resident bytes of an index of ``n`` codes, in a process of its own."""
    program = Path(__file__).with_name("memory_of_index.py")
    done = subprocess.run(
        [sys.executable, program, str(n), str(bits), str(int(gaps))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def replaced(rows: list[dict], new: list[dict], *keys: str) -> list[dict]:
    """``rows`` without those that ``new`` measures again, and ``new``, in order."""

    def key(row: dict) -> tuple:
        return tuple(row[name] for name in keys)

    again = {key(row) for row in new}
    return sorted([row for row in rows if key(row) not in again] + new, key=key)


def machine(threads: int) -> dict:
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    return {"cpu": name, "cores": os.cpu_count(), "threads": threads, "numpy": np.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=float, nargs="+", default=[1e5, 1e6, 1e7])
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--k", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--kinds", nargs="+", default=["random", "learned"])
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--radius-sizes", type=float, nargs="*", default=[1e6, 1e7])
    parser.add_argument("--results", type=Path, help="a JSON file that is written, or added to")
    parser.add_argument("--report", type=Path, help="write hamming.md and plots of all results")
    options = parser.parse_args()
    found: dict = {"rows": [], "memory": [], "counting": {}, "radius": []}
    if options.results and options.results.exists():
        found |= json.loads(options.results.read_text())
    found["machine"] = machine(options.threads)
    for bits in options.bits:
        run = counting(bits)
        run()
        made = [(run(), seconds(run)) for _ in range(5)]
        found["counting"][str(bits)] = min(taken / count for count, taken in made)
        for n in map(int, options.sizes):
            for kind in options.kinds:
                new = measure(
                    kind, n, bits, options.k, options.queries, options.threads, options.rounds
                )
                found["rows"] = replaced(found["rows"], new, "kind", "n", "bits", "k", "queries")
                if options.results:
                    options.results.write_text(json.dumps(found, indent=1))
    for n in map(int, options.radius_sizes):
        for kind in options.kinds:
            new = measure_radius(kind, n, 128, options.threads, 3)
            found["radius"] = replaced(found["radius"], new, "kind", "n", "bits")
    for n in map(int, options.sizes):
        for gaps in (False, True):
            new = [measure_memory(n, 128, gaps)]
            found["memory"] = replaced(found["memory"], new, "n", "bits", "gaps")
    if options.results:
        options.results.write_text(json.dumps(found, indent=1))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB")
    if options.report:
        from hamming_report import write_report

        write_report(found, options.report)


if __name__ == "__main__":
    main()
