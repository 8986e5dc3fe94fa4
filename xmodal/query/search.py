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
from xmodal.query.catalog import facts_of
from xmodal.query.confidence import Calibration
from xmodal.query.filters import allowed_items
from xmodal.query.newest import newest
from xmodal.query.order import Order
from xmodal.query.ranking import (
    Dropped,
    ReadFeatures,
    Stages,
    Term,
    code_of,
    rank_terms,
    shortlist_of,
)
from xmodal.query.terms import Clause, Filter, Meaning
from xmodal.results import TermChance
from xmodal.stopwatch import OFF, Stopwatch
from xmodal.store.shown import with_frames

Ids = NDArray[np.int64]
# How far down a ranking chance is looked at, however few results are wanted: many fair matches
# are together as much beyond chance as one good match.
CHANCE_DEPTH = 200
BEST = Order()


@dataclass(frozen=True, slots=True)
class Trace:
    """How a picture was found: by which row of which ranking, and what each term's chance is."""

    stages: Stages
    row: int
    terms: list[TermChance]
    alternatives: int
    meanings: tuple[Meaning, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A picture; ``distance``, ``score`` and ``chance`` are None where no meaning was asked for.

    ``chance`` is how many pictures would score as high by chance, NaN where no feature is kept.
    ``trace`` is kept where an explanation is wanted.
    """

    id: int
    distance: int | None
    score: float | None
    chance: float | None = None
    trace: Trace | None = None

    @property
    def certain(self) -> bool:
        """Whether it answers by facts alone."""
        return self.score is None


@dataclass(frozen=True, slots=True)
class Answers:
    """Pictures that answer a query: those that do so for certain, in their order, then ``ranked``
    ones, best first. ``all_certain`` and ``all_ranked``: there are no more of them."""

    certain: list[Found]
    ranked: list[Found]
    all_certain: bool
    all_ranked: bool


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
    explain: bool = False
    watch: Stopwatch = OFF
    _terms: dict[Meaning, Term] = field(default_factory=dict, init=False)
    _allowed: dict[tuple[Filter, ...], Ids] = field(default_factory=dict, init=False)

    def find(
        self, clauses: Sequence[Clause], k: int, also: Sequence[Term] = (), order: Order = BEST
    ) -> Answers:
        """The ``k`` best pictures that answer any clause, or more; ``also`` is asked for in each.

        Pictures of clauses without a meaning answer for certain: ``k`` of them, the newest or those
        that are first in ``order``. The others are ranked by their scores, each by the best that it
        has; those that chance may explain are among them.
        """
        best: dict[int, Found] = {}
        certain: list[Ids] = []
        all_ranked = True
        asking = [clause for clause in clauses if also or clause.meanings]
        for clause in clauses:
            if clause not in asking:
                certain.append(self._certain(clause, k, order))
                continue
            answers = self._answer(clause, k, also, len(asking))
            all_ranked &= len(answers) < k
            for found in answers:
                known = best.get(found.id)
                best[found.id] = found if known is None else _better(known, found)
        for item in set().union(*(ids.tolist() for ids in certain)):
            best[item] = Found(item, None, None)
        ids = np.array([found.id for found in best.values() if found.certain], dtype=np.int64)
        first = self._first(np.sort(ids), k, order)
        return Answers(
            [best[item] for item in first.tolist()],
            sorted((found for found in best.values() if not found.certain), key=_order),
            all(len(part) < k for part in certain),
            all_ranked,
        )

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

    def certain(self, clauses: Sequence[Clause], also: Sequence[Term] = ()) -> Ids:
        """All pictures that answer any clause for certain, ascending."""
        found: list[Ids] = [np.empty(0, np.int64)]
        for clause in clauses:
            if also or clause.meanings:
                continue
            ids, dropped = self._ids(clause.filters), self._dropped(clause)
            found.append(ids if dropped is None else ids[~dropped(ids)])
        return np.unique(np.concatenate(found))

    def _certain(self, clause: Clause, k: int, order: Order) -> Ids:
        """The first ``k`` pictures that have the facts a clause without a meaning asks for."""
        ids = self._ids(clause.filters)
        dropped = self._dropped(clause)
        if dropped is None:
            return self._first(ids, k, order)
        wanted = 4 * k
        while True:
            found = self._first(ids, wanted, order)
            stay = found[~dropped(found)]
            if len(stay) >= k or len(found) < wanted:
                return stay[:k]
            wanted *= 4

    def _first(self, ids: Ids, k: int, order: Order) -> Ids:
        """The first ``k`` of ascending ids."""
        if order.by_relevance:
            return newest(self.session, ids, k)
        facts = facts_of(self.session, ids.tolist())
        there = [item for item in ids.tolist() if item in facts]
        return np.array(order.sorted(there, facts.__getitem__)[:k], dtype=np.int64)

    def _answer(
        self, clause: Clause, k: int, also: Sequence[Term], alternatives: int
    ) -> list[Found]:
        allowed = self._ids(clause.filters) if clause.filters else None
        if allowed is not None:
            if not len(allowed):
                return []
            with self.watch.part("filter"):
                allowed = with_frames(self.session, allowed)
        terms = [*also, *map(self._term, clause.meanings)]
        with self.watch.part("load"):
            index = self.index()
        with self.watch.part("rank"):
            ranking = rank_terms(
                terms, index, "image", self.hasher, k,
                self.features if self.rank_features else None, allowed, self._dropped(clause),
                CHANCE_DEPTH, self.explain, self.watch,
            )  # fmt: skip
        with self.watch.part("chance"):
            pictures = len(index) if allowed is None else len(allowed)
            parts = self._chance(terms, ranking.ids, pictures)
        weights = [term.weight for term in terms]
        chances = np.exp(np.average(np.log(np.maximum(parts, 1e-300)), axis=0, weights=weights))
        # Each alternative brings as many by chance.
        chances *= alternatives
        found = [
            Found(*row, chance)
            for row, chance in zip(ranking.rows(), chances.tolist(), strict=True)
        ]
        if ranking.stages is None:
            return found
        names = ["the picture"] * len(also) + [meaning.source for meaning in clause.meanings]

        def trace(stages: Stages, row: int) -> Trace:
            told = map(TermChance, names, weights, parts[:, row].tolist())
            return Trace(stages, row, list(told), alternatives, clause.meanings)

        return [replace(f, trace=trace(ranking.stages, row)) for row, f in enumerate(found)]

    def _chance(self, terms: Sequence[Term], ids: Ids, pictures: int) -> NDArray[np.float64]:
        """How many of ``pictures`` would show each term as well by chance, ``(terms, ids)``."""
        if not len(ids):
            return np.empty((len(terms), 0))
        items = self.features(ids)
        calibration = self.calibration()
        return np.array(
            [
                calibration.chance(t.feature, t.modality, items, self.background(), pictures)
                for t in terms
            ]
        )

    def _dropped(self, clause: Clause) -> Dropped | None:
        """What tells which pictures show any of what a clause excludes."""
        without = [self._term(meaning) for meaning in clause.without]
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


def _better(one: Found, other: Found) -> Found:
    """A picture that answers two alternatives: by the one that chance explains less, with the
    better score. Equal meanings give equal scores but for rounding, which must not decide."""
    found = min(one, other, key=lambda each: np.nan_to_num(each.chance or 0.0, nan=np.inf))
    return replace(found, score=max(one.score or 0.0, other.score or 0.0))


def _order(found: Found) -> tuple[float, int, int]:
    """What a high score has before a low one."""
    return -(found.score or 0.0), found.distance or 0, found.id
