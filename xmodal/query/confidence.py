"""Is it there at all? How many pictures would reach a score by chance, calibrated on the library.

A cosine means nothing alone: some pictures are near to any word, some libraries hold nothing near
to most. So a picture's score for a query is taken relative to the picture's own nearest words of
the vocabulary, and compared with what words that are *not* in the library reach in it. Which
these are nobody says; but a word that is in the library scores higher than if it were not, so the
lower half of all words, by their best pictures, is hardly touched by those that are. Best scores
follow a Gumbel law, the limit of maxima (Fisher and Tippett 1928); it is fitted to that half: an
empirical null (Efron 2004). The number of pictures that such a word brings to a score ``s`` or
better is then ``exp(-(s - location) / scale)``.

Results are shown as long as chance explains little of them (Benjamini and Hochberg 1995): the
first ``r``, for the largest ``r`` at which at most ``FALSE_SHARE · r`` are expected by chance.
Where there is no such ``r``, nothing matches.
"""

import io
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.background import Background
from xmodal.encoders.base import Features, normalise

# Of the results that are shown, at most this share may be there by chance.
FALSE_SHARE = 0.1
# A picture shows what is excluded if one in so many words would match it as well by chance.
EXCLUDED_AT = 0.01
# A score is relative to the mean of the picture's best words: what it shows, or is near to.
NEAREST_WORDS = 20
# A text is moved so far towards its nearest word.
PIVOT = 0.3
SAMPLE = 4_096  # pictures that a calibration looks at; more change little
# The tail of the lower half is kept at these probabilities: 1 down to 10^-5.
_TAIL = np.logspace(0, -5, 101)
# Expected numbers up to this follow the fitted law; above, where it does not hold, the tail.
_LAW_HOLDS = 2.5
_KNOWN_NULL = 0.5
_PLOT_FROM = 0.05
_LEAST_SCALE = 1e-4
_COPY = np.arctanh(0.98)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NullScores:
    """What queries that match nothing score among ``pictures`` pictures.

    ``location`` and ``scale`` are the Gumbel law of the best score; ``tail`` are the scores that a
    single picture reaches with the probabilities from 1 to 10^-5, evenly spaced in the logarithm.
    """

    location: float
    scale: float
    tail: list[float]
    pictures: int

    @classmethod
    def of(cls, scores: NDArray[np.float32]) -> Self:
        """Fitted to scores ``(pictures, queries)``."""
        best = scores.max(axis=0)
        location, scale = fit_lower_half(best.astype(np.float64))
        unmatched = scores[:, best <= np.quantile(best, _KNOWN_NULL)]
        tail = np.quantile(unmatched, 1 - _TAIL)
        return cls(location, scale, [round(float(t), 5) for t in tail], len(scores))

    def expected(self, scores: NDArray[Any], pictures: int) -> Array:
        """How many of ``pictures`` pictures reach each score by chance, float64."""
        scores = np.asarray(scores, np.float64)
        law = np.exp(np.minimum((self.location - scores) / self.scale, 99.0))
        law *= pictures / self.pictures
        reached = np.exp(np.interp(scores, self.tail, np.log(_TAIL))) * pictures
        return np.where(law <= _LAW_HOLDS, law, np.maximum(reached, _LAW_HOLDS))


