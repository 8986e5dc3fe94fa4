"""What a library can teach: features, captions and labels of its pictures, row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.encoders.base import Features, normalise
from xmodal.ingest.identity import text_hash
from xmodal.spaces.labels import PictureLabels
from xmodal.store.chunks import chunks
from xmodal.store.features import read_features
from xmodal.store.models import LIVE, Caption, Feature, File, Item

Ids = NDArray[np.int64]
EncodeTexts = Callable[[Sequence[str]], Features]

# Pictures that a code is learned from and judged on, those with labels first: more change neither
# measurably, and would not fit into memory.
MAX_PICTURES = 20_000
# Of one picture; more tell little that is new.
MAX_CAPTIONS = 5
# Pictures from which on learning takes longer than a user waits without a word.
MANY = 2_000


@dataclass(frozen=True)
class Rows:
    """Row i of ``images``, ``texts`` and ``labels`` is picture i.

    ``images`` float32 ``(n, dim)``. ``captions`` float32 ``(m, dim)`` belong to the pictures
    ``caption_of`` int64 ``(m,)``; ``texts`` ``(n, dim)`` is the mean of a picture's captions, NaN
    without any. ``labels`` float32 ``(n, c)`` is 0 or 1, a row of NaN where a picture has none of
    the labels ``names``; ``classes`` ``(c, dim)`` are the text features of these names.
    """

    images: Features
    captions: Features
    caption_of: Ids
    labels: NDArray[np.float32]
    classes: Features
    names: list[str]

    @property
    def texts(self) -> Features:
        total = np.zeros_like(self.images)
        np.add.at(total, self.caption_of, self.captions)
        total = normalise(total)
        total[~total.any(axis=1)] = np.nan
        return total

    @property
    def labelled(self) -> NDArray[np.bool_]:
        if not self.labels.shape[1]:
            return np.zeros(len(self.images), bool)
        return ~np.isnan(self.labels[:, 0])

    @property
    def captioned(self) -> NDArray[np.bool_]:
        return np.isin(np.arange(len(self.images)), self.caption_of)

    def texts_with(self, labels: NDArray[np.float32]) -> Features:
        """``texts``, and for a row without one the mean of the names of its ``labels``, if any."""
        texts = self.texts
        mute = np.isnan(texts[:, 0]) & ~np.isnan(labels).any(axis=1)
        texts[mute] = normalise(labels[mute] @ self.classes)
        texts[~texts.any(axis=1)] = np.nan
        return texts

    def part(self, rows: Ids) -> "Rows":
        """These rows (ascending) alone."""
        kept = np.isin(self.caption_of, rows)
        return Rows(
            self.images[rows],
            self.captions[kept],
            np.searchsorted(rows, self.caption_of[kept]),
            self.labels[rows],
            self.classes,
            self.names,
        )


def read_rows(
    session: Session, encoder_id: int, labels: PictureLabels, encode: EncodeTexts
) -> Rows:
    """Present pictures with a feature, at most ``MAX_PICTURES``, and what is said of them."""
    present = present_pictures(session, encoder_id)
    usable = labels.of(present)
    items = _chosen(present, np.unique(usable.items))
    matrix = np.zeros((len(items), len(usable.names)), np.float32)
    inside = np.isin(usable.items, items)
    matrix[np.searchsorted(items, usable.items[inside]), usable.columns[inside]] = 1
    matrix[~matrix.any(axis=1)] = np.nan
    images = read_features(session, encoder_id, items)
    captions, caption_of = read_captions_of(session, encoder_id, items)
    classes = text_features(session, encoder_id, usable.names, encode)
    if not len(classes):
        classes = np.empty((0, images.shape[1]), np.float32)
    return Rows(images, captions, caption_of, matrix, classes, usable.names)


def announce(rows: Rows, notify: Callable[[str], None]) -> None:
    """Tell whoever waits that learning from these rows takes a while, where it does."""
    if len(rows.images) >= MANY:
        notify(f"learning codes from {len(rows.images):,} pictures, a minute or more …")


def present_pictures(session: Session, encoder_id: int) -> Ids:
    """Ids of the pictures that a search may return, ascending; of each video the first frame.

    Its other frames resemble it: some would be asked about what others taught.
    """
    found = session.scalars(
        select(Feature.item_id)
        .where(Feature.encoder_id == encoder_id)
        .where(Feature.item_id.in_(select(File.item_id).where(File.state.in_(LIVE))))
        .order_by(Feature.item_id)
    )
    return np.fromiter(found, np.int64)


def read_captions_of(session: Session, encoder_id: int, items: Ids) -> tuple[Features, Ids]:
    """Features ``(m, dim)`` of the captions of ``items``, and the place ``(m,)`` of each one's."""
    pairs: list[tuple[int, int]] = []
    for chunk in chunks(items.tolist()):
        query = (
            select(Caption.item_id, Caption.text_item_id)
            .where(Caption.item_id.in_(chunk))
            .distinct()
            .order_by(Caption.item_id, Caption.text_item_id)
        )
        pairs += [(item, text) for item, text in session.execute(query)]
    found = np.array(pairs, np.int64).reshape(-1, 2)
    owner, text = np.searchsorted(items, found[:, 0]), found[:, 1]
    # The place of each caption among those of its picture.
    first = np.searchsorted(owner, owner)
    few = np.arange(len(owner)) - first < MAX_CAPTIONS
    owner, features = owner[few], read_features(session, encoder_id, text[few])
    there = ~np.isnan(features).any(axis=1)
    return features[there], owner[there]


def text_features(
    session: Session, encoder_id: int, texts: Sequence[str], encode: EncodeTexts
) -> Features:
    """Features ``(len(texts), dim)``: the library's own where it has the text, else encoded now."""
    hashes = [text_hash(text) for text in texts]
    known: dict[bytes, int] = {}
    for chunk in chunks(hashes):
        query = select(Item.content_hash, Item.id).where(
            Item.kind == "text", Item.content_hash.in_(chunk)
        )
        known |= {row[0]: row[1] for row in session.execute(query)}
    ids = np.array([known.get(digest, -1) for digest in hashes], np.int64)
    features = read_features(session, encoder_id, ids)
    missing = np.flatnonzero(np.isnan(features).any(axis=1))
    if len(missing):
        features[missing] = encode([texts[int(place)] for place in missing])
    return features


def _chosen(present: Ids, labelled: Ids) -> Ids:
    """At most ``MAX_PICTURES`` of the pictures, ascending; labelled ones first, else at random."""
    if len(present) <= MAX_PICTURES:
        return present
    rng = np.random.default_rng(0)
    others = np.setdiff1d(present, labelled)
    taken = rng.permutation(labelled)[:MAX_PICTURES]
    return np.sort(np.concatenate([taken, rng.permutation(others)[: MAX_PICTURES - len(taken)]]))
