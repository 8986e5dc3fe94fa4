"""Honest trials: disjoint query, training and database rows, both directions, repeated splits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.metrics import (
    Values,
    average_precision,
    in_ranked_order,
    mean_of,
    own_item_recall,
    rank_items,
)
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing.base import Hasher
from xmodal.hashing.rotation import unit_rows

Floats = NDArray[np.float32]
Direction = Literal["text_to_image", "image_to_text"]
Fit = Callable[[Floats, Floats, Floats], Hasher]
"""From training images, texts and labels to a fitted hasher."""
Scores = Callable[[Direction, Floats, Floats], NDArray[np.floating]]
"""Scores ``(q, n)`` of a direction, query features and database features; higher is nearer."""

DIRECTIONS: tuple[Direction, Direction] = ("text_to_image", "image_to_text")
# Half-width of a 95 % interval in standard errors.
STANDARD_ERRORS = 1.96
# More queries narrow the interval below what a user would notice.
MAX_QUERIES = 2_000
# Queries ranked at a time: bounds the memory of the queries × items matrices.
QUERY_BATCH = 128


@dataclass(frozen=True)
class Split:
    """Row numbers of one trial; no row is in two of them."""

    query: NDArray[np.int64]
    training: NDArray[np.int64]
    database: NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """A measure over queries: the mean, the half-width of its 95 % interval, and every value.

    ``values`` is ``(splits, queries)``, NaN where a query has no relevant item. Repeating splits
    steadies the mean, but the rows stay the same: the interval is that of one split's queries.
    """

    values: NDArray[np.float64]

    @property
    def mean(self) -> float:
        return mean_of(self.values.ravel())

    @property
    def half_width(self) -> float:
        defined = self.values[~np.isnan(self.values)]
        queries = len(defined) / len(self.values)
        if queries <= 1:
            return float("nan")
        return float(STANDARD_ERRORS * defined.std(ddof=1) / np.sqrt(queries))

    def minus(self, other: "Measure") -> "Measure":
        """The paired difference, query by query, to another hasher on the same splits."""
        if self.values.shape != other.values.shape:
            raise UsageError(
                f"measures of different trials: {self.values.shape} and {other.values.shape} values"
            )
        return Measure(self.values - other.values)

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half_width:.3f}"


@dataclass(frozen=True)
class Evaluation:
    """What a hasher reaches in each direction.

    ``label_map`` is mAP@all by shared labels. ``own_recall`` is the share of queries that find
    their own partner, a picture's text or a text's picture, among the first ``k``; partners are
    sought among database and query rows together, since the database alone does not hold them.
    """

    label_map: dict[Direction, Measure]
    own_recall: dict[Direction, Measure]


def split_rows(rows: int, *, seed: int = 0, query: float = 1 / 6, training: float = 1 / 2) -> Split:
    """Rows at random into disjoint queries (at most 2,000), training rows and a database, the rest.

    >>> split = split_rows(12)
    >>> len(split.query), len(split.training), len(split.database)
    (2, 6, 4)
    """
    queries, learned = min(round(query * rows), MAX_QUERIES), round(training * rows)
    if queries < 1 or learned < 1 or queries + learned >= rows:
        raise UsageError(
            f"rows: expected enough for queries ({query:.2f} of them), training rows "
            f"({training:.2f}) and a database, found {rows}"
        )
    order = np.random.default_rng(seed).permutation(rows)
    parts = np.split(order, [queries, queries + learned])
    return Split(*(np.sort(part) for part in parts))


def evaluate_hasher(
    fit: Fit,
    images: ArrayLike,
    texts: ArrayLike,
    labels: ArrayLike,
    *,
    splits: int = 3,
    seed: int = 0,
    k: int = 10,
    asymmetric: bool = True,
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
    asymmetric: rank by the query's weights against the items' bits; else by Hamming distance.
    k: cut-off of the recall of own partners.
    """

    def scores_of(x: Floats, y: Floats, known: Floats) -> Scores:
        hasher = fit(x, y, known)
        return lambda direction, queries, items: code_scores(
            hasher, direction, queries, items, asymmetric=asymmetric
        )

    return evaluate_scores(scores_of, images, texts, labels, splits=splits, seed=seed, k=k)


