"""An index run from end to end: the folders, a captions file, waiting texts, the code renewed."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from xmodal.encoders import Encoder
from xmodal.encoders.background import Background
from xmodal.errors import DiskFullError, IndexInterrupted
from xmodal.ingest.attach import attach_captions, encode_waiting_texts
from xmodal.ingest.captions import read_captions
from xmodal.ingest.pipeline import OnProgress, index_volume
from xmodal.ingest.report import IndexCounts, first_notes
from xmodal.ingest.scope import existing_roots
from xmodal.results import IndexReport
from xmodal.spaces.code import ensure_code, renew_code
from xmodal.spaces.space import make_default, space_for_indexing
from xmodal.store.database import Database
from xmodal.store.segments import merge_segments


def index_paths(
    open_database: Callable[[], Database],
    load_encoder: Callable[[str], Encoder],
    load_background: Callable[[Encoder], Background],
    paths: Sequence[str | Path],
    *,
    captions: Path | None = None,
    encoder: str | None = None,
    add_encoder: bool = False,
    progress: OnProgress | None = None,
) -> IndexReport:
    """What :meth:`Library.index <xmodal.library.Library.index>` does, with what it documents.

    ``open_database`` is called when paths and captions are known to be there, so that a wrong
    argument leaves no file behind.
    """
    started = time.monotonic()
    roots = existing_roots(paths)
    table = read_captions(captions) if captions is not None else None
    database = open_database()
    counts = IndexCounts()
    with database.writer():
        space, chosen = space_for_indexing(database, encoder, add_encoder, load_encoder)
        background = load_background(chosen)
        code = ensure_code(database, space.id, background)
        try:
            for root, only in roots:
                index_volume(
                    database,
                    root,
                    chosen,
                    space.id,
                    code,
                    only=only,
                    progress=progress,
                    counts=counts,
                )
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
