"""The query language: one line of text in, what it means out, or an error that points at a letter.

The parser is written by hand: the grammar is ten lines long, and what makes it usable (odd words
stay words, a sentence is adjacent words, each error has its place and its advice) is what parser
generators leave to their callers.

    query    = either                          either = all ("OR" all)*
    all      = term+                           term   = ["-"] ( group | filter | [weight] meaning )
    group    = "(" either ")"                  filter = name ":" value ("," value)*
    weight   = number "*"                      value  = quoted | anything but space and comma
    meaning  = word+ | quoted | "like:" value  (a weighted or an excluded word stands alone)
"""

import re
from datetime import date
from difflib import SequenceMatcher

from xmodal.errors import QueryError
from xmodal.query.pointing import pointer
from xmodal.query.terms import (
    MAX_CLAUSES,
    Filter,
    Meaning,
    Query,
    Term,
    TooManyClausesError,
    all_of,
    any_of,
    none_of,
)
from xmodal.query.values import FILTERS, LIKE, Kind, ValueProblem, read_words

QUOTES = {
    '"': '"', "“": "”“", "„": "“”", "”": "”", "«": "»", "»": "«", "「": "」", "『": "』",
}  # fmt: skip
_PREFIX = re.compile(r"([A-Za-z]+):")
_WEIGHT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,25})?|\.[0-9]{1,25})\*(?=[^\s0-9*.])")
_LARGEST_WEIGHT = 1000.0
_DEEPEST = 20
_LONGEST = 10_000
# Similarity of names above which one is a misspelling of the other.
_ALIKE = 0.8


def parse(text: str, today: date | None = None) -> Query:
    """What a query means. ``today`` is the day that ``date:today`` stands for.

    Adjacent words are one sentence, quotes keep a sentence apart, ``-`` excludes, a number and
    ``*`` weigh:

    >>> parse("a dog on the beach").tree
    Meaning(source='a dog on the beach', modality='text', weight=1.0)
    >>> [meaning.source for meaning in parse('"a dog" "a cat"').clauses[0].meanings]
    ['a dog', 'a cat']
    >>> (clause,) = parse('beach 2*"red car" -people -"two dogs" .5*like:a.jpg').clauses
    >>> [(meaning.source, meaning.weight) for meaning in clause.meanings]
    [('beach', 1.0), ('red car', 2.0), ('a.jpg', 0.5)]
    >>> [meaning.source for meaning in clause.without]
    ['people', 'two dogs']

    Filters are names with a colon; a comma means "or"; ``-`` negates:

    >>> (clause,) = parse('keyword:cat,"hot dog" -rating:<3').clauses
    >>> clause.filters[0]
    Filter(name='keyword', values=('cat', 'hot dog'), negated=False)
    >>> clause.filters[1]
    Filter(name='rating', values=(Between(low=None, high=2),), negated=True)

    ``OR`` in capitals and parentheses combine; ``clauses`` are the ways to answer:

    >>> query = parse("(dog OR cat) date:2023")
    >>> [clause.meanings[0].source for clause in query.clauses]
    ['dog', 'cat']
    >>> str(query)
    '(dog OR cat) date:2023-01-01..2023-12-31'

    What looks odd is a word, and what is nearly a filter is an error:

    >>> parse("rock'n'roll at 10:30 - C++ :) 3*4").tree.source
    "rock'n'roll at 10:30 - C++ :) 3*4"
    >>> parse("beach camra:fuji")
    Traceback (most recent call last):
    xmodal.errors.QueryError: there is no filter camra: – did you mean camera:? If it is a word, ...
      beach camra:fuji
            ^

    Raises QueryError, with the position, for everything that cannot be understood.
    """
    return _Parser(text, today or date.today()).query()


def literally(text: str) -> Query:
    """The query that asks for a text as one sentence, whatever signs are in it.

    >>> literally('-people "OR" date:2023').tree.source
    '-people "OR" date:2023'

    Raises QueryError for an empty text.
    """
    parser = _Parser(text, date.today())
    parser.check_not_empty()
    return Query.of(parser.meaning(text, 0))


