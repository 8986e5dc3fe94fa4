"""Where the time of a search goes: parts with names, each without the parts inside it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import perf_counter


class Stopwatch:
    """Adds up the seconds of named parts; a part does not count what runs in a part inside it.

    >>> watch = Stopwatch()
    >>> with watch.part("rank"):
    ...     with watch.part("scan"):
    ...         pass
    >>> sorted(watch.seconds)
    ['rank', 'scan']

    For one thread.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = perf_counter()
        self._running: list[str] = []
        self._since = 0.0

    def told(self, before: float = 0.0) -> str:
        """All parts in milliseconds, in the order in which they first began, and the total.

        ``before`` are seconds that passed before the watch was made.
        """
        parts = {"start": before} if before else {}
        parts |= self.seconds | {"total": before + perf_counter() - self._began}
        return ", ".join(f"{name} {1000 * spent:.1f}" for name, spent in parts.items()) + " ms"

    def part(self, name: str) -> AbstractContextManager[None]:
        """A block that is counted under ``name``; what it raises is counted, too."""
        return self._timed(name)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self._stop()
        self._running.append(name)
        self.seconds.setdefault(name, 0.0)
        try:
            yield
        finally:
            self._stop()
            self._running.pop()

    def _stop(self) -> None:
        """Give the time until now to the part that runs."""
        now = perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


class _Off(Stopwatch):
    """Measures nothing."""

    def part(self, name: str) -> AbstractContextManager[None]:
        return _NOTHING


_NOTHING = nullcontext()
OFF = _Off()
