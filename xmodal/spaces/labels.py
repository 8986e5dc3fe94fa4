"""Where labels come from: keywords, the names of folders, or a file; which of them can teach."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.errors import UsageError
from xmodal.ingest.captions import read_labels
from xmodal.ingest.matching import match_rows
from xmodal.store.models import LIVE, File, ItemKeyword, Keyword

KEYWORDS, FOLDERS = "keywords", "folders"
# A label on fewer pictures is either only learned from or only asked for.
MIN_PICTURES = 3
MIN_LABELS = 2
MIN_LABELLED = 10
# The most frequent ones; rarer ones add columns faster than they add knowledge.
MAX_LABELS = 1_000

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class PictureLabels:
    """Which picture has which label: pair p says that ``items[p]`` has ``names[columns[p]]``.

    ``source`` is ``keywords``, ``folders`` or the path of a file; ``notes`` are sentences about
    rows of the file that name no picture.
    """

    source: str
    items: Ids
    columns: Ids
    names: list[str]
    notes: list[str] = field(default_factory=list)

    def of(self, pictures: Ids) -> "PictureLabels":
        """The labels of these pictures (ascending ids) that some of them share, frequent first.

        Those on at least ``MIN_PICTURES`` of them and not on all, at most ``MAX_LABELS``.
        """
        inside = np.isin(self.items, pictures)
        items, columns = self.items[inside], self.columns[inside]
        counts = np.bincount(columns, minlength=len(self.names))
        usable = np.flatnonzero((counts >= MIN_PICTURES) & (counts < len(pictures)))
        usable = np.array(sorted(usable, key=lambda c: (-counts[c], self.names[c])), np.int64)
        usable = usable[:MAX_LABELS]
        column_of = np.full(len(self.names), -1)
        column_of[usable] = np.arange(len(usable))
        kept = column_of[columns] >= 0
        names = [self.names[column] for column in usable]
        return PictureLabels(self.source, items[kept], column_of[columns[kept]], names, self.notes)

    def too_few(self, pictures: Ids) -> UsageError | None:
        """What is missing for learning from the labels of these pictures; None if nothing is."""
        usable = self.of(pictures)
        labelled = len(np.unique(usable.items))
        if len(usable.names) >= MIN_LABELS and labelled >= MIN_LABELLED:
            return None
        return UsageError(
            f"too few {self.kind} to learn from: found {self.summary(pictures)} (together "
            f"{labelled} pictures); needed are {MIN_LABELS} such {self.kind} and {MIN_LABELLED} "
            f"pictures that have one. {_ADVICE.get(self.source, _FILE_ADVICE)}"
        )

    @property
    def kind(self) -> str:
        """What they are called: ``keywords``, ``folders``, or ``labels`` of a file."""
        return self.source if self.source in (KEYWORDS, FOLDERS) else "labels"

    def summary(self, pictures: Ids) -> str:
        """How many there are on these pictures, and how many can teach."""
        inside = np.isin(self.items, pictures)
        return (
            f"{len(np.unique(self.columns[inside]))} {self.kind} on "
            f"{len(np.unique(self.items[inside]))} of {len(pictures)} pictures, "
            f"{len(self.of(pictures).names)} of them on at least {MIN_PICTURES} pictures but not "
            "on all"
        )


_ADVICE = {
    KEYWORDS: "Add keywords with `xmodal index FOLDER --captions FILE.csv`, or learn from the "
    "names of your folders with `xmodal train --labels folders`",
    FOLDERS: "Add keywords with `xmodal index FOLDER --captions FILE.csv`",
}
_FILE_ADVICE = "Add rows to the file"


def read_picture_labels(session: Session, source: str) -> PictureLabels:
    """The labels of ``source``: ``keywords``, ``folders``, or the path of a CSV file.

    Raises UsageError when it is none of them, CaptionsError with the file, the line and the column
    that is wrong, and UsageError when no row of the file names a picture of the library.
    """
    if source == KEYWORDS:
        return _keywords(session)
    if source == FOLDERS:
        return _folders(session)
    path = Path(source).expanduser()
    if not path.is_file():
        raise UsageError(
            f"labels: expected {KEYWORDS!r}, {FOLDERS!r} or a CSV file with the columns file and "
            f"labels; there is no file {source!r}"
        )
    return _file(session, path)


def _keywords(session: Session) -> PictureLabels:
    rows = session.execute(
        select(ItemKeyword.item_id, Keyword.name)
        .join(Keyword, Keyword.id == ItemKeyword.keyword_id)
        .distinct()
    )
    return _gathered(KEYWORDS, ((item, name) for item, name in rows))


def _folders(session: Session) -> PictureLabels:
    """Every folder between the indexed one and the picture names it: a weak label."""
    rows = session.execute(
        select(File.item_id, File.relative_path).where(
            File.state.in_(LIVE), File.item_id.is_not(None)
        )
    )
    return _gathered(
        FOLDERS,
        ((item, name) for item, path in rows for name in PurePosixPath(path).parent.parts),
    )


def _file(session: Session, path: Path) -> PictureLabels:
    table = read_labels(path)
    matched, unmatched = match_rows(session, table, None)
    if not matched:
        raise UsageError(
            f"{path}: none of its {len(table.rows)} rows names a picture of the library; "
            f"{unmatched[0]}. Write paths relative to the folder of the file"
        )
    pairs = ((item, name) for item, row in matched for name in row.keywords)
    return _gathered(str(path), pairs, unmatched)


def _gathered(
    source: str, pairs: Iterable[tuple[int | None, str]], notes: Iterable[str] = ()
) -> PictureLabels:
    """Each pair once, as numbers: a million pictures are not a million objects."""
    column_of: dict[str, int] = {}
    flat = (
        number
        for item, name in pairs
        for number in (item or 0, column_of.setdefault(name, len(column_of)))
    )
    numbers = np.unique(np.fromiter(flat, np.int64).reshape(-1, 2), axis=0)
    return PictureLabels(source, numbers[:, 0], numbers[:, 1], list(column_of), list(notes))
