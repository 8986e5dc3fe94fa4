"""A query as a shell passes it on: split into arguments, its quotes taken away."""

import re
from collections.abc import Sequence

from xmodal.errors import QueryError
from xmodal.ingest.identity import clean_text
from xmodal.query.language import QUOTES, parse
from xmodal.query.terms import Meaning
from xmodal.query.values import FILTERS, LIKE, quoted

_HEAD = re.compile(r"(-?)([0-9.]+\*)?(?:([A-Za-z]+):)?(.*)", re.DOTALL)


def from_arguments(arguments: Sequence[str]) -> str:
    """The query that a user wrote, with the quotes that a shell took from it.

    An argument with spaces was in quotes: a sentence of its own, the value of a filter, or a whole
    query. It is a whole query where it holds signs of the language behind its first word.

    >>> print(from_arguments(["a dog on the beach"]))
    "a dog on the beach"
    >>> print(from_arguments(["beach", "-two people", "keyword:Anna Maria,cat", "2*red car"]))
    beach -"two people" keyword:"Anna Maria",cat 2*"red car"
    >>> print(from_arguments(["beach -people date:2023"]))
    beach -people date:2023
    """
    return " ".join(map(_as_written, arguments))


def _as_written(argument: str) -> str:
    if not re.search(r"\s", argument.strip()):
        return argument
    match = _HEAD.fullmatch(argument)
    assert match is not None  # it matches any text
    minus, weight, name, rest = match.groups(default="")
    if rest[:1].isspace():
        minus, weight, name, rest = "", "", "", argument
    kind = LIKE if name.lower() == "like" else FILTERS.get(name.lower())
    if name and kind is None:
        rest = f"{name}:{rest}"
    if kind is not None and not kind.spaced:
        return argument
    if not _is_sentence(rest):
        return argument
    if kind is None:
        return f"{minus}{weight}{quoted(rest)}"
    values = rest.split(",") if kind.listed else [rest]
    shown = ",".join(quoted(value) if re.search(r"\s", value) else value for value in values)
    return f"{minus}{weight}{name}:{shown}"


def _is_sentence(text: str) -> bool:
    """Whether the language has no sign of its own in it."""
    if any(word[0] in QUOTES for word in text.split()):
        return False
    try:
        tree = parse(text).tree
    except QueryError:
        return False
    return tree == Meaning(clean_text(text))
