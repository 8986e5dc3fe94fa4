"""Captions and keywords of a file, as texts of the library that belong to its pictures."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import exists, select

from xmodal.encoders.base import Encoder
from xmodal.ingest.captions import Captions
from xmodal.ingest.coding import Coder, CodeSpace, update_codes
from xmodal.ingest.matching import match_rows
from xmodal.ingest.report import CaptionCounts, Progress
from xmodal.ingest.saving import add_features
from xmodal.ingest.words import KEYWORD, Words, in_use, replace_words
from xmodal.sources import CAPTIONS_FILE
from xmodal.store.chunks import chunks
from xmodal.store.database import Database
from xmodal.store.models import Feature, Item

TEXT_BATCH = 64


def attach_captions(
    database: Database,
    captions: Captions,
    encoder: Encoder,
    encoder_id: int,
    coder: Coder,
    *,
    root: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> CaptionCounts:
    """Make the library say what the file says about the pictures that the file names.

    Captions and keywords that an earlier captions file gave to these pictures, and this one does
    not, are removed; those of other pictures stay. Reading the same file again changes nothing.
    Each text is encoded once, however many pictures have it. ``root`` is the indexed folder:
    see :func:`~xmodal.ingest.matching.match_rows`. The caller holds ``database.writer()``.
    """
    space = CodeSpace(encoder_id, coder)
    counts = CaptionCounts()
    with database.transaction() as session:
        rows, counts.unmatched = match_rows(session, captions, root)
        counts.rows = len(rows)
        pictures = {item_id for item_id, _ in rows}
        counts.pictures = len(pictures)
        words = Words(
            {(i, row.caption, CAPTIONS_FILE) for i, row in rows if row.caption},
            {(i, word, CAPTIONS_FILE): KEYWORD for i, row in rows for word in row.keywords},
        )
        told = (CAPTIONS_FILE,)
        counts.added, counts.removed = replace_words(session, space, pictures, told, words)
    counts.encoded = encode_waiting_texts(database, encoder, encoder_id, coder, progress=progress)
    return counts


def encode_waiting_texts(
    database: Database,
    encoder: Encoder,
    encoder_id: int,
    coder: Coder,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> int:
    """Give every text in use a feature and a code in this space; returns how many had none.

    There are such texts after an interrupt and in a newly added space. The ``path`` that
    ``progress`` is told is the library's. The caller holds ``database.writer()``.
    """
    space = CodeSpace(encoder_id, coder)
    encoded = exists().where(Feature.encoder_id == encoder_id, Feature.item_id == Item.id)
    with database.session() as session:
        waiting = session.execute(
            select(Item.id, Item.text)
            .where(Item.kind == "text", ~encoded, in_use(Item.id))
            .order_by(Item.id)
        ).all()
    done = 0

    def report(start: bool = False) -> None:
        if progress:
            step = Progress(done, len(waiting), database.path, 0, start=start, unit="texts")
            progress(step)

    if waiting:
        report(start=True)
    for batch in chunks(waiting, TEXT_BATCH):
        features = encoder.encode_texts([text or "" for _, text in batch])
        by_id = {item_id: feature for (item_id, _), feature in zip(batch, features, strict=True)}
        with database.transaction() as session:
            add_features(session, encoder_id, by_id)
            update_codes(session, space, "text", set(by_id), set(by_id), set(by_id))
        done += len(batch)
        report()
    return done
