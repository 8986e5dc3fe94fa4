"""Following folders: what changed in them is indexed in batches, once it has stopped changing.

The operating system's events say where to look, never what is there. They are not trusted to be
complete: queues overflow without a word, and network drives report nothing that others change. So
folders are also walked whole: at the start, after very many changes, when one of them comes back,
and once an hour.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from xmodal.errors import LibraryBusyError, UsageError
from xmodal.indexing import Root
from xmodal.ingest.decode import picture_suffixes
from xmodal.ingest.patterns import IGNORE_FILE
from xmodal.ingest.report import Failure
from xmodal.metadata.sidecars import SUFFIXES
from xmodal.results import IndexReport

Run = Callable[[Sequence[Root]], IndexReport]

SETTLE_SECONDS = 2.0
# Changes that never pause for so long, as of a large copy, are indexed this often nevertheless.
PATIENCE_SECONDS = 30.0
# So many changes may have been more than the queue of events holds; a walk costs less, too.
MANY_CHANGES = 1000
WALK_SECONDS = 3600.0
WALK_SECONDS_WITHOUT_EVENTS = 60.0
BUSY_SECONDS = 2.0
_TICK_MS = 300


class Follower:
    """Follows folders for a library; :meth:`reports` never ends by itself.

    ``run`` indexes roots and raises LibraryBusyError while another process writes; then the changes
    wait, and ``notify`` is told once. ``library`` is the library's file: it and what SQLite keeps
    beside it are no news.
    """

    def __init__(
        self,
        run: Run,
        roots: Iterable[Root],
        library: Path,
        notify: Callable[[str], None],
        settle: float = SETTLE_SECONDS,
        hidden: bool = False,
    ) -> None:
        self._run = run
        # Events come with the path that was given, or with links resolved: one path for both.
        self._folders = sorted({Path(os.path.realpath(_whole(root))) for root in roots})
        self._library = Path(os.path.realpath(library))
        self._notify = notify
        self._settle = settle
        self._hidden = hidden
        self._changed: dict[Path, float] = {}  # when each path changed last
        self._waiting_since = 0.0
        self._walk_at = 0.0
        self._busy_until = 0.0
        self._told_busy = self._told_deaf = False
        self._begun = False
        self._broken: deque[float] = deque(maxlen=3)  # when the last watches ended
        self._told: set[Failure] = set()

    def reports(self) -> Iterator[IndexReport]:
        """What the first run over all folders did, and then each batch that changed something."""
        while True:
            there = self._there()
            self._changed.clear()
            self._walk_at = 0.0
            yield from self._follow(there)

    def _follow(self, there: dict[Path, tuple[int, int]]) -> Iterator[IndexReport]:
        """Until a folder comes, goes, or its events can no longer be received."""
        first = True  # what is away, or back, is news even if nothing else is
        for changes in self._events(there):
            now = time.monotonic()
            self._note(changes, there, now)
            if any(folder in self._changed for folder in there) or self._there() != there:
                return
            if now < self._busy_until:
                continue
            if now >= self._walk_at:
                report = self._attempt([(folder, None) for folder in self._folders])
                if report is not None:
                    self._walk_at = time.monotonic() + WALK_SECONDS
                    if self._is_news(report) or (first and (report.notes or not self._begun)):
                        yield report
                    first, self._begun = False, True
            elif ready := self._settled(now):
                report = self._attempt(self._roots_with(ready, there))
                if report is not None:
                    for path in ready:
                        del self._changed[path]
                    self._waiting_since = time.monotonic()
                    if self._is_news(report):
                        yield report

    def _events(self, there: dict[Path, tuple[int, int]]) -> Iterator[Iterable[str]]:
        """The paths that changed, at least every third of a second; ends when that fails."""
        stands = False
        try:
            # The first answer comes when the watch stands: the walk after it misses nothing.
            for paths in _changes(there):
                stands = True
                yield paths
        except FileNotFoundError:
            return  # a folder just went
        except (OSError, RuntimeError) as error:
            if stands:
                # A name that is no UTF-8, which a walk reads; that opens the file, and ends the
                # watch once more. Where it goes on and on, once a minute must do.
                now = time.monotonic()
                self._broken.append(now)
                if len(self._broken) < 3 or now - self._broken[0] > WALK_SECONDS_WITHOUT_EVENTS:
                    time.sleep(self._settle)
                    return
            elif not self._told_deaf:
                why = str(error).partition(" about ")[0].rstrip(".")
                self._notify(
                    f"changes cannot be followed ({why}), so the folders are read once a minute; "
                    "on Linux, a higher fs.inotify.max_user_watches helps"
                )
                self._told_deaf = True
        end = time.monotonic() + WALK_SECONDS_WITHOUT_EVENTS
        while time.monotonic() < end:
            time.sleep(_TICK_MS / 1000)
            yield ()

    def _there(self) -> dict[Path, tuple[int, int]]:
        """The folders that exist, with what tells whether each is still the same."""
        found = {}
        for folder in self._folders:
            try:
                status = os.stat(folder)
            except OSError:
                continue
            found[folder] = status.st_dev, status.st_ino
        return found

    def _note(self, changes: Iterable[str], there: Iterable[Path], now: float) -> None:
        for path in map(Path, changes):
            root = _root_of(path, there)
            if root is None or self._is_library(path):
                continue
            if path.name == IGNORE_FILE:
                self._walk_at = 0.0  # what it says may be about any picture below it
            if not self._hidden and any(p.startswith(".") for p in path.relative_to(root).parts):
                continue
            if not self._changed:
                self._waiting_since = now
            self._changed[path] = now

    def _is_library(self, path: Path) -> bool:
        return path.parent == self._library.parent and path.name.startswith(self._library.name)

    def _settled(self, now: float) -> list[Path]:
        """The paths to index now: all when everything is quiet, else those that are, in time."""
        quiet = [path for path, last in self._changed.items() if now - last >= self._settle]
        if len(quiet) == len(self._changed) or now - self._waiting_since >= PATIENCE_SECONDS:
            return quiet
        return []

    def _roots_with(self, paths: Iterable[Path], there: Iterable[Path]) -> list[Root]:
        by_root: dict[Path, set[Path]] = {}
        for path in paths:
            root = _root_of(path, there)
            if root is not None:
                by_root.setdefault(root, set()).update(_meant(path))
        return [
            (root, sorted(meant) if len(meant) < MANY_CHANGES else None)
            for root, meant in by_root.items()
            if meant
        ]

    def _attempt(self, roots: Sequence[Root]) -> IndexReport | None:
        """The report of a run, or None if another process is writing and it must wait."""
        try:
            report = self._run(roots)
        except LibraryBusyError as error:
            if not self._told_busy:
                self._notify(f"{error}. Changes are kept and indexed after that")
            self._told_busy = True
            self._busy_until = time.monotonic() + BUSY_SECONDS
            return None
        self._told_busy = False
        return report

    def _is_news(self, report: IndexReport) -> bool:
        new = set(report.failures) - self._told
        self._told |= new
        return bool(report.indexed or report.moved or report.removed or report.words or new)


def _changes(folders: Collection[Path]) -> Iterator[list[str]]:
    """Paths that changed below the folders, at least every third of a second, perhaps none."""
    from watchfiles import watch

    if not folders:
        return
    for forbidden in (False, True):
        # Leaving out folders that may not be read also hides that others could not be watched,
        # so it is not asked for before it must be.
        try:
            for changes in watch(
                *folders,
                watch_filter=None,
                debounce=2 * _TICK_MS,
                rust_timeout=_TICK_MS,
                yield_on_timeout=True,
                ignore_permission_denied=forbidden,
            ):
                yield [path for _, path in changes]
        except PermissionError:
            if forbidden:
                raise


def _whole(root: Root) -> Path:
    folder, only = root
    if only is not None:
        raise UsageError(f"{next(iter(only))}: only folders can be followed; name its folder")
    return folder


def _root_of(path: Path, roots: Iterable[Path]) -> Path | None:
    """The innermost of the folders that holds the path."""
    around = [root for root in roots if path.is_relative_to(root)]
    return max(around, key=lambda root: len(root.parts), default=None)


def _meant(path: Path) -> list[Path]:
    """What to index because of a change: a picture, a folder, or the pictures beside a sidecar."""
    suffixes = picture_suffixes()
    suffix = path.suffix.lower()
    if suffix.removeprefix(".") in suffixes:
        return [path]
    if suffix in SUFFIXES:
        try:
            beside = list(path.parent.iterdir())
        except OSError:  # its folder went with it, which is another change
            return []
        return [other for other in beside if other.suffix.lower().removeprefix(".") in suffixes]
    # A file of another kind; what is no longer there may have been a folder of pictures.
    return [] if path.is_file() else [path]
