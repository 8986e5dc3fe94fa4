"""All hashers at all lengths on several data sets, both directions, beside baselines.

    python benchmarks/hashing.py measure NAME FEATURES.npz RESULTS.jsonl [--splits 5] [--hashers …]
    python benchmarks/hashing.py report RESULTS.jsonl… --out docs/benchmarks

``measure`` appends a line for each hasher, length and ranking of one data set (see ``features.py``
for the files), and leaves out the hashers that the results already have: a run that was stopped
between two of them goes on.
``report`` draws the figures of all results and writes their tables into ``OUT/hashing.md``,
between its two marks; the text around them stays. Half of the rows train, a sixth asks, a third is
searched, coded by the hash functions; ± is the half-width of a 95 % interval.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xmodal.evaluate.datasets import read_dataset
from xmodal.evaluate.datasets.dataset import Dataset
from xmodal.evaluate.table import BITS, FLOAT, RANKINGS, table_rows
from xmodal.hashing import list_hashers

BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
DIRECTIONS = ("text_to_image", "image_to_text")
ARROWS = ("text → image", "image → text")
# Rows beyond which the slow hashers would take hours; a seeded sample of them is measured.
MOST_ROWS = 3_000
# Drawn in colour; the others are grey, to be looked up in the table.
SHOWN = (
    "fused", "posterior-itq", "lemon", "scm-seq", "scm-orth", "mlp", "pair-itq", "itq", "cca-itq",
    "lsh", "classifier signs",
)  # fmt: skip

Record = dict[str, Any]


def measure(name: str, features: Path, results: Path, splits: int, hashers: list[str]) -> None:
    """Append what is not yet measured of one data set."""
    data = sampled(read_dataset("features", features))
    facts = {
        "dataset": name,
        "rows": len(data.images),
        "dims": [data.images.shape[1], data.texts.shape[1], data.labels.shape[1]],
    }
    known = read([results]) if results.exists() else []
    done = {row["hasher"] for row in known if row["dataset"] == name}
    missing = [hasher for hasher in hashers if hasher not in done]
    for row in table_rows(data, missing, BITS, splits=splits, rankings=RANKINGS):
        if row.hasher in done:  # a baseline, which every call measures
            continue
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**facts, **row.record()}, ensure_ascii=False) + "\n")
        print(f"{name}: {row.hasher} {row.bits or ''} {row.ranking} {row.note}", flush=True)


def sampled(data: Dataset) -> Dataset:
    """At most ``MOST_ROWS`` items, the same ones in every run."""
    if len(data.images) <= MOST_ROWS:
        return data
    rows = np.sort(np.random.default_rng(0).permutation(len(data.images))[:MOST_ROWS])
    return replace(
        data, images=data.images[rows], texts=data.texts[rows], labels=data.labels[rows], split=None
    )


def read(files: Iterable[Path]) -> list[Record]:
    """The records of results files."""
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def mean(record: Record, measure: str = "map", direction: str | None = None) -> float:
    """A measure of one direction, or of both averaged; NaN where there is none."""
    found = record["measures"].get(measure)
    ways = DIRECTIONS if direction is None else (direction,)
    values = [found[way]["mean"] if found else None for way in ways]
    return float("nan") if None in values else float(np.mean(values))


def report(records: list[Record], out: Path) -> None:
    """Figures and tables of all records into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(record["dataset"] for record in records))
    sets = {name: [r for r in records if r["dataset"] == name] for name in names}
    draw(sets, out / "hashing-bits.png", against_bytes=False)
    draw(sets, out / "hashing-bytes.png", against_bytes=True)
    parts = [
        "![Label mAP against bits](hashing-bits.png)",
        "![Label mAP against bytes an item](hashing-bytes.png)",
        "Label mAP by asymmetric ranking, both directions averaged; the dashed line is the cosine "
        "of the centred float features.",
    ]
    for name, found in sets.items():
        parts += [f"### {name}", described(found), table(found)]
    page = out / "hashing.md"
    text = page.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}", "utf-8")


def described(records: list[Record]) -> str:
    image, text, classes = records[0]["dims"]
    return (
        f"{records[0]['rows']:,} items, images of {image} dimensions, texts of {text}, {classes} "
        "labels. mAP text → image / image → text at each length, asymmetric; then at 128 bits the "
        "largest half-width, mAP by Hamming distance, recall@10 of the own partner, and seconds of "
        "fitting."
    )


