"""What is written about pictures that were found: when they were taken, a caption, the keywords."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from xmodal.sources import CAPTIONS_FILE, METADATA
from xmodal.store.chunks import chunks
from xmodal.store.models import Caption, Capture, Frame, Item, ItemKeyword, Keyword

# Of several captions the first of the most trusted source is shown; a captions file was written
# for this library.
_TRUST = {source: place for place, source in enumerate((CAPTIONS_FILE, *METADATA))}


@dataclass(frozen=True, slots=True)
class Written:
    """What the library knows of one picture or video; ``taken`` is aware where a zone is known."""

    taken: datetime | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()


def written_about(session: Session, ids: Collection[int]) -> dict[int, Written]:
    """What is written about each of these pictures; that of a frame is its video's."""
    of = _told_by(session, ids)
    items = set(of.values())
    taken: dict[int, datetime] = {}
    captions: dict[int, tuple[int, int, str]] = {}
    keywords: dict[int, list[str]] = {}
    text = aliased(Item)
    for chunk in chunks(items):
        for item, clock, offset in session.execute(
            select(Capture.item_id, Capture.taken_at, Capture.taken_offset).where(
                Capture.item_id.in_(chunk)
            )
        ):
            if clock is not None:
                taken[item] = _aware(clock, offset)
        for item, source, number, words in session.execute(
            select(Caption.item_id, Caption.source, Caption.id, text.text)
            .join(text, text.id == Caption.text_item_id)
            .where(Caption.item_id.in_(chunk))
        ):
            told = _TRUST.get(source, len(_TRUST)), number, words or ""
            captions[item] = min(captions.get(item, told), told)
        for item, name in session.execute(
            select(ItemKeyword.item_id, Keyword.name)
            .join(Keyword, Keyword.id == ItemKeyword.keyword_id)
            .where(ItemKeyword.item_id.in_(chunk))
            .distinct()
            .order_by(Keyword.name)
        ):
            keywords.setdefault(item, []).append(name)
    return {
        item: Written(
            taken.get(first),
            captions[first][2] if first in captions else None,
            tuple(keywords.get(first, ())),
        )
        for item, first in of.items()
    }


def _told_by(session: Session, ids: Collection[int]) -> dict[int, int]:
    """The item that holds the facts of each: its own, or the first frame of its video."""
    of = {item: item for item in ids}
    for chunk in chunks(ids):
        rows = session.execute(
            select(Frame.item_id, Item.id)
            .join(Item, Item.content_hash == Frame.content_hash)
            .where(Frame.item_id.in_(chunk), Item.kind == "image")
        )
        of.update((frame, first) for frame, first in rows)
    return of


def _aware(clock: datetime, offset: int | None) -> datetime:
    if offset is None:
        return clock
    return clock.replace(tzinfo=timezone(timedelta(minutes=offset)))
