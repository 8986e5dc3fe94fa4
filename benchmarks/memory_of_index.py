"""Prints what an index of N codes takes beyond an empty process: N BITS GAPS (0 or 1)."""

import json
import sys
from pathlib import Path

import numpy as np

from xmodal.hamming import HammingIndex
from xmodal.hamming.packing import empty_planes


def resident() -> int:
    """Bytes of memory of this process's own, as Linux counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return 1024 * int(line.split()[1])
    raise SystemExit("only Linux tells")


def main() -> None:
    n, bits, gaps = map(int, sys.argv[1:])
    warm = HammingIndex(bits, "compiled")
    warm.add(np.arange(1), np.zeros((1, bits // 8), np.uint8))
    query = np.zeros((1, bits // 8), np.uint8)
    warm.search(query, 100)
    before = resident()
    index = HammingIndex(bits, "compiled")
    for start in range(0, n, 1 << 20):
        count = min(1 << 20, n - start)
        planes = empty_planes(-(-bits // 64), count)
        planes[...] = 1
        ids = range(start, start + count)
        index.add_planes(2 * np.arange(start, start + count) if gaps else ids, planes)
    del planes
    for _ in range(3):
        index.search(query, 100)
    taken = resident() - before
    print(json.dumps({"n": n, "bits": bits, "gaps": bool(gaps), "bytes": taken}))


if __name__ == "__main__":
    main()
