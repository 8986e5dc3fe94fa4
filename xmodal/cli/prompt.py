"""The lines that `xmodal shell` is given: from a prompt with history and completion, or a pipe."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from xmodal.cli.conversation import COMMANDS, Conversation
from xmodal.errors import XmodalError

if TYPE_CHECKING:
    from xmodal.library import Library

PROMPT = "xmodal> "
_LINES_KEPT = 1000


def lines_of(library: "Library", talk: Conversation) -> Iterator[str]:
    """Each line that the user writes, until the input ends."""
    if not talk.interactive:
        yield from sys.stdin
        return
    with _line_editor(library):
        while True:
            try:
                yield input(PROMPT)
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print()


def history_file() -> Path:
    """Where the lines are kept: ``XMODAL_HISTORY``, else in the user's state folder."""
    chosen = os.environ.get("XMODAL_HISTORY")
    if chosen:
        return Path(chosen)
    from platformdirs import user_state_path

    return user_state_path("xmodal", appauthor=False) / "history"


@contextlib.contextmanager
def _line_editor(library: "Library") -> Iterator[None]:
    """While it lasts, lines are edited, remembered and completed, where Python can do that."""
    try:
        import readline
    except ImportError:  # Windows has none, and its console edits lines itself
        yield
        return
    history = history_file()
    # What cannot be read or kept is no reason not to search.
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(_LINES_KEPT)
    readline.set_completer_delims(" ()")
    readline.set_completer(completer(lambda kind, start: library.names(kind, start)))
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(history)


def completer(names: Callable[[str, str], list[str]]) -> Callable[[str, int], str | None]:
    """What readline asks for the completions of a word, one after the other.

    ``names(kind, start)`` are the library's names of a kind (keyword, person, place).
    """
    found: list[str] = []

    def complete(word: str, number: int) -> str | None:
        if number == 0:
            # readline drops what is raised here; a busy or damaged library must not end the line.
            try:
                found[:] = completions(word, names)
            except XmodalError:
                found.clear()
        return found[number] if number < len(found) else None

    return complete


def completions(word: str, names: Callable[[str, str], list[str]]) -> list[str]:
    """What a word may go on to: a command, a filter, or a filter's value.

    >>> completions("or", lambda kind, start: [])
    ['orientation:']
    >>> completions("-keyword:bir", lambda kind, start: ["birthday party"])
    ['-keyword:"birthday party"']
    >>> completions(":o", lambda kind, start: [])
    [':open']
    """
    from xmodal.query.values import FILTERS, HAS, TYPES, shown

    if word.startswith(":"):
        return [command for command in COMMANDS if command.startswith(word)]
    minus = "-" if word.startswith("-") else ""
    name, colon, value = word[len(minus) :].partition(":")
    if not colon:
        return [f"{minus}{known}:" for known in [*FILTERS, "like"] if known.startswith(name)]
    if name in ("keyword", "person", "place"):
        values = [shown(found) for found in names(name, value.lstrip('"'))]
    else:
        closed = {"type": TYPES, "has": HAS, "orientation": ("landscape", "portrait", "square")}
        values = [known for known in closed.get(name, ()) if known.startswith(value)]
    return [f"{minus}{name}:{value}" for value in values]
