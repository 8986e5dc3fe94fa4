"""Captions and keywords of pictures in the library: what some sources said, replaced as a whole."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, insert, or_, select, tuple_
from sqlalchemy.orm import Session

from xmodal.ingest.coding import CodeSpace, update_codes
from xmodal.ingest.identity import clean_text, text_hash
from xmodal.store.chunks import chunks
from xmodal.store.models import Caption, Item, ItemKeyword, Keyword

KEYWORD, PERSON, PLACE = "keyword", "person", "place"


class Words(NamedTuple):
    """What sources say about pictures, which are named by their item ids.

    ``captions`` are (picture, text, source); ``keywords`` are the kinds of words by
    (picture, word, source).
    """

    captions: set[tuple[int, str, str]]
    keywords: dict[tuple[int, str, str], str]


def replace_words(
    session: Session,
    space: CodeSpace,
    pictures: Collection[int],
    sources: Collection[str],
    words: Words,
) -> tuple[int, int]:
    """Make ``words`` all that ``sources`` say about ``pictures``; returns (added, removed).

    Captions and keywords of other sources and other pictures stay. New texts have no feature
    yet; a text that nothing uses any more loses its code, and one that is used again regains it.
    """
    used = {text for _, text, _ in words.captions} | {word for _, word, _ in words.keywords}
    texts = _text_items(session, used)
    old, old_keywords = _captions(session, pictures, sources), _keywords(session, pictures, sources)
    touched = {text for _, text, _ in old} | set(texts.values())
    touched |= _texts_of_keywords(session, {keyword for _, keyword, _, _ in old_keywords})
    before = live_texts(session, touched)
    records = _keyword_records(session, {word for _, word, _ in words.keywords}, texts)
    new = {(i, texts[text], source) for i, text, source in words.captions}
    new_keywords = {
        (i, records[word], source, kind) for (i, word, source), kind in words.keywords.items()
    }
    _change_captions(session, old - new, new - old)
    _change_keywords(session, old_keywords - new_keywords, new_keywords - old_keywords)
    update_codes(session, space, "text", before, live_texts(session, touched))
    added = len(new - old) + len(new_keywords - old_keywords)
    return added, len(old - new) + len(old_keywords - new_keywords)


def live_texts(session: Session, items: Collection[int]) -> set[int]:
    """Those of the text ``items`` that are a caption or a keyword."""
    live: set[int] = set()
    for chunk in chunks(items):
        live |= set(session.scalars(select(Item.id).where(Item.id.in_(chunk), in_use(Item.id))))
    return live


def in_use(item_id: Any) -> Any:
    """The condition that a text item is a caption or a keyword."""
    return or_(
        exists().where(Caption.text_item_id == item_id),
        exists().where(Keyword.text_item_id == item_id),
    )


def no_picture_has() -> Any:
    """The condition that a keyword is one of no picture."""
    return ~exists().where(ItemKeyword.keyword_id == Keyword.id)


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


def _captions(
    session: Session, pictures: Collection[int], sources: Collection[str]
) -> set[tuple[int, int, str]]:
    """(picture, text, source) of the captions that ``sources`` gave to ``pictures``."""
    found: set[tuple[int, int, str]] = set()
    for chunk in chunks(pictures):
        query = select(Caption.item_id, Caption.text_item_id, Caption.source).where(
            Caption.source.in_(sources), Caption.item_id.in_(chunk)
        )
        found |= {(picture, text, source) for picture, text, source in session.execute(query)}
    return found


def _keywords(
    session: Session, pictures: Collection[int], sources: Collection[str]
) -> set[tuple[int, int, str, str]]:
    """(picture, keyword, source, kind) of the keywords that ``sources`` gave to ``pictures``."""
    found: set[tuple[int, int, str, str]] = set()
    columns = ItemKeyword.item_id, ItemKeyword.keyword_id, ItemKeyword.source, ItemKeyword.kind
    for chunk in chunks(pictures):
        query = select(*columns).where(
            ItemKeyword.source.in_(sources), ItemKeyword.item_id.in_(chunk)
        )
        found |= {(i, keyword, source, kind) for i, keyword, source, kind in session.execute(query)}
    return found


def _texts_of_keywords(session: Session, keywords: Collection[int]) -> set[int]:
    found: set[int] = set()
    for chunk in chunks(keywords):
        found |= set(session.scalars(select(Keyword.text_item_id).where(Keyword.id.in_(chunk))))
    return found


def _change_captions(
    session: Session,
    removed: Collection[tuple[int, int, str]],
    added: Collection[tuple[int, int, str]],
) -> None:
    for chunk in chunks(removed):
        session.execute(
            delete(Caption)
            .where(tuple_(Caption.item_id, Caption.text_item_id, Caption.source).in_(chunk))
            .execution_options(synchronize_session=False)
        )
    if added:
        rows = [{"item_id": i, "text_item_id": t, "source": s} for i, t, s in sorted(added)]
        session.execute(insert(Caption), rows)


def _change_keywords(
    session: Session,
    removed: Collection[tuple[int, int, str, str]],
    added: Collection[tuple[int, int, str, str]],
) -> None:
    key = tuple_(ItemKeyword.item_id, ItemKeyword.keyword_id, ItemKeyword.source)
    for chunk in chunks({(i, keyword, source) for i, keyword, source, _ in removed}):
        session.execute(
            delete(ItemKeyword).where(key.in_(chunk)).execution_options(synchronize_session=False)
        )
    if added:
        rows = [
            {"item_id": i, "keyword_id": k, "source": source, "kind": kind}
            for i, k, source, kind in sorted(added)
        ]
        session.execute(insert(ItemKeyword), rows)
    # A keyword that no picture has any more would still answer searches.
    for unused in chunks({keyword for _, keyword, _, _ in removed}):
        session.execute(
            delete(Keyword)
            .where(Keyword.id.in_(unused))
            .where(no_picture_has())
            .execution_options(synchronize_session=False)
        )