def table(records: list[Record]) -> str:
    """One line for each hasher."""
    lines = [
        "| hasher | " + " | ".join(str(b) for b in BITS) + " | ± | Hamming | R@10 | fit s |",
        "|---" * (len(BITS) + 5) + "|",
    ]
    for hasher in dict.fromkeys(record["hasher"] for record in records):
        rows = {(r["bits"], r["ranking"]): r for r in records if r["hasher"] == hasher}
        if (None, "cosine") in rows:
            row = rows[None, "cosine"]
            cells = ["" for _ in BITS[:-1]] + [
                both(row),
                width(row),
                "",
                both(row, "own_recall@10"),
                "",
            ]
        elif (None, "") in rows:
            lines.append(f"| {hasher} | {rows[None, '']['note']} |" + " |" * (len(BITS) + 3))
            continue
        else:
            cells = [both(rows.get((bits, "asymmetric"))) for bits in BITS]
            last = rows.get((BITS[-1], "asymmetric"))
            cells += [
                width(last),
                both(rows.get((BITS[-1], "hamming"))),
                both(last, "own_recall@10"),
                f"{last['fit_seconds']:.2g}" if last and last["fit_seconds"] else "–",
            ]
        lines.append(f"| {hasher} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def both(record: Record | None, measure: str = "map") -> str:
    """Both directions of a measure; a dash where it was not measured."""
    values = [mean(record, measure, way) for way in DIRECTIONS] if record else [np.nan]
    if np.isnan(values).any():
        return "–"
    return " / ".join(f"{value:.3f}".removeprefix("0") for value in values)


def width(record: Record | None) -> str:
    """The larger half-width of both directions."""
    if not record or not (found := record["measures"].get("map")):
        return "–"
    return f"{max(found[way]['half_width'] or 0 for way in DIRECTIONS):.3f}".removeprefix("0")


def draw(sets: dict[str, list[Record]], path: Path, *, against_bytes: bool) -> None:
    """A panel for each data set: quality against bits, or bytes with the float features' own."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = min(3, len(sets))
    rows = -(-len(sets) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 3.8 * rows), squeeze=False)
    colours = {name: plt.get_cmap("tab20")(i / len(SHOWN)) for i, name in enumerate(SHOWN)}
    for axis, (name, records) in zip(axes.flat, sets.items(), strict=False):
        for hasher in dict.fromkeys(record["hasher"] for record in records):
            line = [r for r in records if r["hasher"] == hasher and r["ranking"] == "asymmetric"]
            if hasher == FLOAT:
                (record,) = [r for r in records if r["hasher"] == FLOAT]
                axis.axhline(mean(record), color="black", linestyle="--", linewidth=1)
                if against_bytes:
                    axis.plot(4 * record["dims"][0], mean(record), "ko", label=FLOAT)
            elif line:
                x = [r["bits"] / (8 if against_bytes else 1) for r in line]
                style = {"color": colours[hasher]} if hasher in SHOWN else {"color": "0.85"}
                axis.plot(
                    x, [mean(r) for r in line], marker="o", markersize=3,
                    label=hasher if hasher in SHOWN else None,
                    zorder=2 if hasher in SHOWN else 1, **style,
                )  # fmt: skip
        axis.set_xscale("log", base=2)
        axis.set_title(name)
        axis.set_xlabel("bytes an item" if against_bytes else "bits")
        axis.set_ylabel("label mAP")
    for axis in axes.flat[len(sets) :]:
        axis.axis("off")
    handles = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=6, frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("measure")
    one.add_argument("name")
    one.add_argument("features", type=Path)
    one.add_argument("results", type=Path)
    one.add_argument("--splits", type=int, default=5)
    one.add_argument("--hashers", nargs="+", default=[info.name for info in list_hashers()])
    two = commands.add_parser("report")
    two.add_argument("results", type=Path, nargs="+")
    two.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    options = parser.parse_args()
    if options.command == "measure":
        measure(options.name, options.features, options.results, options.splits, options.hashers)
    else:
        report(read(options.results), options.out)


if __name__ == "__main__":
    main()
