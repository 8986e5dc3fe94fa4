"""Who asks, who teaches and who is searched: the rows of one trial."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError

# More queries narrow the interval below what a user would notice.
MAX_QUERIES = 2_000


@dataclass(frozen=True)
class Split:
    """Item numbers of one trial.

    :func:`split_rows` puts no item in two of them. Published splits often search the training rows
    themselves: ``database`` may then hold ``training``, never a query.
    """

    query: NDArray[np.int64]
    training: NDArray[np.int64]
    database: NDArray[np.int64]

    @property
    def searches_training_rows(self) -> bool:
        return bool(np.isin(self.training, self.database).any())

    def __str__(self) -> str:
        also = ", training items among them" if self.searches_training_rows else ""
        return (
            f"{len(self.query):,} queries, {len(self.training):,} training items, "
            f"{len(self.database):,} searched{also}"
        )


def split_rows(rows: int, *, seed: int = 0, query: float = 1 / 6, training: float = 1 / 2) -> Split:
    """Rows at random into disjoint queries (at most 2,000), training rows and a database, the rest.

    >>> split = split_rows(12)
    >>> len(split.query), len(split.training), len(split.database)
    (2, 6, 4)
    """
    queries, learned = min(round(query * rows), MAX_QUERIES), round(training * rows)
    if queries < 1 or learned < 1 or queries + learned >= rows:
        raise UsageError(
            f"rows: expected enough for queries ({query:.2f} of them), training rows "
            f"({training:.2f}) and a database, found {rows}"
        )
    order = np.random.default_rng(seed).permutation(rows)
    parts = np.split(order, [queries, queries + learned])
    return Split(*(np.sort(part) for part in parts))


def check_split(split: Split, rows: int) -> Split:
    """The split if its rows exist and no query is learned from or found; UsageError otherwise."""
    for name in ("query", "training", "database"):
        part = np.asarray(getattr(split, name))
        if not part.size:
            raise UsageError(f"split.{name}: expected rows, found none")
        if not 0 <= part.min() <= part.max() < rows:
            raise UsageError(
                f"split.{name}: expected rows from 0 to {rows - 1}, "
                f"found {part.min()} to {part.max()}"
            )
    for name in ("training", "database"):
        common = int(np.isin(split.query, getattr(split, name)).sum())
        if common:
            raise UsageError(f"split.query: expected no row of split.{name}, found {common}")
    return split
