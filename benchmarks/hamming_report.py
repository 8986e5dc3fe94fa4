"""The results of ``benchmarks/hamming.py`` as a page and its plots."""

from pathlib import Path

OURS = "xmodal compiled"
INTRODUCTION = """# The Hamming engine, measured

Written by `python benchmarks/hamming.py --report docs/benchmarks`; do not edit. Every row is the
median of several rounds in which all searchers answered the same queries in turns, in one process;
the ratio is the median over the rounds. Ratios travel, absolute times do not.

*Reading once* is `numpy.sum` over all codes by the same number of threads: no scan of one query
can take less. *Counting* is the popcount throughput of the cores on codes that never leave the
first cache: no scan of many queries can take less. *Random* codes have independent bits; *learned*
ones are signs of projections of crowded points (`benchmarks/codesets.py`), with many ties.
"""
MULTI_INDEX = """
## Within a radius: scan or look up

Milliseconds for 64 queries, each a few bits from a stored code, 128 bits, tables used at any
radius. The engine `multi-index` itself looks up while that takes less than a scan and scans beyond:
it estimates both by the number of values to look up, and gives up looking where codes crowd. Its
tables take {table_bytes:.0f} bytes a code and are made at the first search; `auto` never makes
them, `HammingIndex(bits, engine="multi-index")` asks for them.
"""


def write_report(found: dict, folder: Path) -> None:
    """Write ``hamming.md`` and the plots it shows into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = found["machine"]
    page = [INTRODUCTION, f"{machine['cpu']}, {machine['threads']} threads.\n"]
    for bits in sorted({row["bits"] for row in found["rows"]}):
        for count in sorted({row["queries"] for row in found["rows"]}):
            page += _table(found, bits, count)
    page += _memory(found["memory"])
    if found["radius"]:
        page.append(MULTI_INDEX.format(table_bytes=_table_bytes(found["radius"])))
        page += _radius(found["radius"])
    _plot_sizes(found, folder / "hamming.svg")
    _plot_radius(found["radius"], folder / "radius.svg")
    page.append("\n![Time for sizes from small to large](hamming.svg)\n")
    page.append("![Time by radius](radius.svg)\n")
    (folder / "hamming.md").write_text("\n".join(page), encoding="utf-8")


def _table(found: dict, bits: int, count: int) -> list[str]:
    rows = [row for row in found["rows"] if row["bits"] == bits and row["queries"] == count]
    columns = sorted({(row["n"], row["k"], row["kind"]) for row in rows})
    names = list(dict.fromkeys(row["name"] for row in rows))
    title = "One query" if count == 1 else f"{count} queries at once"
    lines = [f"## {title}, {bits} bits: milliseconds (times ours)\n"]
    lines.append("| codes | k | kind | " + " | ".join(names) + " | counting |")
    lines.append("|---" * (len(names) + 4) + "|")
    for n, k, kind in columns:
        cells = [f"{n:,}", str(k), kind]
        for name in names:
            match = [
                r for r in rows if (r["n"], r["k"], r["kind"], r["name"]) == (n, k, kind, name)
            ]
            cells.append(_cell(match[-1]) if match else "–")
        threads = found["machine"]["threads"]
        cells.append(_number(1e3 * found["counting"][str(bits)] * n * count / threads))
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(row: dict) -> str:
    time = _number(row["ms"])
    return f"**{time}**" if row["name"] == OURS else f"{time} ({row['ratio']:.2f})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _memory(rows: list[dict]) -> list[str]:
    lines = [
        "## Memory of an index, 128 bits\n",
        "| codes | ids | bytes a code | beyond the codes |",
    ]
    lines.append("|---|---|---|---|")
    for row in rows:
        codes = row["n"] * row["bits"] // 8
        ids = "with gaps" if row["gaps"] else "run on"
        beyond = (row["bytes"] - codes) / 1e6
        lines.append(f"| {row['n']:,} | {ids} | {row['bytes'] / row['n']:.2f} | {beyond:.1f} MB |")
    return [*lines, ""]


def _radius(rows: list[dict]) -> list[str]:
    radii = sorted({row["radius"] for row in rows})
    lines = ["| codes | kind | way | built in | " + " | ".join(f"r = {r}" for r in radii) + " |"]
    lines.append("|---" * (len(radii) + 4) + "|")
    ways = dict.fromkeys((row["n"], row["kind"], row["name"]) for row in rows)
    for n, kind, name in ways:
        mine = {
            row["radius"]: row
            for row in rows
            if (row["n"], row["kind"], row["name"]) == (n, kind, name)
        }
        built = f"{next(iter(mine.values()))['building_s']:.1f} s" if name == "multi-index" else ""
        cells = [_number(mine[r]["ms"]) if r in mine else "–" for r in radii]
        lines.append(f"| {n:,} | {kind} | {name} | {built} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _table_bytes(rows: list[dict]) -> float:
    n = max(row["n"] for row in rows)
    parts = round(128 / n.bit_length())
    return 4 * parts * (1 + 2 ** -(-128 // parts) / n)


def _plot_sizes(found: dict, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, count in zip(axes, (1, 64), strict=True):
        rows = [
            row
            for row in found["rows"]
            if (row["bits"], row["kind"], row["queries"]) == (128, "random", count)
            and row["k"] == 100
        ]
        for name in dict.fromkeys(row["name"] for row in rows):
            mine = sorted((row["n"], row["ms"] / count) for row in rows if row["name"] == name)
            axis.plot(*zip(*mine, strict=True), marker="o", label=name)
        axis.set(xscale="log", yscale="log", xlabel="codes of 128 bits")
        axis.set_title("one query" if count == 1 else f"{count} queries at once, for each")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds")
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _plot_radius(rows: list[dict], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4))
    largest = max((row["n"] for row in rows), default=0)
    for kind, line in (("random", "-"), ("learned", "--")):
        for name in ("scan", "multi-index"):
            mine = [
                (row["radius"], row["ms"])
                for row in rows
                if (row["n"], row["kind"], row["name"]) == (largest, kind, name)
            ]
            if mine:
                axis.plot(*zip(*mine, strict=True), line, marker="o", label=f"{name}, {kind}")
    axis.set(yscale="log", xlabel="radius, bits", ylabel="milliseconds for 64 queries")
    axis.set_title(f"{largest:,} codes of 128 bits")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
