"""Which files below a folder an index run is about: patterns, ignore files, hidden names."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from xmodal.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".xmodalignore"
# Thumbnails, deleted files and leftovers of archives: nobody's photos, also where hidden names
# are asked for. In lower case, as case differs between the systems that make them.
SKIPPED_FOLDERS = frozenset(
    {
        "$recycle.bin",
        "#recycle",
        "#snapshot",
        "@eadir",
        "__macosx",
        "lost+found",
        "recycler",
        "system volume information",
        ".documentrevisions-v100",
        ".fseventsd",
        ".spotlight-v100",
        ".temporaryitems",
        ".thumbnails",
    }
)
# ``._x`` is what macOS keeps beside ``x`` on other systems' disks; trash is ``.Trash-1000``,
# ``.Trashes`` or, on phones, ``.trashed-1700000000-x.jpg``.
_SKIPPED_STARTS = ("._", ".trash")


class Selection:
    """The files that a run reads below ``root``, by their paths relative to it.

    ``include`` and ``exclude`` are patterns as in ``.gitignore``, relative to ``root``; so are the
    lines of an ``.xmodalignore`` file, relative to its folder. Files of that name in the folders
    above ``root`` count too: what they leave out stays out whichever folder a run is given.
    ``exclude`` is stronger than those files, and a deeper file than a higher one. Letters of
    either case are alike, and so are the two Unicode forms of a name.

    Raises UsageError for a pattern that is none, and for a file above ``root`` that cannot be
    read.
    """

    def __init__(
        self,
        root: Path,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
    ) -> None:
        self.hidden = hidden
        self.skipped = False  # whether patterns have kept a walk from anything
        self._include = _given(include)
        self._exclude = _given(exclude)
        self._below: dict[str, GitIgnoreSpec] = {}  # by the folder: "", or "a/b/"
        self._above: list[tuple[str, GitIgnoreSpec]] = []  # the nearest first
        top = Path(os.path.realpath(root))
        for folder in top.parents:
            try:
                rules = _read(folder / IGNORE_FILE)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UsageError(
                    f"{folder / IGNORE_FILE}: {error.strerror}; what it leaves out is not known"
                ) from error
            self._above.append((top.relative_to(folder).as_posix() + "/", rules))

    @property
    def narrowed(self) -> bool:
        """Whether anything but a file's name and suffix decides."""
        return bool(self._include or self._exclude or self._below or self._above)

    def enter(self, root: Path, folder: str) -> None:
        """Follow the ignore file of a folder, from now on; OSError if it cannot be read."""
        self._below[f"{folder}/" if folder else ""] = _read(root / folder / IGNORE_FILE)

    def approach(self, root: Path, folder: str) -> None:
        """Follow the ignore files on the way to a folder where a walk begins; OSError as above."""
        for end in (0, *(at for at, sign in enumerate(folder) if sign == "/")):
            with suppress(FileNotFoundError):
                self.enter(root, folder[:end])

    def takes(self, relative: str) -> bool:
        """Whether a file that is met in a folder that was entered is read."""
        taken = self.means(relative) and not self._excluded(relative)
        self.skipped |= not taken
        return taken

    def takes_folder(self, relative: str) -> bool:
        """Whether a folder that is met in one that was entered is entered."""
        taken = not self._excluded(relative + "/")
        self.skipped |= not taken
        return taken

    def means(self, relative: str) -> bool:
        """Whether the run is about this file; of others it says nothing, not that they went."""
        return self._include is None or self._include.match_file(_alike(relative))

    def leaves_out(self, relative: str) -> bool:
        """Whether a file, wherever it is, is not read because it or a folder of it is left out.

        A path that ends in ``/`` is a folder's. The ignore files on the way must be known.
        """
        at = relative.find("/")
        while at >= 0:
            name = relative[relative.rfind("/", 0, at) + 1 : at]
            if self.skips_name(name) or skipped_folder(name) or self._excluded(relative[: at + 1]):
                return True
            at = relative.find("/", at + 1)
        name = relative[relative.rfind("/") + 1 :]
        return self.skips_name(name) or self._excluded(relative)

    def skips_name(self, name: str) -> bool:
        """Whether a file or a folder is left out because its name is hidden."""
        return name.startswith(".") and (
            not self.hidden or name.lower().startswith(_SKIPPED_STARTS)
        )

    def _excluded(self, relative: str) -> bool:
        for rules, path in self._rules_of(relative):
            verdict = rules.check_file(_alike(path)).include
            if verdict is not None:
                return verdict
        return False

    def _rules_of(self, relative: str) -> Iterator[tuple["GitIgnoreSpec", str]]:
        """The rules that may decide, the strongest first, each with the path as it sees it."""
        if self._exclude is not None:
            yield self._exclude, relative
        if self._below:
            at = len(relative) - 1  # the end of a folder's own path is no folder around it
            while at >= 0:
                at = relative.rfind("/", 0, at)
                rules = self._below.get(relative[: at + 1])
                if rules is not None:
                    yield rules, relative[at + 1 :]
        for prefix, rules in self._above:
            yield rules, prefix + relative


def skipped_folder(name: str) -> bool:
    """Whether a folder is one that systems and programs keep for themselves."""
    return name.lower() in SKIPPED_FOLDERS


def _given(patterns: Sequence[str]) -> "GitIgnoreSpec | None":
    """Patterns of the command line: there a ``#`` begins a name, not a remark."""
    if not patterns:
        return None
    try:
        return _compiled(f"\\{each}" if each.startswith("#") else each for each in patterns)
    except ValueError as error:
        raise UsageError(
            f"{error}; write patterns as in .gitignore, such as '*.png' or 'Raw/'"
        ) from error


def _read(path: Path) -> "GitIgnoreSpec":
    # Windows' editors begin a file with a mark; names that are not UTF-8 are kept as they are.
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    try:
        # A lone "!" takes back nothing; git passes over it, pathspec calls it no pattern.
        return _compiled(line for line in text.splitlines() if line.rstrip() != "!")
    except ValueError as error:
        raise OSError(0, f"{IGNORE_FILE}: {error}") from error


def _compiled(lines: Iterable[str]) -> "GitIgnoreSpec":
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines([_alike(line) for line in lines])


def _alike(text: str) -> str:
    # In pathspec's expressions a "." is any character but the end of a line, which names may hold.
    text = text.replace("\n", "\u2424").lower()
    return text if text.isascii() else unicodedata.normalize("NFC", text)
