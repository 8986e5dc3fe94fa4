"""How a result came to its place, in words that a user can check."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.query.search import Found
from xmodal.query.terms import folded
from xmodal.results import Explanation
from xmodal.store.chunks import chunks
from xmodal.store.models import Caption, Frame, Item, ItemKeyword, Keyword


def explain(session: Session, rows: Sequence[Found]) -> dict[int, Explanation]:
    """The explanations of those pictures that were compared with something."""
    traced = [(found.id, trace) for found in rows if (trace := found.trace) is not None]
    texts = _texts(session, [item for item, _ in traced])
    found: dict[int, Explanation] = {}
    for item, trace in traced:
        asked = [meaning.source for meaning in trace.meanings if meaning.modality == "text"]
        stages, row = trace.stages, trace.row
        semantic, features = stages.semantic, stages.by_features
        found[item] = Explanation(
            None if semantic is None else int(semantic[row]),
            int(stages.instance[row]),
            int(stages.by_code[row]),
            int(stages.by_weights[row]),
            None if features is None else int(features[row]),
            stages.shortlist,
            matching(asked, texts.get(item, ())),
            trace.terms,
            trace.alternatives,
        )
    return found


def matching(asked: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Those texts that have all words of anything asked for, or that are in it with all of theirs.

    >>> matching(["a golden retriever"], ["Retriever", "Golden Retriever", "a red dog", "gold"])
    ['Retriever', 'Golden Retriever']
    >>> matching(["dog"], ["dogs", "our dog on the beach"])
    ['our dog on the beach']
    """
    wanted = [words for text in asked if (words := _words(text))]

    def matches(text: str) -> bool:
        words = _words(text)
        return bool(words) and any(words <= each or each <= words for each in wanted)

    return [text for text in texts if matches(text)]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", folded(text)))


def _texts(session: Session, ids: Collection[int]) -> dict[int, list[str]]:
    """Keywords, then captions of pictures; of a frame, those of its video."""
    owners: dict[int, list[int]] = {item: [item] for item in ids}
    for chunk in chunks(ids):
        videos = (
            select(Item.id, Frame.item_id)
            .join(Frame, Frame.content_hash == Item.content_hash)
            .where(Frame.item_id.in_(chunk), Item.kind == "image")
        )
        for video, frame in session.execute(videos):
            if video != frame:
                owners.setdefault(video, []).append(frame)
    found: dict[int, list[str]] = {}
    for chunk in chunks(owners):
        keywords = (
            select(ItemKeyword.item_id, Keyword.name)
            .join(Keyword, Keyword.id == ItemKeyword.keyword_id)
            .where(ItemKeyword.item_id.in_(chunk))
            .order_by(Keyword.name)
        )
        captions = (
            select(Caption.item_id, Item.text)
            .join(Item, Item.id == Caption.text_item_id)
            .where(Caption.item_id.in_(chunk))
            .order_by(Item.text)
        )
        for query in (keywords, captions):
            for owner, text in session.execute(query):
                for item in owners[owner]:
                    told = found.setdefault(item, [])
                    if text not in told:  # several sources may have said it
                        told.append(cast(str, text))
    return found