class _Parser:
    """Reads ``text`` from left to right; ``at`` is the next character."""

    def __init__(self, text: str, today: date) -> None:
        self.text = text
        self.today = today
        self.at = 0
        self.depth = 0

    def query(self) -> Query:
        self.check_not_empty()
        if len(self.text) > _LONGEST:
            raise self.error(
                f"the query is longer than {_LONGEST:,} characters; shorten it, or take it as one "
                "sentence (--plain)",
                _LONGEST,
            )
        tree = self.either()
        if not self.ended():
            raise self.unopened()
        try:
            return Query.of(tree)
        except TooManyClausesError:
            raise self.error(
                f"its ORs and parentheses stand for more than {MAX_CLAUSES} different queries; "
                "leave some out",
                0,
            ) from None

    def check_not_empty(self) -> None:
        if not self.text.strip():
            raise self.error('the query is empty; write what to look for, such as "a red car"', 0)

    def either(self) -> Term:
        terms = [self.all()]
        while self.is_or():
            self.at += 2
            terms.append(self.all())
        return any_of(terms)

    def all(self) -> Term:
        """Terms that hold together, until ``OR``, a closing parenthesis or the end."""
        terms: list[Term] = []
        sentence: list[str] = []

        def end_sentence() -> None:
            if sentence:
                terms.append(self.meaning(" ".join(sentence), start))
                sentence.clear()

        start = 0
        self.skip()
        while not (self.ended() or self.text[self.at] == ")" or self.is_or()):
            begin = self.at
            found = self.term()
            if isinstance(found, str):
                start = start if sentence else begin
                sentence.append(found)
            else:
                end_sentence()
                terms.append(found)
            self.skip()
        end_sentence()
        if terms:
            return all_of(terms)
        if self.is_or() or self.text[: self.at].rstrip().endswith("OR"):
            raise self.error(
                'OR stands between two things to look for; quote it to search for it: "OR"'
            )
        if not self.depth:
            raise self.unopened()
        raise self.error("there is nothing in these parentheses; leave them out, or quote them")

    def term(self) -> Term | str:
        """The next term; a free word, which becomes part of a sentence, as text."""
        if self.text[self.at] == "-" and self.following(1) not in ("", "-", ">"):
            self.at += 1
            if weight := _WEIGHT.match(self.text, self.at):
                raise self.error(
                    f"what is excluded has no weight; leave {weight[0]} out, or quote it"
                )
            start = self.at
            found = self.atom()
            return none_of(self.meaning(found, start) if isinstance(found, str) else found)
        weight = _WEIGHT.match(self.text, self.at)
        if weight is None or self.following(len(weight[0])) == "":
            return self.atom()
        return self.weighed(weight)

    def weighed(self, weight: re.Match[str]) -> Term:
        value = float(weight[1])
        if not 0 < value <= _LARGEST_WEIGHT:
            raise self.error(f"a weight is greater than 0 and at most {_LARGEST_WEIGHT:g}")
        begin = self.at
        self.at += len(weight[0])
        start = self.at
        found: Term | str = "(" if self.text[self.at] == "(" else self.atom()
        found = self.meaning(found, start) if isinstance(found, str) and found != "(" else found
        if not isinstance(found, Meaning):
            raise self.error(
                "a weight belongs to a word, to quoted text or to like:, as 2*beach; quote it if "
                "it is none",
                begin,
            )
        return Meaning(found.source, found.modality, value)

    def atom(self) -> Term | str:
        """A group, quoted text, a filter, or a free word as text."""
        opening = self.text[self.at]
        if opening == "(":
            return self.group()
        if opening in QUOTES:
            start = self.at
            return self.meaning(self.quoted(), start)
        prefix = _PREFIX.match(self.text, self.at)
        if prefix is not None:
            name = prefix[1].lower()
            if name in FILTERS or name == "like":
                return self.filter(name, prefix)
            if alike := _misspelt(name):
                raise self.error(
                    f"there is no filter {prefix[0]} – did you mean {alike}:? If it is a word, "
                    f'quote it: "{prefix[0]}…"'
                )
        return self.bare("")

    def group(self) -> Term:
        opening = self.at
        if self.depth == _DEEPEST:
            raise self.error(f"parentheses are nested more than {_DEEPEST} deep; leave some out")
        self.at += 1
        self.depth += 1
        tree = self.either()
        self.depth -= 1
        if self.ended():
            raise self.error(
                "this parenthesis is never closed; close it, or quote the word that it is in",
                opening,
            )
        self.at += 1
        return tree

    def filter(self, name: str, prefix: re.Match[str]) -> Term:
        self.at += len(prefix[0])
        kind = LIKE if name == "like" else FILTERS[name]
        values = self.values(prefix[0], kind)
        if not kind.listed:
            values = [(",".join(text for text, _ in values), values[0][1])]
        if name == "like":
            return Meaning(values[0][0], "image")
        found = []
        for text, start in values:
            try:
                value = kind.read(text, self.today)
            except ValueProblem as problem:
                raise self.error(f"{name}: {problem}", start) from problem
            found.append(value)
        return Filter(name, tuple(dict.fromkeys(found)))

    def values(self, prefix: str, kind: Kind) -> list[tuple[str, int]]:
        """What stands behind a colon, between commas, and where."""
        found: list[tuple[str, int]] = []
        while True:
            start = self.at
            is_quoted = self.following(0) in QUOTES
            value = self.quoted() if is_quoted else self.bare(",")
            if not value:
                raise self.error(f"a value is missing here, such as {kind.example}", start)
            found.append((value, start))
            if self.following(0) != ",":
                break
            self.at += 1
            self.skip()
        if is_quoted and self.following(0) != "":
            raise self.error(f"a space or a comma is missing after this value of {prefix}")
        return found

    def quoted(self) -> str:
        """Text in quotes; the closing one is doubled to stand for itself."""
        opening, closing = self.at, QUOTES[self.text[self.at]]
        self.at += 1
        found: list[str] = []
        while not self.ended():
            letter = self.text[self.at]
            self.at += 1
            if letter in closing:
                if self.text[self.at : self.at + 1] != letter:
                    break
                self.at += 1
            found.append(letter)
        else:
            raise self.error("this quote is never closed; close it, or leave it out", opening)
        if not "".join(found).strip():
            raise self.error("there is nothing between these quotes; leave them out", opening)
        return "".join(found)

    def bare(self, stops: str) -> str:
        """What reaches to a space, to one of ``stops``, or to the parenthesis that ends a group."""
        start, inner = self.at, 0
        while not self.ended():
            letter = self.text[self.at]
            if letter.isspace() or letter in stops:
                break
            if self.depth and letter == ")" and not inner:
                break
            inner += (letter == "(") - (letter == ")" and inner > 0)
            self.at += 1
        return self.text[start : self.at]

    def meaning(self, text: str, start: int) -> Meaning:
        try:
            return Meaning(read_words(text, self.today))
        except ValueProblem as problem:
            raise self.error(str(problem), start) from problem

    def is_or(self) -> bool:
        """Whether ``OR`` stands here, by itself."""
        return self.text.startswith("OR", self.at) and (
            self.following(2) == "" or self.text[self.at + 2] == "("
        )

    def following(self, distance: int) -> str:
        """The character so far ahead; empty for the end, a space, and the end of a group."""
        letter = self.text[self.at + distance : self.at + distance + 1]
        return "" if letter.isspace() or (self.depth and letter == ")") else letter

    def skip(self) -> None:
        while not self.ended() and self.text[self.at].isspace():
            self.at += 1

    def ended(self) -> bool:
        return self.at >= len(self.text)

    def unopened(self) -> QueryError:
        return self.error("no parenthesis is open here; leave this one out, or quote it")

    def error(self, reason: str, position: int | None = None) -> QueryError:
        place = self.at if position is None else position
        return QueryError(reason, pointer(self.text, place), place)


def _misspelt(name: str) -> str | None:
    """The filter that ``name`` was probably meant to be."""

    def alike(known: str) -> float:
        # Two letters that changed places are the commonest slip of all.
        return 1.0 if sorted(name) == sorted(known) else SequenceMatcher(None, name, known).ratio()

    best = max((*FILTERS, "like"), key=alike)
    return best if alike(best) >= _ALIKE else None
