"""Ranking: a Hamming shortlist, ordered by asymmetric scores and, where kept, by features.

Three stages, each on fewer items than the one before: the exact Hamming scan over all codes; the
asymmetric score, where the query keeps its real projection and the item its bits; the cosine of
the centred features. No arrays here know of files or databases.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.base import Features, normalise
from xmodal.hamming import Hits, asymmetric_scores
from xmodal.hashing import Hasher

# What the shortlist holds at least: Hamming distances tie often, and the stages after it are cheap.
SHORTLIST = 500
SHORTLIST_PER_RESULT = 20


@dataclass(frozen=True)
class Ranking:
    """Items from best to worst: ``ids`` int64, ``distances`` int32 in bits, ``scores`` float32."""

    ids: NDArray[np.int64]
    distances: NDArray[np.int32]
    scores: NDArray[np.float32]

    def rows(self) -> Iterator[tuple[int, int, float]]:
        """(id, distance, score) as plain numbers."""
        yield from zip(
            self.ids.tolist(), self.distances.tolist(), self.scores.tolist(), strict=True
        )


class Searchable(Protocol):
    """What a ranking needs of an index: :class:`~xmodal.hamming.HammingIndex` has it."""

    def __len__(self) -> int: ...

    def search(self, codes: NDArray[np.uint8], k: int, /) -> Hits:
        """The ``k`` nearest codes of each query."""
        ...

    def codes(self, ids: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """The codes of these ids."""
        ...


def rank(
    feature: Features,
    modality: str,
    index: Searchable,
    target: str,
    hasher: Hasher,
    k: int,
    read_features: Callable[[NDArray[np.int64]], Features] | None,
) -> Ranking:
    """The ``k`` best items for one query feature ``(dim,)``.

    ``modality`` is the query's, ``target`` that of the items (``image`` or ``text``).
    ``read_features(ids)`` gives the items' features, NaN rows where none are kept; None ranks by
    the codes alone.
    """
    row = feature[None, :]
    image = modality == "image"
    code = hasher.encode_images(row) if image else hasher.encode_texts(row)
    wanted = min(max(SHORTLIST, SHORTLIST_PER_RESULT * k), len(index))
    if not wanted:
        nothing = np.empty(0)
        return Ranking(nothing.astype(np.int64), nothing.astype(np.int32), nothing.astype("f4"))
    hits = index.search(code, wanted)
    found = hits.ids[0] >= 0
    ids, distances = hits.ids[0][found], hits.distances[0][found]
    weights = (hasher.query_images(row) if image else hasher.query_texts(row))[0]
    scale = float(np.linalg.norm(weights)) * np.sqrt(len(weights))
    scores = asymmetric_scores(weights, index.codes(ids)) / (scale or 1.0)
    if read_features is not None:
        cosines = _cosines(row, modality, read_features(ids), target, hasher)
        scores = mix(scores, cosines, hasher.feature_weight)
    order = np.lexsort((ids, distances, -scores))[:k]
    return Ranking(ids[order], distances[order], scores[order].astype(np.float32))


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


def _cosines(
    query: Features, modality: str, items: Features, target: str, hasher: Hasher
) -> NDArray[np.float32]:
    """Cosines of features centred by the means of their own modality; NaN stays NaN."""
    means = {"image": hasher.image_mean_, "text": hasher.text_mean_}
    return (normalise(items - means[target]) @ normalise(query - means[modality])[0]).astype(
        np.float32
    )
