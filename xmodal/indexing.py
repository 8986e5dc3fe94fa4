"""An index run from end to end: the folders, a captions file, waiting texts, the code renewed."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from xmodal.encoders import Encoder
from xmodal.encoders.background import Background
from xmodal.errors import DiskFullError, IndexInterrupted, NothingThereError
from xmodal.ingest.attach import attach_captions, encode_waiting_texts
from xmodal.ingest.captions import read_captions
from xmodal.ingest.patterns import Selection
from xmodal.ingest.pipeline import OnProgress, index_volume
from xmodal.ingest.report import IndexCounts, first_notes
from xmodal.ingest.saving import take_offline
from xmodal.ingest.scope import roots_of, scopes_of
from xmodal.results import IndexReport
from xmodal.spaces.calibration import renew_calibration
from xmodal.spaces.code import ensure_code, renew_code
from xmodal.spaces.space import make_default, space_for_indexing
from xmodal.store.database import Database
from xmodal.store.segments import merge_segments
from xmodal.store.volumes import volume_places

# A folder, and what is meant of it: None for all of it.
Root = tuple[Path, Iterable[Path] | None]


def index_paths(
    open_database: Callable[[], Database],
    load_encoder: Callable[[str], Encoder],
    load_background: Callable[[Encoder], Background],
    roots: Sequence[Root],
    *,
    captions: Path | None = None,
    encoder: str | None = None,
    add_encoder: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hidden: bool = False,
    follows: bool = False,
    progress: OnProgress | None = None,
) -> IndexReport:
    """What :meth:`Library.index <xmodal.library.Library.index>` does, with what it documents.

    ``open_database`` is called when paths and captions are known to be there, so that a wrong
    argument leaves no file behind. A run that ``follows`` changes takes a folder
    without any picture for no mistake, and named pictures for those that changed: patterns count
    for them too.
    """
    started = time.monotonic()
    selections = [Selection(root, include, exclude, hidden) for root, _ in roots]
    table = read_captions(captions) if captions is not None else None
    database = open_database()
    counts = IndexCounts()
    with database.writer():
        space, chosen = space_for_indexing(database, encoder, add_encoder, load_encoder)
        background = cache(lambda: load_background(chosen))
        code = ensure_code(database, space.id, background)
        try:
            for (root, only), selection in zip(roots, selections, strict=True):
                try:
                    index_volume(
                        database,
                        root,
                        chosen,
                        space.id,
                        code,
                        only=only,
                        selection=selection if only is None or follows else None,
                        progress=progress,
                        counts=counts,
                    )
                except NothingThereError as nothing:
                    counts.notes.append(_note_absence(database, root, nothing, follows))
            if table is not None:
                told = attach_captions(
                    database, table, chosen, space.id, code, root=roots[0][0], progress=progress
                )
                counts.notes += first_notes(told.unmatched, "rows of the captions file")
            # Texts that an interrupted run, or another feature space, left without a feature.
            encode_waiting_texts(database, chosen, space.id, code, progress=progress)
            if add_encoder:
                make_default(database, space)
            code = renew_code(database, space.id, code, background)
            renew_calibration(database, code, space.id, background)
            with database.transaction() as session:
                for modality in ("image", "text"):
                    merge_segments(session, code.hasher_id, modality)
        except DiskFullError as error:
            raise DiskFullError(
                f"{error}; this run indexed {counts.indexed:,} pictures, {counts.left:,} are left"
            ) from error
        except KeyboardInterrupt as interrupt:
            report = IndexReport.of(counts, time.monotonic() - started)
            raise IndexInterrupted(report) from interrupt
    return IndexReport.of(counts, time.monotonic() - started)


def find_roots(database: Database | None, paths: Sequence[str | Path]) -> list[Root]:
    """The folders that ``paths`` mean; without any, all that the library knows.

    UsageError for a path that is not there, unless the library knows pictures of it.
    """
    known: list[Path] = []
    if database is not None:
        with database.session() as session:
            known = list(volume_places(session).values())
    return list(roots_of(paths, known))


def _note_absence(database: Database, root: Path, nothing: NothingThereError, empty: bool) -> str:
    """What to say of a folder with nothing in it, whose pictures are offline from now on.

    Raises ``nothing`` where no picture of it is known, unless it may be ``empty``.
    """
    with database.transaction() as session:
        away = take_offline(session, scopes_of(session, Path(os.path.realpath(root))))
    if not away and not empty:
        raise nothing
    if not away:
        return str(nothing)
    return f"{nothing}; the {away:,} pictures known there are offline until it is back"
