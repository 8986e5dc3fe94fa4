"""What a check is: it reads a session and tells what is wrong, each with what would mend it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from xmodal.store.database import Database


@dataclass(frozen=True, slots=True)
class Damage:
    """One kind of damage: ``count`` rows or files have it; ``message`` says it in a sentence.

    ``mend`` repairs it and may raise an XmodalError where it turns out that it cannot; None where
    nothing can be done here. ``remedy`` says what it does, or what a user can do instead.
    """

    kind: str
    count: int
    message: str
    remedy: str
    mend: Callable[[Database], None] | None = None


# Yields what is wrong; a sound library makes it yield nothing.
Check = Callable[[Session], Iterator[Damage]]


def some(count: int, singular: str, plural: str | None = None) -> str:
    """A number and its noun.

    >>> some(1, "picture"), some(2_000, "picture")
    ('1 picture', '2,000 pictures')
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
