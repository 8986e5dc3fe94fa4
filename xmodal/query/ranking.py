"""Ranking: a Hamming shortlist, ordered by asymmetric scores and, where kept, by features.

Three stages, each on fewer items than the one before: the exact Hamming scan over all codes; the
asymmetric score, where the query keeps its real projection and the item its bits; the cosine of
the centred features. No arrays here know of files or databases.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.base import Features, normalise
from xmodal.hamming import Hits, asymmetric_scores, pack_bits
from xmodal.hashing import Hasher
from xmodal.stopwatch import OFF, Stopwatch

# What the shortlist holds at least: Hamming distances tie often, and the stages after it are cheap.
SHORTLIST = 500
SHORTLIST_PER_RESULT = 20


@dataclass(frozen=True)
class Stages:
    """What each stage of a ranking made of its items, arrays ``(n,)``.

    ``semantic`` and ``instance`` are the distances of the two halves of the codes, in bits; of a
    code without halves the first is None, the second that of the whole. ``by_code``,
    ``by_weights`` and ``by_features`` are the places after each stage, from 1, among ``shortlist``
    items; the last is None where features were not ranked by.
    """

    semantic: NDArray[np.int64] | None
    instance: NDArray[np.int64]
    by_code: NDArray[np.int64]
    by_weights: NDArray[np.int64]
    by_features: NDArray[np.int64] | None
    shortlist: int


@dataclass(frozen=True)
class Ranking:
    """Items from best to worst: ``ids`` int64, ``distances`` int32 in bits, ``scores`` float32.

    ``stages`` say how they came there, where that was asked for.
    """

    ids: NDArray[np.int64]
    distances: NDArray[np.int32]
    scores: NDArray[np.float32]
    stages: Stages | None = None

    def rows(self) -> Iterator[tuple[int, int, float]]:
        """(id, distance, score) as plain numbers."""
        yield from zip(
            self.ids.tolist(), self.distances.tolist(), self.scores.tolist(), strict=True
        )


class Searchable(Protocol):
    """What a ranking needs of an index: :class:`~xmodal.hamming.HammingIndex` has it."""

    def __len__(self) -> int: ...

    def search(
        self, codes: NDArray[np.uint8], k: int, /, allowed: NDArray[np.int64] | None = None
    ) -> Hits:
        """The ``k`` nearest codes of each query, among the ``allowed`` ids, which ascend."""
        ...

    def codes(self, ids: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The codes of these ids."""
        ...


@dataclass(frozen=True, eq=False)
class Term:
    """A part of a query: its feature ``(dim,)``, its modality, and how much it counts."""

    feature: Features
    modality: str
    weight: float = 1.0


ReadFeatures = Callable[[NDArray[np.int64]], Features]
Dropped = Callable[[NDArray[np.int64]], NDArray[np.bool_]]


def rank(
    feature: Features,
    modality: str,
    index: Searchable,
    target: str,
    hasher: Hasher,
    k: int,
    read_features: ReadFeatures | None,
) -> Ranking:
    """The ``k`` best items for one query feature ``(dim,)``; else as :func:`rank_terms`."""
    return rank_terms([Term(feature, modality)], index, target, hasher, k, read_features)


def rank_terms(
    terms: Sequence[Term],
    index: Searchable,
    target: str,
    hasher: Hasher,
    k: int,
    read_features: ReadFeatures | None,
    allowed: NDArray[np.int64] | None = None,
    dropped: Dropped | None = None,
    depth: int = 0,
    explain: bool = False,
    watch: Stopwatch = OFF,
) -> Ranking:
    """The ``k`` best items for all terms together, or ``depth`` of them if that is more.

    Each term's projections and query weights have length 1 before they are weighed and added, so
    that a weight means the same for a text and for a picture; the code is the sign of the sum, and
    cosines are averaged with the same weights. The weight of a single term changes nothing.

    ``target`` is the modality of the items (``image`` or ``text``). ``read_features(ids)`` gives
    their features, NaN rows where none are kept; None ranks by the codes alone. Only ``allowed``
    ids, which ascend, are found, and none for which ``dropped(ids)``, bool ``(n,)``, is true.
    With ``explain`` the ranking has its ``stages``.
    """
    code = code_of(terms, hasher)
    ids, distances = _shortlist(code, index, k, allowed, dropped, watch)
    if not len(ids):
        nothing = np.empty(0)
        return Ranking(nothing.astype(np.int64), nothing.astype(np.int32), nothing.astype("f4"))
    weights = _added(terms, hasher.query_images, hasher.query_texts)[0]
    scale = float(np.linalg.norm(weights)) * np.sqrt(len(weights))
    coded = scores = asymmetric_scores(weights, index.codes(ids)) / (scale or 1.0)
    if read_features is not None:
        with watch.part("features"):
            items = read_features(ids)
        cosines = [cosines_of(each, items, target, hasher) for each in terms]
        scores = mix(scores, _averaged(cosines, terms), hasher.feature_weight)
    order = np.lexsort((ids, distances, -scores))[: max(k, depth)]
    stages = None
    if explain:
        instance = _differing(code, index.codes(ids[order]), hasher.instance_start)
        stages = Stages(
            distances[order] - instance if hasher.instance_start else None,
            instance,
            order + 1,  # the shortlist is in the order of the codes
            (np.argsort(np.lexsort((ids, distances, -coded))) + 1)[order],
            np.arange(1, len(order) + 1) if read_features is not None else None,
            len(ids),
        )
    return Ranking(ids[order], distances[order], scores[order].astype(np.float32), stages)


