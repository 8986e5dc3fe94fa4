"""Which pictures show what a query excludes.

The rule is a simple one: a picture shows it if it is nearer to it than to 98 % of the everyday
words of the encoder's background (of its sample pictures, where a picture is excluded).
"""

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.background import Background
from xmodal.encoders.base import Features, normalise
from xmodal.hamming import asymmetric_scores
from xmodal.hashing import Hasher
from xmodal.query.ranking import ReadFeatures, Searchable, Term, cosines_of

SHARE = 0.98


def excluded(
    term: Term,
    ids: NDArray[np.int64],
    index: Searchable,
    hasher: Hasher,
    read_features: ReadFeatures | None,
    background: Background,
) -> NDArray[np.bool_]:
    """Which of the pictures ``ids`` show what the term means, bool ``(n,)``.

    By the cosines of features, and by the codes where none are kept. Raises nothing of its own.
    """
    image = term.modality == "image"
    others = background.picture_features if image else background.word_features
    found: NDArray[np.bool_] = np.zeros(len(ids), dtype=bool)
    known: NDArray[np.bool_] = found.copy()
    if read_features is not None and len(ids):
        items = read_features(ids)
        known = np.isfinite(items.sum(axis=1))
        mean = hasher.image_mean_ if image else hasher.text_mean_
        pictures = normalise(items[known] - hasher.image_mean_)
        own = cosines_of(term, items[known], "image", hasher)
        found[known] = _is_nearest(own, pictures @ normalise(others - mean).T)
    if not known.all():
        weigh = hasher.query_images if image else hasher.query_texts
        weights = normalise(weigh(np.concatenate([term.feature[None, :], others])))
        scores = asymmetric_scores(weights, index.codes(ids[~known])).T
        found[~known] = _is_nearest(scores[:, 0], scores[:, 1:])
    return found


def _is_nearest(own: NDArray[np.float32], others: Features) -> NDArray[np.bool_]:
    """Whether each row's own score exceeds so large a share of the others, ``(n, m)``."""
    return (own[:, None] > others).mean(axis=1) >= SHARE
