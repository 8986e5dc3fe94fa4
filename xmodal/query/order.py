"""In what order results are listed, and under which headings."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from xmodal.errors import UsageError
from xmodal.query.catalog import Facts
from xmodal.query.terms import folded

T = TypeVar("T")
RELEVANCE = "relevance"


def _time(facts: Facts) -> datetime:
    return facts.time


def _name(facts: Facts) -> tuple[str, str]:
    return folded(facts.path.name), str(facts.path)


def _folder(facts: Facts) -> tuple[list[str], str, str]:
    return [*map(folded, facts.path.parent.parts)], *_name(facts)


# What to compare, and whether the greatest comes first: the newest.
_KEYS: dict[str, tuple[Callable[[Facts], Any], bool]] = {
    "date": (_time, True),
    "name": (_name, False),
    "folder": (_folder, False),
}
_HEADINGS: dict[str, Callable[[Facts], str]] = {
    "day": lambda facts: facts.time.date().isoformat(),
    "folder": lambda facts: str(facts.path.parent),
}
SORTS = (RELEVANCE, *_KEYS)
GROUPS = tuple(_HEADINGS)


@dataclass(frozen=True, slots=True)
class Order:
    """By what results are sorted, ``relevance``, ``date``, ``name`` or ``folder``, and by what they
    are grouped, ``day`` or ``folder``, if at all. ``everything``: what chance may explain is sorted
    with the others instead of standing behind them. ``reverse`` turns the order round; by relevance
    the same results are shown, the best one last."""

    sort: str = RELEVANCE
    reverse: bool = False
    group: str | None = None
    everything: bool = False

    @classmethod
    def of(cls, sort: str, reverse: bool, group: str | None, everything: bool) -> "Order":
        """As users write it: ``-`` before what is sorted by turns the order round.

        Raises UsageError for what there is no order by.

        >>> Order.of("-date", False, None, False)
        Order(sort='date', reverse=True, group=None, everything=False)
        """
        name = sort.removeprefix("-")
        if name not in SORTS:
            raise UsageError(f"cannot sort by {sort!r}; choose from {', '.join(SORTS)}")
        if group is not None and group not in GROUPS:
            raise UsageError(f"cannot group by {group!r}; choose from {', '.join(GROUPS)}")
        return cls(name, reverse != sort.startswith("-"), group, everything)

    @property
    def by_relevance(self) -> bool:
        """Whether the order is that of a search."""
        return self.sort == RELEVANCE

    def sorted(self, rows: Sequence[T], facts: Callable[[T], Facts]) -> list[T]:
        """The rows in this order, as they come where they are equal in it, or all by relevance."""
        if self.by_relevance:
            return list(rows)
        key, greatest_first = _KEYS[self.sort]
        return sorted(rows, key=lambda row: key(facts(row)), reverse=self.reverse != greatest_first)

    def heading(self, facts: Facts) -> str | None:
        """The group that a row belongs to."""
        return None if self.group is None else _HEADINGS[self.group](facts)


def together(rows: Sequence[T], group: Callable[[T], Hashable]) -> list[T]:
    """Rows of one group side by side, groups in the order of their first rows.

    >>> together(["ax", "bx", "ay"], lambda row: row[0])
    ['ax', 'ay', 'bx']
    """
    groups: dict[Hashable, list[T]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return [row for members in groups.values() for row in members]
