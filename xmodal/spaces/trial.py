"""Trials on a library's own pictures: what is learned from one half is asked of the other."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.evaluate import Measure, Split, evaluate_models
from xmodal.evaluate.bits import both_directions
from xmodal.evaluate.scorers import DIRECTIONS, Direction, code_model
from xmodal.hashing import Hasher
from xmodal.spaces.rows import Rows

Ids = NDArray[np.int64]
Scores = dict[str, dict[Direction, Measure]]
"""``map`` and ``own_recall`` by direction; one that nothing can judge is left out."""

# Every held-out picture asks once, the pictures of the other parts answer.
FOLDS = 3
RECALL_AT = 10
# Held-out pictures with labels, or with captions, below which a measure says nothing.
MIN_HELD = 2 * FOLDS
# More of them narrow the interval below what a user would notice.
MAX_HELD = 3_000


@dataclass(frozen=True)
class Gain:
    """What one code has before another on the same queries, each the mean of both directions.

    ``label_map`` and ``own_recall`` are paired differences, None where nothing can judge them.
    """

    label_map: Measure | None
    own_recall: Measure | None

    @property
    def mean(self) -> float:
        return sum(m.mean for m in (self.label_map, self.own_recall) if m is not None)

    @property
    def half_width(self) -> float:
        found = [m.half_width for m in (self.label_map, self.own_recall) if m is not None]
        return float(np.hypot.reduce(found)) if found else float("nan")

    @property
    def clear(self) -> bool:
        """Whether the sum of both is above zero by more than half of its 95 % interval."""
        return self.mean > self.half_width


def halves(rows: Rows, seed: int, share: float = 1 / 2) -> tuple[Ids, Ids]:
    """Rows to learn from, ``share`` of them, and the others; labels are divided alike."""
    rng = np.random.default_rng(seed)
    learned = []
    for group in (rows.labelled, ~rows.labelled):
        members = rng.permutation(np.flatnonzero(group))
        learned.append(members[: round(share * len(members))])
    first = np.sort(np.concatenate(learned))
    return first, np.setdiff1d(np.arange(len(rows.images)), first)


def judge(hashers: Mapping[str, Hasher], rows: Rows, held: Ids, seed: int) -> dict[str, Scores]:
    """Label mAP and own-caption recall@10 of fitted hashers on the rows ``held``.

    None of the hashers may have been fitted on these. Pictures without labels neither ask for
    labels nor are found by them, since nobody knows what they show; each caption of a picture asks
    for the picture, and a picture for any of its captions.
    """
    models = {name: code_model(hasher, asymmetric=True) for name, hasher in hashers.items()}
    found: dict[str, Scores] = {name: {} for name in hashers}
    others = np.setdiff1d(np.arange(len(rows.images)), held)
    # Who has no caption is asked for by the names of its labels.
    trials = (
        ("map", "map", rows.labelled, rows.texts_with(rows.labels), None),
        ("own_recall", f"own_recall@{RECALL_AT}", rows.captioned, rows.captions, rows.caption_of),
    )
    for name, measure, able, asked, text_of in trials:
        asking = held[able[held]]
        if len(asking) < MIN_HELD:
            continue
        labels = rows.labels if rows.labels.shape[1] else np.zeros((len(rows.images), 1))
        evaluations = evaluate_models(
            lambda *_: models, rows.images, asked, labels, measures=(measure,),
            splits=_folds(asking, others, seed), text_of=text_of,
        )  # fmt: skip
        for key, evaluation in evaluations.items():
            measures = evaluation.measures[measure]
            # Every picture asks once: one sample of queries, not several splits.
            whole = {d: Measure(measures[d].values.reshape(1, -1)) for d in DIRECTIONS}
            if not any(np.isnan(m.mean) for m in whole.values()):
                found[key][name] = whole
    return found


def gain(after: Scores, before: Scores) -> Gain:
    """The paired difference of two codes that were judged together."""
    return Gain(*(_difference(after, before, name) for name in ("map", "own_recall")))


def _difference(after: Scores, before: Scores, name: str) -> Measure | None:
    if name not in after or name not in before:
        return None
    return both_directions(after[name]).minus(both_directions(before[name]))


def _folds(asking: Ids, others: Ids, seed: int) -> list[Split]:
    order = np.random.default_rng(seed).permutation(asking)[:MAX_HELD]
    folds = np.array_split(order, FOLDS)
    return [Split(np.sort(fold), others, np.setdiff1d(order, fold)) for fold in folds]
