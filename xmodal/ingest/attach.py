"""Captions and keywords of a file, as texts of the library that belong to its pictures."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, insert, or_, select, tuple_
from sqlalchemy.orm import Session

from xmodal.encoders.base import Encoder
from xmodal.ingest.captions import Captions
from xmodal.ingest.coding import Coder, CodeSpace, update_codes
from xmodal.ingest.identity import clean_text, text_hash
from xmodal.ingest.matching import match_rows
from xmodal.ingest.report import CaptionCounts, Progress
from xmodal.ingest.saving import add_features
from xmodal.ingest.scope import chunks
from xmodal.store.database import Database
from xmodal.store.models import Caption, Feature, Item, ItemKeyword, Keyword

SOURCE = "csv"
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
        texts = _text_items(
            session, {t for _, row in rows for t in (row.caption, *row.keywords) if t}
        )
        old = _captions(session, pictures)
        old_keywords = _keywords(session, pictures)
        touched = {text for _, text in old} | set(texts.values())
        touched |= _texts_of_keywords(session, {keyword for _, keyword in old_keywords})
        before = live_texts(session, touched)
        new = {(i, texts[row.caption]) for i, row in rows if row.caption}
        keywords = _keyword_records(
            session, {word for _, row in rows for word in row.keywords}, texts
        )
        new_keywords = {(i, keywords[word]) for i, row in rows for word in row.keywords}
        _change_captions(session, old - new, new - old)
        _change_keywords(session, old_keywords - new_keywords, new_keywords - old_keywords)
        update_codes(session, space, "text", before, live_texts(session, touched))
    counts.added = len(new - old) + len(new_keywords - old_keywords)
    counts.removed = len(old - new) + len(old_keywords - new_keywords)
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
            .where(Item.kind == "text", ~encoded, _in_use(Item.id))
            .order_by(Item.id)
        ).all()
    done = 0
    for batch in chunks(waiting, TEXT_BATCH):
        features = encoder.encode_texts([text or "" for _, text in batch])
        by_id = {item_id: feature for (item_id, _), feature in zip(batch, features, strict=True)}
        with database.transaction() as session:
            add_features(session, encoder_id, by_id)
            update_codes(session, space, "text", set(by_id), set(by_id), set(by_id))
        done += len(batch)
        if progress:
            progress(Progress(done, len(waiting), database.path, 0))
    return done


def live_texts(session: Session, items: Collection[int]) -> set[int]:
    """Those of the text ``items`` that are a caption or a keyword."""
    live: set[int] = set()
    for chunk in chunks(items):
        live |= set(session.scalars(select(Item.id).where(Item.id.in_(chunk), _in_use(Item.id))))
    return live


def _in_use(item_id: Any) -> Any:
    return or_(
        exists().where(Caption.text_item_id == item_id),
        exists().where(Keyword.text_item_id == item_id),
    )


def _text_items(session: Session, texts: Iterable[str]) -> dict[str, int]:
    """The item id of each text, made where there was none."""
    by_hash = {text_hash(text): clean_text(text) for text in sorted(texts)}
    found: dict[bytes, int] = {}
    for chunk in chunks(by_hash):
        query = select(Item.content_hash, Item.id).where(
            Item.kind == "text", Item.content_hash.in_(chunk)
        )
        found |= {row[0]: row[1] for row in session.execute(query)}
    missing = [digest for digest in by_hash if digest not in found]
    if missing:
        rows = [{"kind": "text", "content_hash": h, "text": by_hash[h]} for h in missing]
        ids = session.scalars(insert(Item).returning(Item.id, sort_by_parameter_order=True), rows)
        found |= dict(zip(missing, ids, strict=True))
    return {text: found[digest] for digest, text in by_hash.items()}


def _keyword_records(
    session: Session, names: Collection[str], texts: dict[str, int]
) -> dict[str, int]:
    """The keyword id of each name, made where there was none."""
    found: dict[str, int] = {}
    for chunk in chunks(names):
        query = select(Keyword.name, Keyword.id).where(Keyword.name.in_(chunk))
        found |= {row[0]: row[1] for row in session.execute(query)}
    missing = sorted(set(names) - set(found))
    if missing:
        rows = [{"name": name, "text_item_id": texts[name]} for name in missing]
        ids = session.scalars(
            insert(Keyword).returning(Keyword.id, sort_by_parameter_order=True), rows
        )
        found |= dict(zip(missing, ids, strict=True))
    return found


def _captions(session: Session, pictures: Collection[int]) -> set[tuple[int, int]]:
    """(picture, text) of the captions that a captions file gave to ``pictures``."""
    found: set[tuple[int, int]] = set()
    for chunk in chunks(pictures):
        query = select(Caption.item_id, Caption.text_item_id).where(
            Caption.source == SOURCE, Caption.item_id.in_(chunk)
        )
        found |= {(picture, text) for picture, text in session.execute(query)}
    return found


def _keywords(session: Session, pictures: Collection[int]) -> set[tuple[int, int]]:
    """(picture, keyword) of the keywords that a captions file gave to ``pictures``."""
    found: set[tuple[int, int]] = set()
    for chunk in chunks(pictures):
        query = select(ItemKeyword.item_id, ItemKeyword.keyword_id).where(
            ItemKeyword.source == SOURCE, ItemKeyword.item_id.in_(chunk)
        )
        found |= {(picture, keyword) for picture, keyword in session.execute(query)}
    return found


def _texts_of_keywords(session: Session, keywords: Collection[int]) -> set[int]:
    found: set[int] = set()
    for chunk in chunks(keywords):
        found |= set(session.scalars(select(Keyword.text_item_id).where(Keyword.id.in_(chunk))))
    return found


def _change_captions(
    session: Session, removed: Collection[tuple[int, int]], added: Collection[tuple[int, int]]
) -> None:
    for chunk in chunks(removed):
        session.execute(
            delete(Caption)
            .where(Caption.source == SOURCE)
            .where(tuple_(Caption.item_id, Caption.text_item_id).in_(chunk))
            .execution_options(synchronize_session=False)
        )
    if added:
        rows = [{"item_id": i, "text_item_id": t, "source": SOURCE} for i, t in sorted(added)]
        session.execute(insert(Caption), rows)


def _change_keywords(
    session: Session, removed: Collection[tuple[int, int]], added: Collection[tuple[int, int]]
) -> None:
    for chunk in chunks(removed):
        session.execute(
            delete(ItemKeyword)
            .where(ItemKeyword.source == SOURCE)
            .where(tuple_(ItemKeyword.item_id, ItemKeyword.keyword_id).in_(chunk))
            .execution_options(synchronize_session=False)
        )
    if added:
        rows = [{"item_id": i, "keyword_id": k, "source": SOURCE} for i, k in sorted(added)]
        session.execute(insert(ItemKeyword), rows)
    # A keyword that no picture has any more would still answer searches.
    for unused in chunks({keyword for _, keyword in removed}):
        session.execute(
            delete(Keyword)
            .where(Keyword.id.in_(unused))
            .where(~exists().where(ItemKeyword.keyword_id == Keyword.id))
            .execution_options(synchronize_session=False)
        )
