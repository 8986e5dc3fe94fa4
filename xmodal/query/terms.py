"""What a query is made of, as frozen dataclasses: meanings, filters, and how they are combined.

``str`` of each gives a text that is read as the same again.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Literal

from xmodal.query.values import Value, quoted, shown

# Words that are read as free words whatever stands beside them.
_WORD = r"[^\W_]+(?:['’-][^\W_]+)*"
_PLAIN = re.compile(rf"(?!\d){_WORD}(?: {_WORD})*")
MAX_CLAUSES = 64


@dataclass(frozen=True, slots=True)
class Meaning:
    """What pictures should show: a text, or a picture's path (``modality`` is ``image``)."""

    source: str
    modality: Literal["text", "image"] = "text"
    weight: float = 1.0

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f"{Decimal(repr(self.weight)):f}*"
        if self.modality == "image":
            return f"{weight}like:{shown(self.source)}"
        return weight + (self.source if self.is_plain(one_word=True) else quoted(self.source))

    def is_plain(self, one_word: bool = False) -> bool:
        """Whether the text needs no quotes, where no free word stands beside it."""
        words = self.source.split(" ")
        known = bool(_PLAIN.fullmatch(self.source)) and "OR" not in words
        return self.modality == "text" and known and not (one_word and len(words) > 1)


@dataclass(frozen=True, slots=True)
class Filter:
    """A fact that pictures must have: any of ``values``; ``negated``: none of them."""

    name: str
    values: tuple[Value, ...]
    negated: bool = False

    def __str__(self) -> str:
        values = ",".join(shown(value) for value in self.values)
        return f"{'-' if self.negated else ''}{self.name}:{values}"


@dataclass(frozen=True, slots=True)
class Not:
    """What pictures should not show; of a group, what must not hold."""

    term: "Meaning | And | Or"

    def __str__(self) -> str:
        bare = isinstance(self.term, Meaning) and self.term.weight == 1
        return f"-{self.term}" if bare else f"-({self.term})"


@dataclass(frozen=True, slots=True)
class And:
    """All of two terms or more, none of which is an ``And``."""

    terms: tuple["Term", ...]

    def __str__(self) -> str:
        written: list[str] = []
        free = False  # whether a free word ends what is written
        for term in self.terms:
            plain = isinstance(term, Meaning) and term.weight == 1 and term.is_plain()
            if isinstance(term, Meaning) and plain:
                written.append(quoted(term.source) if free else term.source)
                free = not free
            else:
                written.append(f"({term})" if isinstance(term, Or) else str(term))
                free = False
        return " ".join(written)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of two terms or more, none of which is an ``Or``."""

    terms: tuple["Term", ...]

    def __str__(self) -> str:
        return " OR ".join(_alone(term) for term in self.terms)


Term = Meaning | Filter | Not | And | Or


@dataclass(frozen=True, slots=True)
class Clause:
    """What one way to answer a query asks for, all of it."""

    meanings: tuple[Meaning, ...] = ()
    without: tuple[Meaning, ...] = ()
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A query as it was understood.

    ``clauses`` is its disjunctive normal form: pictures answer it that answer any of them.
    """

    tree: Term
    clauses: tuple[Clause, ...]

    @classmethod
    def of(cls, tree: Term) -> "Query":
        """The query that a tree means; TooManyClausesError if it means more than 64 clauses."""
        return cls(tree, tuple(dict.fromkeys(map(_clause, _alternatives(tree, False)))))

    def __str__(self) -> str:
        return _alone(self.tree)


class TooManyClausesError(ValueError):
    """``OR`` and parentheses multiply to more than ``MAX_CLAUSES`` ways to answer."""


def all_of(terms: list[Term]) -> Term:
    """The terms as one; terms of an ``And`` among them are taken out of it."""
    parts = [part for term in terms for part in (term.terms if isinstance(term, And) else (term,))]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def any_of(terms: list[Term]) -> Term:
    """Any of the terms, as one; terms of an ``Or`` among them are taken out of it."""
    parts = [part for term in terms for part in (term.terms if isinstance(term, Or) else (term,))]
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def none_of(term: Term) -> Term:
    """What does not hold where ``term`` does, and the reverse."""
    if isinstance(term, Filter):
        return Filter(term.name, term.values, not term.negated)
    if isinstance(term, Not):
        return term.term
    return Not(term)


def folded(text: str) -> str:
    """Text in the form in which upper and lower case, and composed letters, are alike.

    >>> folded("STRASSE") == folded("Straße")
    True
    """
    folded = unicodedata.normalize("NFC", text).casefold()
    return unicodedata.normalize("NFC", folded)


def _alone(term: Term) -> str:
    """A term where no other stands beside it."""
    if isinstance(term, Meaning) and term.weight == 1 and term.is_plain():
        return term.source
    return str(term)


_Literal = tuple[Meaning | Filter, bool]


def _alternatives(term: Term, negated: bool) -> list[tuple[_Literal, ...]]:
    """The disjunctive normal form: what must hold together, and whether each is negated."""
    if isinstance(term, Not):
        return _alternatives(term.term, not negated)
    if isinstance(term, Meaning | Filter):
        return [((term, negated),)]
    parts = [_alternatives(part, negated) for part in term.terms]
    if isinstance(term, Or) != negated:
        found = [clause for part in parts for clause in part]
        if len(found) > MAX_CLAUSES:
            raise TooManyClausesError
        return found
    found = [()]
    for part in parts:
        if len(found) * len(part) > MAX_CLAUSES:
            raise TooManyClausesError
        found = [left + right for left, right in product(found, part)]
    return found


def _clause(literals: tuple[_Literal, ...]) -> Clause:
    filters = [
        none_of(term) if negated else term for term, negated in literals if isinstance(term, Filter)
    ]
    meanings = [(term, negated) for term, negated in literals if isinstance(term, Meaning)]
    return Clause(
        tuple(term for term, negated in meanings if not negated),
        # How much a meaning counts says nothing about what does not show it.
        tuple(replace(term, weight=1.0) for term, negated in meanings if negated),
        tuple(term for term in filters if isinstance(term, Filter)),
    )
