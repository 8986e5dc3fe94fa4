"""Honest trials: disjoint query, training and database rows, both directions, repeated splits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.items import Items
from xmodal.evaluate.measure import Measure
from xmodal.evaluate.metrics import Values, divide
from xmodal.evaluate.named import Answers, judge_named
from xmodal.evaluate.relevance import Grading, graded_relevance
from xmodal.evaluate.scorers import (
    DIRECTIONS,
    Direction,
    Floats,
    Model,
    centred_cosine,
    code_model,
)
from xmodal.evaluate.splits import Split, check_split, split_rows
from xmodal.hashing.base import Hasher

Fit = Callable[[Floats, Floats, Floats], Hasher]
"""From training images, texts and labels to a fitted hasher."""
Models = Callable[[Floats, Floats, Floats], dict[str, Model]]
"""From training images, texts and labels to what is then asked, by name."""

# Cells of the queries × items matrices that are held at a time: some 60 bytes each.
CELLS = 4_000_000


@dataclass(frozen=True)
class Evaluation:
    """What a hasher reaches: each measure by its name and direction."""

    measures: dict[str, dict[Direction, Measure]]

    @property
    def label_map(self) -> dict[Direction, Measure]:
        """mAP by shared labels, @all unless another cut-off was asked for."""
        return self._first("map")

    @property
    def own_recall(self) -> dict[Direction, Measure]:
        """Share of queries that find their own partner, a picture's text or a text's picture.

        Partners are sought among database and query rows together, since the database alone does
        not hold them. The cut-off is the first that was asked for.
        """
        return self._first("own_recall")

    def _first(self, kind: str) -> dict[Direction, Measure]:
        """The first measure of that name, whatever its cut-off."""
        for name, found in self.measures.items():
            if name.partition("@")[0] == kind:
                return found
        raise UsageError(f"{kind} was not measured, only {', '.join(self.measures)}")

    def __str__(self) -> str:
        rows = [("", *(direction.replace("_", " ") for direction in DIRECTIONS))]
        rows += [
            (name, *(str(found[direction]) for direction in DIRECTIONS))
            for name, found in self.measures.items()
        ]
        width = max(len(row[0]) for row in rows)
        return "\n".join(f"{row[0]:<{width}}  {row[1]:<15}  {row[2]:<15}".rstrip() for row in rows)


def evaluate_hasher(
    fit: Fit,
    images: ArrayLike,
    texts: ArrayLike,
    labels: ArrayLike,
    *,
    splits: int | Sequence[Split] = 3,
    seed: int = 0,
    k: int = 10,
    asymmetric: bool = True,
    measures: Sequence[str] | None = None,
    grading: Grading = "shared",
    text_of: ArrayLike | None = None,
    held_out: Sequence[int] = (),
) -> Evaluation:
    """Fit on the training rows of each split and rank the database for its queries.

    The database is coded by the hash functions, and its labels only judge. The same ``seed`` gives
    every hasher the same splits, so that two evaluations can be compared query by query.

    Parameters
    ----------
    fit: called with training images, texts and labels; returns a fitted hasher.
    images, texts: ``(n, dim)``, a row of NaN where an item lacks one of them.
    labels: ``(n, classes)``; two items are relevant to one another if they share a label of at
        least a half. A row of NaN is unlabelled and no query.
    splits: how many random splits, or the splits themselves, such as published ones.
    asymmetric: rank by the query's weights against the items' bits; else by Hamming distance.
    k: cut-off of the recall of own partners, where ``measures`` does not say.
    measures: names of :data:`xmodal.evaluate.named.MEASURES`; by default ``map`` and
        ``own_recall@k``.
    grading: gains of NDCG, see :func:`xmodal.evaluate.graded_relevance`.
    text_of: int ``(m,)`` where pictures have several texts: which image row each of the ``m`` rows
        of ``texts`` describes. Any of its texts is a picture's own; a query item's value is the
        mean over its texts.
    held_out: columns of ``labels`` that nothing is learned of: items with such a label do not
        train, the column is hidden, and these labels alone make queries and relevance.
    """

    def models(x: Floats, y: Floats, known: Floats) -> dict[str, Model]:
        return {"": code_model(fit(x, y, known), asymmetric=asymmetric)}

    return evaluate_models(
        models, images, texts, labels, splits=splits, seed=seed, grading=grading,
        measures=measures or _default_measures(k), text_of=text_of, held_out=held_out,
    )[""]  # fmt: skip


def evaluate_features(
    images: ArrayLike,
    texts: ArrayLike,
    labels: ArrayLike,
    *,
    splits: int | Sequence[Split] = 3,
    seed: int = 0,
    k: int = 10,
    measures: Sequence[str] | None = None,
    grading: Grading = "shared",
    text_of: ArrayLike | None = None,
    held_out: Sequence[int] = (),
) -> Evaluation:
    """The float baseline on the same splits: cosine of features centred by the training means."""
    return evaluate_models(
        lambda x, y, _: {"": centred_cosine(x, y)}, images, texts, labels, splits=splits, seed=seed,
        grading=grading, measures=measures or _default_measures(k), text_of=text_of,
        held_out=held_out,
    )[""]  # fmt: skip


def evaluate_models(
    models: Models,
    images: ArrayLike,
    texts: ArrayLike,
    labels: ArrayLike,
    *,
    measures: Sequence[str],
    splits: int | Sequence[Split] = 3,
    seed: int = 0,
    grading: Grading = "shared",
    text_of: ArrayLike | None = None,
    held_out: Sequence[int] = (),
) -> dict[str, Evaluation]:
    """The protocol for anything that scores: ``models`` learns from the training rows.

    Several models of one fit, such as two ways of ranking by the same code, share its cost.
    Parameters as for :func:`evaluate_hasher`.
    """
    judges = {name: judge_named(name) for name in measures}
    items = Items(images, texts, labels, text_of, held_out)
    if isinstance(splits, int):
        splits = [split_rows(items.count, seed=seed + number) for number in range(splits)]
    if not splits:
        raise UsageError("splits: expected at least 1, found 0")
    found: dict[str, list[_Found]] = {}
    for split in splits:
        check_split(split, items.count)
        for name, model in models(*items.training(split.training)).items():
            judged = {
                direction: _judge(model, direction, items, split, judges, grading)
                for direction in DIRECTIONS
            }
            found.setdefault(name, []).append(judged)
    return {name: _gather(each, measures) for name, each in found.items()}


_Found = dict[Direction, dict[str, Values]]


def _judge(
    model: Model,
    direction: Direction,
    items: Items,
    split: Split,
    judges: dict[str, Callable[[Answers], Values]],
    grading: Grading,
) -> dict[str, Values]:
    """Each measure for each query item: NaN where there is none, the mean over several texts."""
    source, target = ("text", "image") if direction == "text_to_image" else ("image", "text")
    queries, asker = items.rows(source, split.query)
    # Database first: labels are judged over it, own partners are among the queries' rows behind.
    stored, owner = items.rows(target, split.database)
    partners, partner_of = items.rows(target, split.query)
    ask = model(direction, np.concatenate([stored, partners]))
    answer_of = np.concatenate([owner, partner_of])
    values: dict[str, list[Values]] = {name: [] for name in judges}
    batch = max(1, CELLS // max(1, len(answer_of)))
    for start in range(0, len(queries), batch):
        part = slice(start, start + batch)
        gains = graded_relevance(items.judging[asker[part]], items.judging[owner], grading)
        own = asker[part, None] == answer_of
        answers = Answers(-ask(queries[part]), gains, own)
        for name, judge in judges.items():
            values[name].append(judge(answers))
    return {
        name: _mean_per_item(np.concatenate([np.empty(0), *found]), asker, split.query)
        for name, found in values.items()
    }


def _mean_per_item(values: Values, asker: NDArray[np.int64], items: NDArray[np.int64]) -> Values:
    order = np.argsort(items)
    place = order[np.searchsorted(items, asker, sorter=order)]
    defined = ~np.isnan(values)
    total = np.bincount(place[defined], values[defined], minlength=len(items))
    return divide(total, np.bincount(place[defined], minlength=len(items)))


def _gather(found: list[_Found], measures: Sequence[str]) -> Evaluation:
    """Values of all splits as ``(splits, queries)``, NaN where a split has fewer queries."""

    def stack(rows: list[Any]) -> Measure:
        values = np.full((len(rows), max(map(len, rows))), np.nan)
        for number, row in enumerate(rows):
            values[number, : len(row)] = row
        return Measure(values)

    return Evaluation(
        {
            name: {d: stack([judged[d][name] for judged in found]) for d in DIRECTIONS}
            for name in measures
        }
    )


def _default_measures(k: int) -> tuple[str, str]:
    return ("map", f"own_recall@{k}")
