"""What the ingest room tells its callers: counts, failures and progress."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

# More lines than this hide the rest of what a run says.
MAX_NOTES = 10


@dataclass(frozen=True, slots=True)
class Failure:
    """A file, or a folder, that could not be read, and why in plain words."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: ``done`` of ``total`` files, ``path`` the one just finished.

    Each folder begins with a step that has ``start`` set: ``path`` is the folder, and ``done``
    counts the files in it that need not be read. ``reason`` says why the file at ``path`` failed,
    if it did. ``unit`` says what is counted: captions and keywords are ``texts``.
    """

    done: int
    total: int
    path: Path
    failed: int
    start: bool = False
    reason: str | None = None
    unit: Literal["files", "texts"] = "files"


@dataclass(slots=True)
class IndexCounts:
    """What an index run did; it grows during the run, so an interrupted run can report it.

    ``indexed`` pictures, and videos as a whole, were decoded and encoded. ``unchanged`` files have
    the size, time and place they had, or at least the content. ``moved`` files were recognised
    without decoding: renamed, moved, copied, or back after they were missing. ``removed`` files are
    gone. ``words``
    are captions and keywords that pictures got from their metadata, ``unclear`` are sentences
    about metadata that is there and cannot be read. ``failures`` are listed on every run until
    they are gone or can be read. ``notes`` are sentences for the user about what was decided on
    the way. ``left`` are files that were found and not yet read, none after a run that ended well.
    """

    indexed: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    words: int = 0
    left: int = 0
    unclear: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return len(self.failures)


@dataclass(slots=True)
class CaptionCounts:
    """What attaching a captions file did.

    ``pictures`` of the library are named by the file, by ``rows`` of its lines; ``added`` and
    ``removed`` count captions and keywords of single pictures; ``encoded`` counts new texts.
    ``unmatched`` says of every other row its line, its file and why it found no picture.
    """

    rows: int = 0
    pictures: int = 0
    added: int = 0
    removed: int = 0
    encoded: int = 0
    unmatched: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What a purge removed, or would remove: records, never files.

    ``files`` counts records by the state that they had, ``pictures`` those that no other file of
    the library has; with these go their ``captions`` and ``keywords``. ``freed`` is by how many
    bytes the library's file became smaller.
    """

    files: dict[str, int]
    pictures: int
    captions: int
    keywords: int
    freed: int = 0


def first_notes(notes: Sequence[str], what: str) -> list[str]:
    """The first notes, and how many more of ``what`` there are."""
    shown = list(notes[:MAX_NOTES])
    left = len(notes) - len(shown)
    return shown + ([f"… and {left} more {what}"] if left else [])
