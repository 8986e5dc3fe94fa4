"""What items hold: their features in each space, and the words of those that are texts."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from xmodal.doctor.checks import Damage, some
from xmodal.ingest.describing import read_again
from xmodal.ingest.identity import clean_text, text_hash
from xmodal.spaces.code import CODING_BATCH
from xmodal.spaces.space import spaces
from xmodal.store.chunks import chunks
from xmodal.store.database import Database
from xmodal.store.features import Ids, damaged_features, delete_features
from xmodal.store.models import Caption, Feature, File, Item, Keyword


def features(session: Session) -> Iterator[Damage]:
    """Every feature has its length, and numbers that a search can rank."""
    for space in spaces(session):
        found = list(damaged_features(session, space.id, CODING_BATCH))
        if not found:
            continue
        ids = np.concatenate(found)
        yield Damage(
            "feature",
            len(ids),
            f"{some(len(ids), 'feature')} of {space.identifier} of a wrong length, zero or no "
            f"numbers, the first that of item {ids[0]}",
            "removed; codes stay, and the next `xmodal index` on these folders makes them again",
            partial(_remove_features, encoder_id=space.id, ids=ids),
        )


def texts(session: Session) -> Iterator[Damage]:
    """The hash of every text is that of its words."""
    query = select(Item.id, Item.text, Item.content_hash).where(Item.kind == "text")
    rows = session.execute(query.execution_options(yield_per=CODING_BATCH))
    wrong = [item for item, text, digest in rows if not text or text_hash(text) != digest]
    if wrong:
        yield Damage(
            "text",
            len(wrong),
            f"{some(len(wrong), 'text')} with other words than were saved: item {wrong[0]}"
            + (" and others" if len(wrong) > 1 else ""),
            "keywords get their words back; captions stay as they read now, and the next `xmodal "
            "index` reads those of pictures again (name a captions file again with --captions)",
            partial(_mend_texts, wrong=wrong),
        )


def keyword_names(session: Session) -> Iterator[Damage]:
    """The name of a keyword is the text that it is searched by."""
    query = select(Keyword.id, Keyword.name, Item.content_hash)
    rows = session.execute(
        query.join(Item, Item.id == Keyword.text_item_id).execution_options(yield_per=CODING_BATCH)
    )
    wrong = [keyword for keyword, name, digest in rows if text_hash(name) != digest]
    if wrong:
        yield Damage(
            "keyword",
            len(wrong),
            f"{some(len(wrong), 'keyword')} with another name than the text that searches find",
            "the name becomes that text",
            partial(_rename_keywords, wrong=wrong),
        )


def _rename_keywords(database: Database, wrong: Sequence[int]) -> None:
    with database.transaction() as session:
        for batch in chunks(wrong):
            rows = session.execute(
                select(Keyword, Item.text)
                .join(Item, Item.id == Keyword.text_item_id)
                .where(Keyword.id.in_(batch))
            )
            for keyword, words in rows.all():
                try:
                    with session.begin_nested():
                        keyword.name = words or ""
                except IntegrityError:  # another keyword has that name: it is the better one
                    session.delete(keyword)


def _remove_features(database: Database, encoder_id: int, ids: Ids) -> None:
    with database.transaction() as session:
        delete_features(session, encoder_id, ids)


def _mend_texts(database: Database, wrong: Sequence[int]) -> None:
    with database.transaction() as session:
        for batch in chunks(wrong):
            named = select(Keyword).where(Keyword.text_item_id.in_(batch))
            keywords = {keyword.text_item_id: keyword for keyword in session.scalars(named)}
            for item in session.scalars(select(Item).where(Item.id.in_(batch))):
                _mend_text(session, item, keywords.get(item.id))


def _mend_text(session: Session, item: Item, keyword: Keyword | None) -> None:
    """Give a text the words of its keyword; without one make it what its words are now."""
    words = clean_text((keyword.name if keyword else item.text) or "")
    digest = text_hash(words)
    if digest == item.content_hash:
        item.text = words  # as it was: its feature is right
        return
    pictures = select(Caption.item_id).where(Caption.text_item_id == item.id)
    read_again(
        session, File.id, session.scalars(select(File.id).where(File.item_id.in_(pictures))).all()
    )
    other = session.scalar(select(Item.id).where(Item.kind == "text", Item.content_hash == digest))
    if keyword and other:
        keyword.text_item_id = other
        session.flush()
    if words and not other:
        item.text, item.content_hash = words, digest
        session.execute(delete(Feature).where(Feature.item_id == item.id))
    else:
        session.execute(delete(Item).where(Item.id == item.id))
