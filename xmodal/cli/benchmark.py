"""`xmodal benchmark`: the standard table of a standard data set."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xmodal.cli.options import AsJson
from xmodal.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from xmodal.evaluate.table import Row


def benchmark(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="wiki, mirflickr25k, nus-wide-tc10, nus-wide-tc21, coco, iapr-tc12, or features: "
            "a file of your own.",
        ),
    ],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The file, or a folder that holds the files.")
    ],
    hashers: Annotated[
        str | None,
        typer.Option(
            "--hashers",
            metavar="NAMES",
            help="Hashers, such as itq,lemon:features=rbf. Default: all.",
            show_default=False,
        ),
    ] = None,
    bits: Annotated[
        str, typer.Option("--bits", metavar="LENGTHS", help="Lengths of the codes.")
    ] = "16,32,64,128",
    splits: Annotated[
        int, typer.Option("--splits", metavar="N", min=1, help="Measure on N random splits.")
    ] = 5,
    published: Annotated[
        bool,
        typer.Option("--published", help="Measure on the split that the files come with instead."),
    ] = False,
    ranking: Annotated[
        str, typer.Option("--ranking", metavar="NAME", help="hamming, asymmetric or both.")
    ] = "hamming",
    measures: Annotated[
        str,
        typer.Option(
            "--measures", metavar="NAMES", help="Measures, such as map,map@50,precision_within@2."
        ),
    ] = "map,own_recall@10",
    held_out: Annotated[
        str,
        typer.Option(
            "--held-out",
            metavar="CLASSES",
            help="Classes, by name or number, that train nothing and alone are asked for.",
            show_default=False,
        ),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of splits and hashers.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure hashers on a standard data set, beside baselines.

    \b
    Examples:
      xmodal benchmark wiki wikipedia_dataset
      xmodal benchmark mirflickr25k ~/data --hashers lemon,scm-seq --bits 16,64
      xmodal benchmark features mine.npz --splits 3 --ranking both --json

    Half of the items train, a sixth asks, the rest is searched, coded by the hash functions; no
    item has two roles, except that a published split may search its training items. Columns: code,
    bits, ranking, then each measure text → image and image → text with its 95 % interval, and
    seconds of fitting. The first rows are baselines: float features, random projections (lsh), and
    random projections of a classifier's scores. With --json the fields are dataset, hasher, bits,
    ranking, fit_seconds, measures and note. docs/evaluation.md says what is measured, and which
    files each set is read from.
    """
    from xmodal.evaluate.datasets import read_dataset
    from xmodal.evaluate.table import (
        chosen_rankings,
        chosen_splits,
        class_columns,
        parse_bits,
        table_rows,
    )

    data = read_dataset(dataset, path)
    names = _listed(measures)
    rows = table_rows(
        data,
        _listed(hashers) if hashers else None,
        parse_bits(_listed(bits)),
        splits=chosen_splits(data, splits, published),
        seed=seed,
        rankings=chosen_rankings(ranking),
        measures=names,
        held_out=class_columns(data, _listed(held_out)),
    )
    drawn = f"{splits} random split{'s' if splits > 1 else ''}"
    note(f"{data}; {data.split if published else drawn}")
    if as_json:
        for row in rows:
            print_json({"dataset": data.name, **row.record()})
        return
    columns = [f"{name} {way}" for name in names for way in ("text → image", "image → text")]
    print_table(
        ("code", "bits", "ranking", *columns, "fit seconds"),
        (_cells(row, len(columns)) for row in _announced(rows)),
    )


def _cells(row: "Row", columns: int) -> list[str]:
    values = [str(m) for found in row.measures.values() for m in found.values()]
    end = row.note or f"{row.fit_seconds:.2f}"
    return [row.hasher, str(row.bits or "–"), row.ranking, *(values or ["–"] * columns), end]


def _announced(rows: "Iterator[Row]") -> "Iterator[Row]":
    """The rows, each named on stderr where a terminal shows the table only when it is complete."""
    for row in rows:
        if sys.stdout.isatty():
            note(f"{row.hasher}, {row.bits or 'no'} bits: {row.note or 'measured'}")
        yield row


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
