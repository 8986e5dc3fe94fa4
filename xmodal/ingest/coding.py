"""Keeping codes in step with what is live: pictures with a file, texts in use."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from xmodal.encoders.base import Features
from xmodal.store.features import read_features
from xmodal.store.segments import append_codes, delete_codes

Codes = NDArray[np.uint8]


class Coder(Protocol):
    """The fitted hasher of a library, with the id of its record."""

    @property
    def hasher_id(self) -> int: ...

    def encode_images(self, features: Features) -> Codes:
        """float32 ``(n, dim)`` → uint8 ``(n, bits // 8)``."""
        ...

    def encode_texts(self, features: Features) -> Codes:
        """float32 ``(n, dim)`` → uint8 ``(n, bits // 8)``."""
        ...


@dataclass(frozen=True, slots=True)
class CodeSpace:
    """Where a run writes: the features of one encoder and the codes of one hasher."""

    encoder_id: int
    coder: Coder


def update_codes(
    session: Session,
    space: CodeSpace,
    modality: str,
    before: Set[int],
    after: Set[int],
    new: Set[int] = frozenset(),
) -> None:
    """Give codes to the items that became live and take them from those that no longer are.

    ``before`` and ``after`` are the live ones of the items that a transaction touched; ``new``
    are those that got their first feature in it. Codes come from the stored features, so the
    same content has the same code whenever it was coded.
    """
    gone = before - after
    fresh = after & new
    back = after - before - new
    # Another feature space of the library may have let an item go without this hasher's codes.
    stale = gone | back
    if stale:
        delete_codes(session, space.coder.hasher_id, modality, item_ids(stale))
    wanted = item_ids(fresh | back)
    if not len(wanted):
        return
    features = read_features(session, space.encoder_id, wanted)
    there = ~np.isnan(features).any(axis=1)
    wanted, features = wanted[there], np.ascontiguousarray(features[there])
    if len(wanted):
        coder = space.coder
        encode = coder.encode_images if modality == "image" else coder.encode_texts
        append_codes(session, coder.hasher_id, modality, wanted, encode(features))


def item_ids(ids: Set[int]) -> NDArray[np.int64]:
    """Ids in ascending order, as the store takes them."""
    return np.array(sorted(ids), dtype=np.int64)