def code_of(terms: Sequence[Term], hasher: Hasher) -> NDArray[np.uint8]:
    """The code that all terms together are searched by, uint8 ``(1, bits // 8)``."""
    return pack_bits(_added(terms, hasher.project_images, hasher.project_texts))


def shortlist_of(k: int) -> int:
    """How many nearest codes the ``k`` best are chosen from."""
    return max(SHORTLIST, SHORTLIST_PER_RESULT * k)


def _shortlist(
    code: NDArray[np.uint8],
    index: Searchable,
    k: int,
    allowed: NDArray[np.int64] | None,
    dropped: Dropped | None,
    watch: Stopwatch,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The nearest codes: ids and distances of enough of them to choose ``k`` from."""
    most = len(index) if allowed is None else min(len(index), len(allowed))
    wanted = min(shortlist_of(k), most)
    while wanted:
        with watch.part("scan"):
            hits = index.search(code, wanted, allowed=allowed)
        found = hits.ids[0] >= 0
        ids, distances = hits.ids[0][found], hits.distances[0][found]
        if dropped is None:
            return ids, distances
        stay = ~dropped(ids)
        if stay.sum() >= k or len(ids) < wanted or wanted == most:
            return ids[stay], distances[stay]
        wanted = min(4 * wanted, most)
    return np.empty(0, np.int64), np.empty(0, np.int32)


def _differing(code: NDArray[np.uint8], others: NDArray[np.uint8], start: int) -> NDArray[np.int64]:
    """How many bits from ``start``, a multiple of 8, on differ from a code ``(1, bytes)``."""
    return np.bitwise_count(code ^ others)[:, start // 8 :].sum(axis=1, dtype=np.int64)


def _added(
    terms: Sequence[Term],
    of_images: Callable[[Features], Features],
    of_texts: Callable[[Features], Features],
) -> Features:
    """The weighted sum of what two functions make of the terms, ``(1, bits)``."""
    rows = [
        (of_images if term.modality == "image" else of_texts)(term.feature[None, :])
        for term in terms
    ]
    if len(rows) == 1:
        return rows[0]
    return np.sum([t.weight * normalise(row) for t, row in zip(terms, rows, strict=True)], axis=0)


def _averaged(cosines: list[NDArray[np.float32]], terms: Sequence[Term]) -> NDArray[np.float32]:
    if len(cosines) == 1:
        return cosines[0]
    weights = [term.weight for term in terms]
    return np.average(cosines, axis=0, weights=weights).astype(np.float32)


def mix(
    asymmetric: NDArray[np.float32], cosines: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Both scores standardised over the shortlist, added, and put on the cosines' scale.

    z(asymmetric) + weight · z(cosine) ranks labels better than either alone; a code without
    labels only approximates the cosine, so its weight is infinite and the cosine decides.
    Items without a kept feature stand in the order that the code gives them.
    """
    known = np.isfinite(cosines)
    if not known.any():
        return asymmetric
    mean, spread = float(cosines[known].mean()), float(cosines[known].std())
    coded = (asymmetric - asymmetric.mean()) / (asymmetric.std() or 1.0)
    featured = np.where(known, (cosines - mean) / (spread or 1.0), coded)
    share = 1.0 if np.isinf(weight) else weight / (1.0 + weight)
    return (mean + (spread or 1.0) * ((1.0 - share) * coded + share * featured)).astype(np.float32)


def cosines_of(term: Term, items: Features, target: str, hasher: Hasher) -> NDArray[np.float32]:
    """Cosines of features centred by the means of their own modality; NaN stays NaN."""
    means = {"image": hasher.image_mean_, "text": hasher.text_mean_}
    query = normalise(term.feature[None, :] - means[term.modality])[0]
    return (normalise(items - means[target]) @ query).astype(np.float32)
