"""What ``fused`` decides on training rows that it holds out: its instance half and the balance."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xmodal.evaluate.metrics import (
    average_precision,
    in_ranked_order,
    mean_of,
    own_item_recall,
    rank_items,
)
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing.base import Hasher
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.chunks import float_rows, rows_with_all
from xmodal.hashing.rotation import Doubles

# Where images and texts share a space, and where they do not.
SHARED, APART = ("pair-itq", "itq", "cca-itq"), ("cca-itq",)
# Shares of the semantic half, the first of equally good ones. With less than half of the score,
# longer codes would tell single items apart at the expense of labels.
SHARES = (0.5, 0.6, 0.7)
# Rows that the choice is made on, and how many of them at most are held out.
CHOICE_ROWS, MOST_QUERIES = 5_000, 600
# With fewer rows a third of them, held out, tells nothing.
FEWEST = 60
# Ranks within which the own partner should be.
CUT_OFF = 10


def choose_halves(
    semantic: Hasher,
    instances: Sequence[Hasher],
    shares: Sequence[float],
    images: Reals,
    texts: Reals,
    labels: Reals,
) -> tuple[str, float]:
    """The instance hasher and the semantic share whose code is worth most on held-out rows.

    Worth is label mAP plus recall@10 of the own partner, each the mean of both directions, among
    the held-out third of at most ``CHOICE_ROWS`` rows with everything; codes learn from the rest.
    The first candidates are taken where there are too few rows to tell. The hashers are fitted on
    the way.
    """
    best, worth = (instances[0].name, shares[0]), -np.inf
    rng = np.random.default_rng(semantic.seed)
    rows = rng.permutation(rows_with_all(images, texts, labels))[:CHOICE_ROWS]
    held_out = min(len(rows) // 3, MOST_QUERIES)
    if len(rows) < FEWEST or len(rows) - held_out <= semantic.bits:
        return best
    asked, learned = np.sort(rows[:held_out]), np.sort(rows[held_out:])
    known = [float_rows(values, learned) for values in (images, texts, labels)]
    queries = float_rows(images, asked), float_rows(texts, asked)
    relevant = (shared := float_rows(labels, asked) >= 0.5) @ shared.T
    meaning = list(_scores(semantic.fit(*known), *queries))
    for instance in instances:
        alone = list(_scores(instance.fit(*known), *queries))
        for share in shares:
            found = np.mean(
                [
                    _worth(share * m + (1 - share) * a, relevant)
                    for m, a in zip(meaning, alone, strict=True)
                ]
            )
            if found > worth:
                best, worth = (instance.name, share), float(found)
    return best


def _scores(hasher: Hasher, images: Floats, texts: Floats) -> Iterator[Doubles]:
    """Asymmetric scores of each direction ``(n, n)``, those of a query of variance 1."""
    weights = {"text": hasher.query_texts(texts), "image": hasher.query_images(images)}
    codes = {"image": hasher.encode_images(images), "text": hasher.encode_texts(texts)}
    for source, target in (("text", "image"), ("image", "text")):
        scores = weights[source].astype(np.float64) @ unpack_signs(codes[target]).T
        spread = scores.std(axis=1, keepdims=True)
        yield scores / np.where(spread > 0, spread, 1.0)


def _worth(scores: Doubles, relevant: NDArray[np.bool_]) -> float:
    order = rank_items(-scores)
    precision = mean_of(average_precision(in_ranked_order(relevant, order)))
    own = mean_of(own_item_recall(-scores, np.arange(len(scores)), CUT_OFF))
    return own if np.isnan(precision) else precision + own