def evaluate_features(
    images: ArrayLike,
    texts: ArrayLike,
    labels: ArrayLike,
    *,
    splits: int = 3,
    seed: int = 0,
    k: int = 10,
) -> Evaluation:
    """The float baseline on the same splits: cosine of features centred by the training means."""
    return evaluate_scores(_centred_cosine, images, texts, labels, splits=splits, seed=seed, k=k)


def code_scores(
    hasher: Hasher, direction: Direction, queries: Floats, items: Floats, *, asymmetric: bool
) -> Floats:
    """Scores ``(q, n)`` of items by their codes: asymmetric, or minus the Hamming distance."""
    if direction == "text_to_image":
        query, code = hasher.query_texts, hasher.encode_texts
        signs = unpack_signs(hasher.encode_images(items)).astype(np.float32)
    else:
        query, code = hasher.query_images, hasher.encode_images
        signs = unpack_signs(hasher.encode_texts(items)).astype(np.float32)
    if asymmetric:
        return query(queries) @ signs.T
    own = unpack_signs(code(queries)).astype(np.float32)
    return (own @ signs.T - np.float32(hasher.bits)) / np.float32(2)


def evaluate_scores(
    scores_of: Callable[[Floats, Floats, Floats], Scores],
    images: ArrayLike,
    texts: ArrayLike,
    labels: ArrayLike,
    *,
    splits: int,
    seed: int,
    k: int,
) -> Evaluation:
    """The protocol for anything that scores: ``scores_of`` learns from the training rows."""
    x, y, known = (np.asarray(values, np.float32) for values in (images, texts, labels))
    if not len(x) == len(y) == len(known):
        raise UsageError(
            f"images, texts, labels: expected equally many rows, found {len(x)}, {len(y)}, "
            f"{len(known)}"
        )
    label_map: dict[Direction, list[Values]] = {direction: [] for direction in DIRECTIONS}
    own_recall: dict[Direction, list[Values]] = {direction: [] for direction in DIRECTIONS}
    for number in range(splits):
        split = split_rows(len(x), seed=seed + number)
        scores = scores_of(x[split.training], y[split.training], known[split.training])
        for direction in DIRECTIONS:
            source, target = (y, x) if direction == "text_to_image" else (x, y)
            ap, own = _judge(scores, direction, source, target, known >= 0.5, split, k)
            label_map[direction].append(ap)
            own_recall[direction].append(own)
    return Evaluation(
        {direction: Measure(np.array(values)) for direction, values in label_map.items()},
        {direction: Measure(np.array(values)) for direction, values in own_recall.items()},
    )


def _judge(
    scores: Scores,
    direction: Direction,
    source: Floats,
    target: Floats,
    labels: NDArray[np.bool_],
    split: Split,
    k: int,
) -> tuple[Values, Values]:
    """Average precision and own-partner recall of each query row, NaN where there is none."""
    queries = split.query
    asks, answers = ~np.isnan(source[:, 0]), ~np.isnan(target[:, 0])
    # Database rows first: label mAP is over them, own partners are among the queries' rows behind.
    items = np.concatenate([split.database[answers[split.database]], queries[answers[queries]]])
    database = int(answers[split.database].sum())
    place = np.full(len(source), -1)
    place[items] = np.arange(len(items))
    ap, own = np.full(len(queries), np.nan), np.full(len(queries), np.nan)
    asking = np.flatnonzero(asks[queries])
    for start in range(0, len(asking), QUERY_BATCH):
        batch = asking[start : start + QUERY_BATCH]
        rows = queries[batch]
        distances = -scores(direction, source[rows], target[items])
        shared = labels[rows].astype(np.float32) @ labels[items[:database]].T.astype(np.float32)
        ranked = in_ranked_order(shared > 0, rank_items(distances[:, :database]))
        ap[batch] = average_precision(ranked)
        partner = place[rows] >= 0
        if partner.any():
            own[batch[partner]] = own_item_recall(distances[partner], place[rows[partner]], k)
    return ap, own


def _centred_cosine(images: Floats, texts: Floats, labels: Floats) -> Scores:
    means = {"image": np.nanmean(images, axis=0), "text": np.nanmean(texts, axis=0)}

    def scores(direction: Direction, queries: Floats, items: Floats) -> Values:
        source, target = ("text", "image") if direction == "text_to_image" else ("image", "text")
        return unit_rows(queries - means[source]) @ unit_rows(items - means[target]).T

    return scores