@dataclass(frozen=True, eq=False)
class Calibration:
    """What one feature space of a library takes for chance.

    Attributes:
        image_mean: float32 ``(dim,)``, of the pictures; scores are cosines of what is left.
        text: null of texts that ask for pictures.
        image: null of pictures that ask for pictures.
    """

    image_mean: Features
    text: NullScores
    image: NullScores

    def scores(
        self, queries: Features, modality: str, items: Features, background: Background
    ) -> NDArray[np.float32]:
        """Scores float32 ``(items, queries)``, comparable between pictures."""
        centred = normalise(items - self.image_mean)
        if modality == "image":
            return likeness(centred, normalise(queries - self.image_mean))
        words = background.centred_words
        asked = normalise(queries - background.word_features.mean(axis=0))
        # What is written otherwise than the vocabulary, or in another language, is far from all
        # pictures alike; its nearest word brings it back among the words that it is compared with.
        nearest = words[np.argmax(asked @ words.T, axis=1)]
        asked = normalise(asked + PIVOT * nearest)
        return centred @ asked.T - nearest_words(centred, words)[:, None]

    def chance(
        self,
        query: Features,
        modality: str,
        items: Features,
        background: Background,
        pictures: int,
    ) -> Array:
        """The number of chance matches expected among ``pictures`` at each item's score or better.

        Args:
            query: float32 ``(dim,)``, of ``modality`` ``image`` or ``text``.
            items: float32 ``(n, dim)``; a row of NaN, which no feature is known of, gives NaN.
            pictures: how many were searched.
        """
        null = self.image if modality == "image" else self.text
        known = np.isfinite(items).all(axis=1)
        chance = np.full(len(items), np.nan)
        if known.any():
            scores = self.scores(query[None], modality, items[known], background)[:, 0]
            chance[known] = null.expected(scores, pictures)
        return chance

    def shows(
        self, query: Features, modality: str, items: Features, background: Background
    ) -> NDArray[np.bool_]:
        """Which pictures show what is asked for, bool ``(n,)``: that one alone would by chance is
        as improbable as ``EXCLUDED_AT``. Arguments as of :meth:`chance`."""
        return self.chance(query, modality, items, background, 1) <= EXCLUDED_AT

    def dump(self) -> bytes:
        """As ``.npz``: what :meth:`load` reads."""
        arrays: dict[str, Any] = {"image_mean": self.image_mean}
        for name, null in (("text", self.text), ("image", self.image)):
            arrays |= {f"{name}_{key}": value for key, value in asdict(null).items()}
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What :meth:`dump` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as file:

            def null(name: str) -> NullScores:
                return NullScores(
                    float(file[f"{name}_location"]),
                    float(file[f"{name}_scale"]),
                    file[f"{name}_tail"].tolist(),
                    int(file[f"{name}_pictures"]),
                )

            return cls(file["image_mean"], null("text"), null("image"))


def calibrate(images: Features, background: Background) -> Calibration:
    """Calibrated on ``images`` float32 ``(n, dim)``, a library or a sample of one.

    The words are those of ``background``; its sample pictures ask as pictures that are not there,
    and steady the mean of few.
    """
    mean = np.concatenate([background.picture_features, images]).mean(axis=0)
    centred = normalise(images - mean)
    words = background.centred_words
    text = NullScores.of(centred @ words.T - nearest_words(centred, words)[:, None])
    # Pictures of the library may all have copies in it, the sample pictures have none there.
    strangers = normalise(background.picture_features - mean)
    alike = likeness(centred, strangers)
    alike[alike > _COPY] = alike.min()  # but where the sample pictures are the library
    return Calibration(mean, text, NullScores.of(alike))


def better_than_chance(chance: NDArray[Any]) -> NDArray[np.bool_]:
    """Which results chance does not explain, by their expected chance matches ``(n,)``.

    Those up to the largest ``r``-th smallest that is at most ``FALSE_SHARE · r``; NaN is chance.

    >>> better_than_chance(np.array([2.0, 0.01, 0.15])).tolist()
    [False, True, True]
    >>> better_than_chance(np.array([0.3, 0.5])).any()
    np.False_
    """
    ordered = np.sort(np.nan_to_num(chance, nan=np.inf))
    passing = np.flatnonzero(ordered <= FALSE_SHARE * np.arange(1, len(ordered) + 1))
    if not len(passing):
        return np.zeros(len(ordered), dtype=bool)
    return np.asarray(chance <= ordered[passing[-1]])


def likeness(pictures: Features, others: Features) -> NDArray[np.float32]:
    """Fisher's z of the cosines, ``(n, m)``: near 1, the little that parts a copy from what is
    merely like it counts for much."""
    return np.arctanh(np.clip(pictures @ others.T, -0.99999, 0.99999))


def nearest_words(centred: Features, words: Features) -> NDArray[np.float32]:
    """The mean cosine of each picture's nearest words, float32 ``(n,)``."""
    found = np.empty(len(centred), np.float32)
    near = min(NEAREST_WORDS, len(words))
    for start in range(0, len(centred), 256):
        cosines = centred[start : start + 256] @ words.T
        found[start : start + 256] = np.partition(cosines, -near, axis=1)[:, -near:].mean(axis=1)
    return found


def fit_lower_half(best: Array) -> tuple[float, float]:
    """Location and scale of the Gumbel law of ``best`` whose upper half is of other origin.

    The line through the lower half of the probability plot: the value at probability ``p`` is
    ``location - scale · ln(-ln p)``.
    """
    ordered = np.sort(best)
    probability = (np.arange(len(ordered)) + 0.5) / len(ordered)
    lower = (probability > _PLOT_FROM) & (probability <= _KNOWN_NULL)
    if lower.sum() < 2:
        return float(ordered[0]), _LEAST_SCALE
    scale, location = np.polyfit(-np.log(-np.log(probability[lower])), ordered[lower], 1)
    return float(location), max(float(scale), _LEAST_SCALE)
