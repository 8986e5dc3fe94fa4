"""Is it there at all? How often a search says so rightly, on captioned photographs.

    python benchmarks/confidence.py PHOTOS CAPTIONS.csv CONCEPTS.csv

``CAPTIONS.csv`` has the columns ``file`` and ``caption``; ``CONCEPTS.csv`` says in which
photographs, by their captions, each ``concept`` can be seen (``captions``, separated by ``;``).
Each concept is asked for twice: in a library with its photographs, and in the same library
without them. Libraries are all of the photographs and random parts of them. The calibration is
that of each library; nothing is fitted to the concepts.

Printed are the area under the ROC curve of the evidence for "it is there", how many of the
present are answered and of the absent refused as ``xmodal search`` does, and what ``-concept``
leaves out.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders import load_encoder
from xmodal.encoders.background import load_background
from xmodal.ingest.decode import decode_image
from xmodal.query.confidence import better_than_chance, calibrate

PARTS = {60: 8, 120: 4}  # photographs in a library, and how many such libraries
BATCH = 32


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def evidence(chance: NDArray[Any]) -> float:
    """One number for a search: the least ``r``-th chance divided by ``r``, negative logarithm."""
    ordered = np.sort(chance)
    return float(-np.log(np.maximum((ordered / np.arange(1, len(ordered) + 1)).min(), 1e-300)))


def roc_area(present: Sequence[float], absent: Sequence[float]) -> float:
    """The chance that a present concept has more evidence than an absent one."""
    a, b = np.array(present)[:, None], np.array(absent)[None]
    return float(((a > b) + 0.5 * (a == b)).mean())


class Asked:
    """What searches for concepts said in one library."""

    def __init__(self, encoder: Any, photographs: NDArray[np.float32]) -> None:
        self.background = load_background(encoder)
        self.photographs = photographs

    def measure(
        self, rows: NDArray[np.int64], queries: NDArray[np.float32], shows: NDArray[np.bool_]
    ) -> tuple[float, float, float, float, float]:
        """AUROC, answered, refused, labelled left out, others left out; of concepts in ``rows``."""
        there, gone, answered, refused = [], [], [], []
        left_out: list[NDArray[np.bool_]] = []
        kept_out: list[NDArray[np.bool_]] = []
        library = self.photographs[rows]
        whole = calibrate(library, self.background)
        for query, mask in zip(queries, shows[:, rows], strict=True):
            if not mask.any():
                continue
            chance = whole.chance(query, "text", library, self.background, len(library))
            there.append(evidence(chance))
            answered.append(better_than_chance(chance).any())
            out = whole.shows(query, "text", library, self.background)
            left_out.append(out[mask])
            kept_out.append(out[~mask])
            rest = library[~mask]
            chance = calibrate(rest, self.background).chance(
                query, "text", rest, self.background, len(rest)
            )
            gone.append(evidence(chance))
            refused.append(not better_than_chance(chance).any())
        return (
            roc_area(there, gone), float(np.mean(answered)), float(np.mean(refused)),
            float(np.concatenate(left_out).mean()), float(np.concatenate(kept_out).mean()),
        )  # fmt: skip


def main() -> None:
    """Parse the command line, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("concepts", type=Path)
    parser.add_argument("--encoder", default="bundled")
    given = parser.parse_args()

    encoder = load_encoder(given.encoder)
    files = read(given.captions)
    captions = np.array([row["caption"] for row in files])
    parts = [
        encoder.encode_images(
            [
                decode_image(given.photos / row["file"], encoder.image_size)
                for row in files[i:][:BATCH]
            ]
        )
        for i in range(0, len(files), BATCH)
    ]
    concepts = read(given.concepts)
    queries = encoder.encode_texts([row["concept"] for row in concepts])
    shows = np.array([np.isin(captions, row["captions"].split(";")) for row in concepts])
    asked = Asked(encoder, np.concatenate(parts))

    print("photographs  AUROC  answered  refused  -word: labelled  others")
    for count, libraries in {**PARTS, len(files): 1}.items():
        results = []
        for seed in range(libraries):
            chosen = np.random.default_rng(seed).permutation(len(files))[:count]
            results.append(asked.measure(np.sort(chosen), queries, shows))
        print("{:11d}  {:5.3f}  {:8.3f}  {:7.3f}  {:15.3f}  {:6.3f}".format(
            count, *np.mean(results, axis=0)), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
