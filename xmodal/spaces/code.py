"""Which code a library uses: the fitted hasher of a feature space, and its replacement.

A library answers from its first picture on: before anything of its own is there, the ``itq`` code
is fitted on the encoder's background (everyday words and the sample pictures). It is fitted again
as the library grows, until ``train`` puts a supervised code in its place. A replacement is complete
before a search sees it, and a killed one leaves only a row that the next writer removes.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from xmodal.encoders.background import Background
from xmodal.encoders.base import Features
from xmodal.hashing import Hasher, create_hasher, load_hasher
from xmodal.store.database import Database
from xmodal.store.features import iter_features, read_features
from xmodal.store.models import LIVE, Caption, Feature, File, HasherRecord, Item, Keyword
from xmodal.store.segments import SEGMENT_CODES, append_codes
from xmodal.store.shown import shown

DEFAULT_BITS = 128
# Beyond this many pictures a rotation of at most 1024 bits no longer changes measurably.
FIT_SAMPLE = 20_000
# Features in memory at a time while a library is coded: 25 MB of 768 dimensions.
CODING_BATCH = 8_192


@dataclass(frozen=True)
class ActiveCode:
    """The code in use for one encoder: what the pipeline and the searches need of it."""

    hasher_id: int
    name: str
    hasher: Hasher
    trained_on: dict[str, Any]

    def encode_images(self, features: Features) -> NDArray[np.uint8]:
        return self.hasher.encode_images(features)

    def encode_texts(self, features: Features) -> NDArray[np.uint8]:
        return self.hasher.encode_texts(features)


def active_code(session: Session, encoder_id: int) -> ActiveCode | None:
    """The code that searches in this feature space use, or None in a new space."""
    record = session.scalar(
        select(HasherRecord).where(
            HasherRecord.encoder_id == encoder_id, HasherRecord.state == "active"
        )
    )
    if record is None:
        return None
    hasher = load_hasher(io.BytesIO(record.blob))
    return ActiveCode(record.id, record.name, hasher, record.trained_on)


def ensure_code(
    database: Database, encoder_id: int, load_background: Callable[[], Background]
) -> ActiveCode:
    """The active code; in a new feature space one fitted on the background alone."""
    discard_unfinished(database, encoder_id)
    with database.session() as session:
        code = active_code(session, encoder_id)
    if code is not None:
        return code
    return first_code(database, encoder_id, load_background())


def first_code(
    database: Database, encoder_id: int, background: Background, bits: int = DEFAULT_BITS
) -> ActiveCode:
    """A new ``itq`` code, fitted on the background alone, in place of any that is there."""
    hasher = create_hasher("itq", bits=bits)
    hasher.fit(background.picture_features, background.word_features)
    return replace_code(database, encoder_id, hasher, "itq", trained_on={"pictures": 0})


def renew_code(
    database: Database,
    encoder_id: int,
    code: ActiveCode,
    load_background: Callable[[], Background],
) -> ActiveCode:
    """The ``itq`` code fitted again when the library has doubled; any other code is kept."""
    if code.name != "itq":
        return code
    fitted_on = int(code.trained_on.get("pictures", 0))
    if fitted_on >= FIT_SAMPLE:
        return code
    with database.session() as session:
        pictures = count_features(session, encoder_id, "image")
        if pictures < max(2 * fitted_on, 8):
            return code
        images = sample_features(session, encoder_id, "image")
        texts = sample_features(session, encoder_id, "text")
    background = load_background()
    hasher = create_hasher("itq", bits=code.hasher.bits)
    hasher.fit(
        np.concatenate([background.picture_features, images]),
        np.concatenate([background.word_features, texts]),
    )
    return replace_code(database, encoder_id, hasher, "itq", trained_on={"pictures": pictures})


def replace_code(
    database: Database,
    encoder_id: int,
    hasher: Hasher,
    name: str,
    *,
    trained_on: dict[str, Any],
    quality: dict[str, Any] | None = None,
) -> ActiveCode:
    """Code everything with ``hasher``, then make it the active one in a single transaction.

    Until that transaction commits, searches read the old code; after it, only the new one.
    """
    blob = io.BytesIO()
    hasher.save(blob)
    with database.transaction() as session:
        record = HasherRecord(
            encoder_id=encoder_id,
            name=name,
            bits=hasher.bits,
            blob=blob.getvalue(),
            trained_on=trained_on,
            quality=quality or {},
        )
        session.add(record)
        session.flush()
        hasher_id = record.id
    for modality in ("image", "text"):
        for ids, codes in _codes(database, encoder_id, hasher, modality):
            with database.transaction() as session:
                append_codes(session, hasher_id, modality, ids, codes)
    with database.transaction() as session:
        session.execute(
            delete(HasherRecord).where(
                HasherRecord.encoder_id == encoder_id, HasherRecord.id != hasher_id
            )
        )
        session.get_one(HasherRecord, hasher_id).state = "active"
    return ActiveCode(hasher_id, name, hasher, trained_on)


def discard_unfinished(database: Database, encoder_id: int) -> None:
    """Remove replacements that were killed before they were complete."""
    unfinished = (HasherRecord.encoder_id == encoder_id, HasherRecord.state == "building")
    with database.session() as session:
        if session.scalar(select(HasherRecord.id).where(*unfinished).limit(1)) is None:
            return
    with database.transaction() as session:
        session.execute(delete(HasherRecord).where(*unfinished))


def live_items(session: Session, modality: str, first: int, last: int) -> NDArray[np.int64]:
    """Ids from ``first`` to ``last`` of the items that a search may return, some repeated."""
    if modality == "image":
        queries = [
            query.where(item_id.between(first, last), File.state.in_(LIVE))
            for item_id, query in shown()
        ]
    else:
        columns = Caption.text_item_id, Keyword.text_item_id
        queries = [select(column).where(column.between(first, last)) for column in columns]
    return np.concatenate([np.fromiter(session.scalars(query), np.int64) for query in queries])


def count_features(session: Session, encoder_id: int, kind: str) -> int:
    """How many items of a kind have a feature in this space."""
    query = (
        select(func.count())
        .select_from(Feature)
        .join(Item, Item.id == Feature.item_id)
        .where(Feature.encoder_id == encoder_id, Item.kind == kind)
    )
    return session.scalar(query) or 0


def feature_ids(session: Session, encoder_id: int, kind: str) -> NDArray[np.int64]:
    """Ids, ascending, of the items of a kind that have a feature in this space."""
    query = (
        select(Feature.item_id)
        .join(Item, Item.id == Feature.item_id)
        .where(Feature.encoder_id == encoder_id, Item.kind == kind)
        .order_by(Feature.item_id)
    )
    return np.fromiter(session.scalars(query), np.int64)


def sample_features(
    session: Session, encoder_id: int, kind: str, most: int = FIT_SAMPLE
) -> Features:
    """At most ``most`` features of a kind, the same ones for the same library."""
    ids = feature_ids(session, encoder_id, kind)
    if len(ids) > most:
        ids = np.sort(np.random.default_rng(0).choice(ids, most, replace=False))
    return read_features(session, encoder_id, ids)


def _codes(
    database: Database, encoder_id: int, hasher: Hasher, modality: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
    """Codes of what a search may return, as many at a time as fill a segment."""
    encode = hasher.encode_images if modality == "image" else hasher.encode_texts
    waiting: list[tuple[NDArray[np.int64], NDArray[np.uint8]]] = []
    count = 0
    for ids, features in _live_features(database, encoder_id, modality):
        waiting.append((ids, encode(features)))
        count += len(ids)
        if count > SEGMENT_CODES - CODING_BATCH:
            yield _joined(waiting)
            waiting, count = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(
    parts: list[tuple[NDArray[np.int64], NDArray[np.uint8]]],
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    ids, codes = zip(*parts, strict=True)
    return np.concatenate(ids), np.concatenate(codes)


def _live_features(
    database: Database, encoder_id: int, modality: str
) -> Iterator[tuple[NDArray[np.int64], Features]]:
    """Features of what a search may return: pictures with a present file, texts in use."""
    with database.session() as session:
        for ids, features in iter_features(session, encoder_id, modality, CODING_BATCH):
            live = live_items(session, modality, int(ids[0]), int(ids[-1]))
            keep = np.isin(ids, live)
            if keep.any():
                yield ids[keep], features[keep]
