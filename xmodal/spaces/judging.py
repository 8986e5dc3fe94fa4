"""``evaluate``: what searches in a library are worth, by what people wrote about its pictures."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.encoders.base import Features, normalise
from xmodal.errors import UsageError
from xmodal.evaluate import Measure, average_precision
from xmodal.hamming import HammingIndex
from xmodal.query.ranking import rank
from xmodal.results import EvaluateReport, Quality
from xmodal.spaces.code import ActiveCode
from xmodal.spaces.rows import MAX_PICTURES, Ids, present_pictures, read_captions_of
from xmodal.store.features import read_features
from xmodal.store.models import HasherRecord, ItemKeyword, Keyword

# Queries of one kind, drawn at random; more narrow the interval below what a user would notice.
MAX_QUERIES = 300
RANKINGS = ("features", "code", "both")
Judge = Callable[[Ids, int], float]
"""What a ranking (places of items, best first) is worth to the query of that place."""


@dataclass(frozen=True)
class Wall:
    """What is searched: features ``(n, dim)`` of one modality, centred ones, and their codes."""

    modality: str
    features: Features
    centred: Features
    index: HammingIndex
    code: ActiveCode

    @classmethod
    def of(cls, code: ActiveCode, modality: str, features: Features) -> "Wall":
        encode = code.encode_images if modality == "image" else code.encode_texts
        index = HammingIndex(code.hasher.bits)
        index.add(np.arange(len(features)), encode(features))
        mean = code.hasher.image_mean_ if modality == "image" else code.hasher.text_mean_
        return cls(modality, features, normalise(features - mean), index, code)

    def ranked(self, how: str, query: Features, k: int) -> Ids:
        """Places of the ``k`` nearest items to a feature ``(dim,)`` of the other modality."""
        hasher = self.code.hasher
        asks = "text" if self.modality == "image" else "image"
        if how != "features":
            read = None if how == "code" else self.features.__getitem__
            return rank(query, asks, self.index, self.modality, hasher, k, read).ids
        mean = hasher.image_mean_ if asks == "image" else hasher.text_mean_
        return np.argsort(-(self.centred @ (query - mean)), kind="stable")[:k]

    def measure(self, queries: Features, asking: Ids, k: int, judge: Judge) -> dict[str, Measure]:
        """What each of ``RANKINGS`` is worth to the queries of the places ``asking``."""
        found = {}
        for how in RANKINGS:
            values = [judge(self.ranked(how, queries[q], k), q) for q in asking.tolist()]
            found[how] = Measure(np.array([values]))
        return found


def evaluate(session: Session, encoder_id: int, code: ActiveCode, k: int) -> EvaluateReport:
    """Search as the library does, for its own keywords and captions, and count what is found.

    By keyword: a keyword asks for the pictures that have it, a picture for its keywords, and the
    average precision of the whole ranking is taken; pictures without keywords are left out, since
    nobody knows what they show. By caption: each caption asks for its picture, and each picture for
    its captions, among all that there are. At most ``MAX_PICTURES`` pictures and ``MAX_QUERIES``
    queries of each kind take part, drawn at random.

    Raises UsageError when there are neither keywords nor captions.
    """
    started = time.monotonic()
    pictures = present_pictures(session, encoder_id)
    rng = np.random.default_rng(0)
    if len(pictures) > MAX_PICTURES:
        pictures = np.sort(rng.choice(pictures, MAX_PICTURES, replace=False))
    images = read_features(session, encoder_id, pictures)
    captions, owner = read_captions_of(session, encoder_id, pictures)
    words, pairs = _keywords(session, encoder_id, pictures)
    if not len(captions) and not len(words):
        raise UsageError(
            f"nothing to judge searches by: found no captions and no keywords on {len(pictures)} "
            "pictures. Add them with `xmodal index FOLDER --captions FILE.csv` (columns file, "
            "caption, keywords)"
        )
    found: dict[str, dict[str, Measure]] = {}
    if len(words):
        has = np.zeros((len(words), len(pictures)), bool)
        has[pairs[:, 0], pairs[:, 1]] = True
        known = np.unique(pairs[:, 1])
        found |= _by_keyword(code, images[known], words, has[:, known], rng)
    if len(captions):
        found |= _by_caption(code, images, captions, owner, k, rng)
    record = session.get_one(HasherRecord, code.hasher_id)
    features, alone, both = (_quality(found, ranking) for ranking in RANKINGS)
    return EvaluateReport(
        hasher=code.name,
        bits=code.hasher.bits,
        pictures=len(pictures),
        keywords=len(words),
        captions=len(captions),
        k=k,
        features=features,
        code=alone,
        both=both,
        trained=dict(record.quality),
        seconds=round(time.monotonic() - started, 3),
    )


def _keywords(session: Session, encoder_id: int, pictures: Ids) -> tuple[Features, Ids]:
    """Features of the keywords, and (keyword, picture) places of who has which."""
    rows = session.execute(
        select(Keyword.text_item_id, ItemKeyword.item_id)
        .join(ItemKeyword, ItemKeyword.keyword_id == Keyword.id)
        .distinct()
    )
    pairs = np.array([(word, item) for word, item in rows], np.int64).reshape(-1, 2)
    pairs = pairs[np.isin(pairs[:, 1], pictures)]
    words, place = np.unique(pairs[:, 0], return_inverse=True)
    features = read_features(session, encoder_id, words)
    there = ~np.isnan(features[:, 0])
    kept = there[place]
    renumbered = np.cumsum(there) - 1
    columns = np.searchsorted(pictures, pairs[kept, 1])
    return features[there], np.stack([renumbered[place[kept]], columns], axis=1)


def _by_keyword(
    code: ActiveCode,
    images: Features,
    words: Features,
    has: NDArray[np.bool_],
    rng: np.random.Generator,
) -> dict[str, dict[str, Measure]]:
    """Average precision by direction and ranking; ``has`` bool ``(words, images)``."""

    def precision(relevant: NDArray[np.bool_]) -> Judge:
        return lambda ranking, query: float(average_precision([relevant[query][ranking]])[0])

    pictures, texts = Wall.of(code, "image", images), Wall.of(code, "text", words)
    asking = _some(np.arange(len(words)), rng), _some(np.arange(len(images)), rng)
    return {
        "text_to_image": pictures.measure(words, asking[0], len(images), precision(has)),
        "image_to_text": texts.measure(images, asking[1], len(words), precision(has.T)),
    }


def _by_caption(
    code: ActiveCode,
    images: Features,
    captions: Features,
    owner: Ids,
    k: int,
    rng: np.random.Generator,
) -> dict[str, dict[str, Measure]]:
    """Share that finds its own among the first ``k``; ``owner`` is each caption's picture."""
    pictures, texts = Wall.of(code, "image", images), Wall.of(code, "text", captions)
    asking = _some(np.arange(len(captions)), rng), _some(np.unique(owner), rng)
    return {
        "caption_to_image": pictures.measure(
            captions, asking[0], k, lambda ranking, query: float(owner[query] in ranking)
        ),
        "image_to_caption": texts.measure(
            images, asking[1], k, lambda ranking, query: float(query in owner[ranking])
        ),
    }


def _quality(found: dict[str, dict[str, Measure]], ranking: str) -> Quality:
    numbers: list[float | None] = []
    for pair in (("text_to_image", "image_to_text"), ("caption_to_image", "image_to_caption")):
        measures = [found[name][ranking] for name in pair if name in found]
        if measures:
            widest = max(measure.half_width for measure in measures)
            numbers += [round(value, 4) for value in (*(m.mean for m in measures), widest)]
        else:
            numbers += [None, None, None]
    return Quality(*numbers)


def _some(places: Ids, rng: np.random.Generator) -> Ids:
    if len(places) <= MAX_QUERIES:
        return places
    return np.sort(rng.choice(places, MAX_QUERIES, replace=False))
