"""From a query that was understood to the pictures that answer it, best first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from xmodal.encoders.background import Background
from xmodal.encoders.base import Features
from xmodal.hashing import Hasher
from xmodal.query.exclusion import excluded
from xmodal.query.filters import allowed_items
from xmodal.query.newest import newest
from xmodal.query.ranking import Dropped, ReadFeatures, Searchable, Term, rank_terms
from xmodal.query.terms import Clause, Filter, Meaning

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """A picture; ``distance`` and ``score`` are None where no meaning was asked for."""

    id: int
    distance: int | None
    score: float | None


@dataclass(frozen=True)
class PictureSearch:
    """What a search needs of a library that is open: one session, one feature space, one code.

    What costs time is called only where a query needs it. ``feature`` encodes a text or the picture
    at a path, ``index`` gives the codes of the pictures, ``background`` what excluded words are
    compared with; ``read_features`` is None where codes alone shall rank.
    """

    session: Session
    hasher: Hasher
    index: Callable[[], Searchable]
    feature: Callable[[Meaning], Features]
    read_features: ReadFeatures | None
    background: Callable[[], Background]
    _terms: dict[Meaning, Term] = field(default_factory=dict, init=False)
    _allowed: dict[tuple[Filter, ...], Ids] = field(default_factory=dict, init=False)

    def find(self, clauses: Sequence[Clause], k: int, also: Sequence[Term] = ()) -> list[Found]:
        """The ``k`` best pictures that answer any clause; ``also`` is asked for in each of them.

        Pictures of clauses without a meaning answer for certain: they come first, the newest
        before the others. Then come the others by their scores, each by the best that it has.
        """
        best: dict[int, Found] = {}
        for clause in clauses:
            for found in self._answer(clause, k, also):
                known = best.get(found.id)
                if known is None or _order(found) < _order(known):
                    best[found.id] = found
        certain = [found.id for found in best.values() if found.score is None]
        ranked = sorted((f for f in best.values() if f.score is not None), key=_order)
        first = newest(self.session, np.sort(np.array(certain, dtype=np.int64)), k)
        return [*(best[item] for item in first.tolist()), *ranked][:k]

    def _answer(self, clause: Clause, k: int, also: Sequence[Term]) -> list[Found]:
        allowed = self._ids(clause.filters) if clause.filters else None
        if allowed is not None and not len(allowed):
            return []
        terms = [*also, *map(self._term, clause.meanings)]
        dropped = self._dropped([self._term(meaning) for meaning in clause.without])
        if not terms:
            ids = self._ids(()) if allowed is None else allowed
            return [Found(item, None, None) for item in self._newest(ids, k, dropped).tolist()]
        ranking = rank_terms(
            terms, self.index(), "image", self.hasher, k, self.read_features, allowed, dropped
        )
        return [Found(*row) for row in ranking.rows()]

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
            found = np.zeros(len(ids), dtype=bool)
            for term in without:
                left = np.flatnonzero(~found)
                found[left] = excluded(
                    term, ids[left], self.index(), self.hasher, self.read_features,
                    self.background(),
                )  # fmt: skip
            return found

        return dropped

    def _term(self, meaning: Meaning) -> Term:
        if meaning not in self._terms:
            self._terms[meaning] = Term(self.feature(meaning), meaning.modality, meaning.weight)
        return self._terms[meaning]

    def _ids(self, filters: tuple[Filter, ...]) -> Ids:
        if filters not in self._allowed:
            self._allowed[filters] = allowed_items(self.session, filters)
        return self._allowed[filters]


def _order(found: Found) -> tuple[bool, float, int, int]:
    """What a picture that answers for certain has before others, and a high score before a low."""
    certain = found.score is None
    return not certain, -(found.score or 0.0), found.distance or 0, found.id
