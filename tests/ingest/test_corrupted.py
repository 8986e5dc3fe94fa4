"""Corrupted files of every format, by chance but seeded: each is indexed or has its reason.

``XMODAL_CORRUPTED`` is how many are tried, 300 by default; ``XMODAL_CORRUPTED_FROM`` names a folder
whose files are corrupted instead of those that the test makes.
"""

import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
from every_format import every_format
from PIL import Image
from toy_room import ToyRoom

COUNT = int(os.environ.get("XMODAL_CORRUPTED", "300"))
FOLDER = os.environ.get("XMODAL_CORRUPTED_FROM")


def _originals() -> dict[str, bytes]:
    if FOLDER:
        files = sorted(path for path in Path(FOLDER).rglob("*.*") if path.is_file())
        return {f"{n}-{path.name}": path.read_bytes() for n, path in enumerate(files)}
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).resize((160, 110))
    return every_format(smooth)


def _corrupted(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Truncated, with flipped bits, or continued by a part of another file."""
    how = chance.choice(("truncated", "flipped", "header", "spliced"))
    if how == "truncated":
        return data[: chance.randrange(len(data))]
    if how == "spliced":
        cut, length = chance.randrange(len(data)), chance.randrange(1, len(data))
        start = chance.randrange(len(other))
        return data[:cut] + other[start : start + length] + data[cut + chance.randrange(length) :]
    flipped = bytearray(data)
    end = len(data) if how == "flipped" else min(400, len(data))
    for _ in range(chance.randint(1, 1 + end // 100)):
        flipped[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def test_every_corrupted_file_is_indexed_or_listed_with_its_reason(
    room: ToyRoom, tmp_path: Path
) -> None:
    chance = random.Random(0)
    originals = list(_originals().items())
    folder = tmp_path / "corrupted"
    folder.mkdir()
    for number in range(COUNT):
        name, data = originals[number % len(originals)]
        same = [d for n, d in originals if n.rpartition(".")[2] == name.rpartition(".")[2]]
        other = chance.choice(same if chance.random() < 0.5 else [d for _, d in originals])
        (folder / f"{number:05d} {name}").write_bytes(_corrupted(data, other, chance))
    counts = room.index(folder)
    assert counts.indexed + counts.moved + counts.failed == COUNT
    assert counts.indexed > 0
    assert counts.failed > COUNT // 5
    reasons = Counter(failure.reason for failure in counts.failures)
    assert all(reasons)
    assert not [reason for reason in reasons if "crashed" in reason or "took more than" in reason]
    assert room.coded() == room.live()


def test_every_format_is_indexed_while_it_is_whole(room: ToyRoom, tmp_path: Path) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    for name, data in _originals().items():
        (folder / name).write_bytes(data)
    assert [(f.path.name, f.reason) for f in room.index(folder).failures] == []
