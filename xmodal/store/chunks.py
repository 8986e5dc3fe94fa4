"""Values in lists that are short enough for one statement."""

from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
# Values in one IN (…): far below what any database takes, large enough to be worth the query.
CHUNK = 500


def chunks(values: Collection[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """The values in lists of at most ``size``.

    >>> list(chunks([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    listed = list(values)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
