"""Many queries at once: their lines in a file, their texts encoded together, one scan for all."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.base import Features
from xmodal.errors import QueryError
from xmodal.hamming import Hits
from xmodal.query.language import literally, parse
from xmodal.query.ranking import Searchable
from xmodal.query.terms import Clause, Meaning, Query

# Queries of one scan: their hits are a few MB, and more queries do not make it faster.
AT_ONCE = 256


def read_queries(lines: Iterable[str], plain: bool = False) -> list[str]:
    """The queries of a file, one a line; empty lines and those with ``#`` first are passed over.

    >>> read_queries(["# pets", "", "a cat", " a dog "])
    ['a cat', 'a dog']

    Raises QueryError, with the number of the line, for one that cannot be understood.
    """
    stripped = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    queries = [(number, line) for number, line in stripped if line and line[0] != "#"]
    parse_lines(queries, plain)
    return [query for _, query in queries]


def parse_lines(queries: Iterable[tuple[int, str]], plain: bool = False) -> list[Query]:
    """What numbered queries mean; the QueryError of a bad one names its number."""
    parsed = []
    for number, text in queries:
        try:
            parsed.append(literally(text) if plain else parse(text))
        except QueryError as error:
            reason = f"line {number}: {error.reason}"
            raise QueryError(reason, error.pointer, error.position) from error
    return parsed


def meanings_of(clauses: Iterable[Clause]) -> list[Meaning]:
    """The different texts that clauses ask for or exclude, in their order."""
    asked = (m for clause in clauses for m in (*clause.meanings, *clause.without))
    return list(dict.fromkeys(meaning for meaning in asked if meaning.modality == "text"))


def is_plain(clauses: Sequence[Clause]) -> bool:
    """Whether a query asks for one text among all pictures."""
    if len(clauses) != 1:
        return False
    (clause,) = clauses
    return len(clause.meanings) == 1 and clause == Clause(meanings=clause.meanings)


def encode_together(
    meanings: Sequence[Meaning], encode: Callable[[Sequence[str]], Features]
) -> dict[Meaning, Features]:
    """The feature of each text, float32 ``(dim,)``; each different text is encoded once."""
    texts = list(dict.fromkeys(meaning.source for meaning in meanings))
    if not texts:
        return {}
    features = dict(zip(texts, encode(texts), strict=True))
    return {meaning: features[meaning.source] for meaning in meanings}


@dataclass(eq=False)
class ScannedTogether:
    """An index that has scanned some codes already, and answers for these what it found.

    Whatever else is asked of it goes to ``index``: it is one, and gives the same answers.
    """

    index: Searchable
    _found: dict[bytes, Hits] = field(default_factory=dict, init=False)

    def scan(self, codes: NDArray[np.uint8], k: int) -> None:
        """Find the ``k`` nearest of each of the codes, uint8 ``(q, bits // 8)``, in one scan."""
        if not len(codes):
            return
        hits = self.index.search(codes, k)
        for code, ids, distances in zip(codes, hits.ids, hits.distances, strict=True):
            self._found[code.tobytes()] = Hits(ids[None], distances[None])

    def __len__(self) -> int:
        return len(self.index)

    def search(
        self, codes: NDArray[np.uint8], k: int, allowed: NDArray[np.int64] | None = None
    ) -> Hits:
        """As :meth:`HammingIndex.search`: the nearest ``k`` are the first of any more."""
        known = self._found.get(codes.tobytes()) if allowed is None and len(codes) == 1 else None
        if known is None or known.ids.shape[1] < k:
            return self.index.search(codes, k, allowed=allowed)
        return Hits(known.ids[:, :k], known.distances[:, :k])

    def codes(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The codes of these ids, uint8 ``(len(ids), bits // 8)``."""
        return self.index.codes(ids)
