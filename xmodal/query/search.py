"""From a query that was understood to the pictures that answer it, best first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from xmodal.encoders.background import Background
from xmodal.encoders.base import Features
from xmodal.hashing import Hasher
from xmodal.query.batch import ScannedTogether, encode_together, is_plain, meanings_of
from xmodal.query.confidence import Calibration, better_than_chance
from xmodal.query.filters import allowed_items
from xmodal.query.newest import newest
from xmodal.query.ranking import (
    Dropped,
    ReadFeatures,
    Term,
    code_of,
    rank_terms,
    shortlist_of,
)
from xmodal.query.terms import Clause, Filter, Meaning
from xmodal.stopwatch import OFF, Stopwatch
from xmodal.store.shown import with_frames

Ids = NDArray[np.int64]
# How far down a ranking chance is looked at, however few results are wanted: many fair matches
# are together as much beyond chance as one good match.
CHANCE_DEPTH = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A picture; ``distance``, ``score`` and ``chance`` are None where no meaning was asked for.

    ``chance`` is how many pictures would score as high by chance, NaN where no feature is kept;
    ``sure`` says whether it is among the results that chance does not explain.
    """

    id: int
    distance: int | None
    score: float | None
    chance: float | None = None
    sure: bool = True


@dataclass(frozen=True)
class PictureSearch:
    """What a search needs of a library that is open: one session, one feature space, one code.

    What costs time is called only where a query needs it. ``feature`` encodes a text or the picture
    at a path, ``index`` gives the codes of the pictures, ``calibration`` says with the words of
    ``background`` what is chance; by ``features`` this is told and, with ``rank_features``, the
    shortlist is ordered.
    """

    session: Session
    hasher: Hasher
    index: Callable[[], ScannedTogether]
    feature: Callable[[Meaning], Features]
    features: ReadFeatures
    rank_features: bool
    background: Callable[[], Background]
    calibration: Callable[[], Calibration]
    watch: Stopwatch = OFF
    _terms: dict[Meaning, Term] = field(default_factory=dict, init=False)
    _allowed: dict[tuple[Filter, ...], Ids] = field(default_factory=dict, init=False)

    def find(self, clauses: Sequence[Clause], k: int, also: Sequence[Term] = ()) -> list[Found]:
        """The ``k`` best pictures that answer any clause; ``also`` is asked for in each of them.

        Pictures of clauses without a meaning answer for certain: they come first, the newest
        before the others. Then come the others by their scores, each by the best that it has.
        Those that chance may explain are among them, and say so.
        """
        best: dict[int, Found] = {}
        for clause in clauses:
            for found in self._answer(clause, k, also):
                known = best.get(found.id)
                if known is None or _order(found) < _order(known):
                    best[found.id] = found
        best = _with_sureness(best)
        certain = [found.id for found in best.values() if found.score is None]
        ranked = sorted((f for f in best.values() if f.score is not None), key=_order)
        first = newest(self.session, np.sort(np.array(certain, dtype=np.int64)), k)
        return [*(best[item] for item in first.tolist()), *ranked][:k]

    def prepare(
        self,
        queries: Sequence[Sequence[Clause]],
        k: int,
        encode: Callable[[Sequence[str]], Features],
    ) -> None:
        """Do at once what :meth:`find` of each query would do alone: ``encode`` all texts, and
        scan for all that ask for one text and nothing else. The answers stay the same."""
        asked = [meaning for clauses in queries for meaning in meanings_of(clauses)]
        with self.watch.part("encode"):
            for meaning, feature in encode_together(asked, encode).items():
                self._terms[meaning] = Term(feature, meaning.modality, meaning.weight)
        plain = [clauses[0].meanings[0] for clauses in queries if is_plain(clauses)]
        terms = [self._terms[meaning] for meaning in plain if meaning in self._terms]
        with self.watch.part("load"):
            index = self.index()
        if len(terms) > 1 and len(index):
            codes = np.concatenate([code_of([term], self.hasher) for term in terms])
            with self.watch.part("scan"):
                index.scan(np.unique(codes, axis=0), min(shortlist_of(k), len(index)))

    def _answer(self, clause: Clause, k: int, also: Sequence[Term]) -> list[Found]:
        allowed = self._ids(clause.filters) if clause.filters else None
        if allowed is not None and not len(allowed):
            return []
        terms = [*also, *map(self._term, clause.meanings)]
        dropped = self._dropped([self._term(meaning) for meaning in clause.without])
        if not terms:
            ids = self._ids(()) if allowed is None else allowed
            return [Found(item, None, None) for item in self._newest(ids, k, dropped).tolist()]
        if allowed is not None:
            with self.watch.part("filter"):
                allowed = with_frames(self.session, allowed)
        with self.watch.part("load"):
            index = self.index()
        with self.watch.part("rank"):
            ranking = rank_terms(
                terms, index, "image", self.hasher, k,
                self.features if self.rank_features else None, allowed, dropped, CHANCE_DEPTH,
                self.watch,
            )  # fmt: skip
        with self.watch.part("chance"):
            pictures = len(index) if allowed is None else len(allowed)
            chances = self._chance(terms, ranking.ids, pictures)
        return [
            Found(*row, chance=chance)
            for row, chance in zip(ranking.rows(), chances.tolist(), strict=True)
        ]

    def _chance(self, terms: Sequence[Term], ids: Ids, pictures: int) -> NDArray[np.float64]:
        """How many of ``pictures`` would score as high by chance; terms count by their weights."""
        if not len(ids):
            return np.empty(0)
        items = self.features(ids)
        calibration = self.calibration()
        parts = [
            calibration.chance(t.feature, t.modality, items, self.background(), pictures)
            for t in terms
        ]
        weights = [term.weight for term in terms]
        return np.exp(np.average(np.log(np.maximum(parts, 1e-300)), axis=0, weights=weights))

    def _newest(self, ids: Ids, k: int, dropped: Dropped | None) -> Ids:
        if dropped is None:
            return newest(self.session, ids, k)
        wanted = 4 * k
        while True:
            found = newest(self.session, ids, wanted)
            stay = found[~dropped(found)]
            if len(stay) >= k or len(found) < wanted:
                return stay[:k]
            wanted *= 4

    def _dropped(self, without: list[Term]) -> Dropped | None:
        """What tells which pictures show any of these."""
        if not without:
            return None

        def dropped(ids: Ids) -> NDArray[np.bool_]:
            items = self.features(ids)
            found = np.zeros(len(ids), dtype=bool)
            for term in without:
                found |= self.calibration().shows(
                    term.feature, term.modality, items, self.background()
                )
            return found

        return dropped

    def _term(self, meaning: Meaning) -> Term:
        if meaning not in self._terms:
            with self.watch.part("encode"):
                feature = self.feature(meaning)
            self._terms[meaning] = Term(feature, meaning.modality, meaning.weight)
        return self._terms[meaning]

    def _ids(self, filters: tuple[Filter, ...]) -> Ids:
        if filters not in self._allowed:
            with self.watch.part("filter"):
                self._allowed[filters] = allowed_items(self.session, filters)
        return self._allowed[filters]


def _order(found: Found) -> tuple[bool, float, int, int]:
    """What a picture that answers for certain has before others, and a high score before a low."""
    certain = found.score is None
    return not certain, -(found.score or 0.0), found.distance or 0, found.id


def _with_sureness(best: dict[int, Found]) -> dict[int, Found]:
    """The same, with what chance does not explain marked as sure."""
    asked = [found for found in best.values() if found.chance is not None]
    sure = better_than_chance(np.array([found.chance for found in asked], dtype=np.float64))
    return best | {
        found.id: replace(found, sure=bool(known)) for found, known in zip(asked, sure, strict=True)
    }
