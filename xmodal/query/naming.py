"""Texts near a picture: the library's captions and keywords, then the vocabulary's words."""

from collections.abc import Sequence

import numpy as np

from xmodal.encoders.base import Features
from xmodal.errors import UsageError
from xmodal.hamming import HammingIndex
from xmodal.query.catalog import TextSource, texts_of
from xmodal.query.ranking import SHORTLIST, rank
from xmodal.results import Annotation
from xmodal.spaces.opened import OpenSpace

SOURCES = ("caption", "keyword", "vocabulary")

_Named = tuple[str, TextSource, int, float]


def check_sources(sources: Sequence[str]) -> None:
    """Raise UsageError for what texts do not come from."""
    unknown = [source for source in sources if source not in SOURCES]
    if unknown or not sources:
        raise UsageError(f"no source {unknown}; choose from {', '.join(SOURCES)}")


def name(
    space: OpenSpace, feature: Features, k: int, sources: Sequence[str], use_features: bool
) -> list[Annotation]:
    """What ``Library.annotate`` returns for a picture's feature ``(dim,)``."""
    own = k - max(1, k // 3) if "vocabulary" in sources and k > 1 else k
    ranking = rank(
        feature, "image", space.index("text"), "text", space.code.hasher, max(k, SHORTLIST),
        space.features if use_features else None,
    )  # fmt: skip
    texts = texts_of(space.session, ranking.ids, sources)
    found: list[_Named] = [
        (*texts[i], distance, score) for i, distance, score in ranking.rows() if i in texts
    ][:own]
    if "vocabulary" in sources:
        known = {text.casefold() for text, *_ in found}
        words = _nearest_words(space, feature, k + len(known))
        found += [row for row in words if row[0].casefold() not in known]
    return [
        Annotation(place, text, source, distance, score)
        for place, (text, source, distance, score) in enumerate(found[:k], start=1)
    ]


def _nearest_words(space: OpenSpace, feature: Features, k: int) -> list[_Named]:
    background, code = space.background(), space.code
    index = HammingIndex(code.hasher.bits)
    index.add(np.arange(len(background.words)), code.encode_texts(background.word_features))
    ranking = rank(
        feature, "image", index, "text", code.hasher, k,
        lambda ids: background.word_features[ids],
    )  # fmt: skip
    return [
        (background.words[i], "vocabulary", distance, score)
        for i, distance, score in ranking.rows()
    ]
