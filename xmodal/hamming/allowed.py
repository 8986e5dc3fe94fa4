"""What a filter leaves of the codes to scan."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming.checks import as_bitmap, check_ids
from xmodal.hamming.engine import Chunk
from xmodal.hamming.ids import Ids

# A filter that leaves fewer than one code in so many has them copied out: reading the others to
# pass them over would cost more.
THIN = 16

Allowed = NDArray[np.int64] | NDArray[np.bool_]


def only_allowed(chunks: Iterable[Chunk], allowed: Allowed) -> Iterator[Chunk]:
    """The chunks cut down to the codes that are allowed, without those of which nothing is left.

    ``allowed`` is int64 ``(m,)``, ids in any order, or bool ``(m,)``, a bitmap by id; ids without a
    code are passed over. Raises CodesError for another shape or dtype.
    """
    bitmap = as_bitmap(allowed)
    if bitmap is not None:
        for chunk in chunks:
            cut = chunk.only(_picked(bitmap, chunk.ids))
            if len(cut):
                yield cut.compact() if THIN * len(cut) < len(cut.ids) else cut
        return
    wanted = np.unique(check_ids(allowed, "allowed"))
    for chunk in chunks:
        places, _ = chunk.locate(wanted)
        if len(places):
            yield _only_at(chunk, places)


def _picked(bitmap: NDArray[np.bool_], ids: Ids) -> NDArray[np.bool_]:
    """The bitmap's elements of ascending ``ids``; False behind its end."""
    if isinstance(ids, range):
        inside = bitmap[ids.start : ids.stop]
    else:
        inside = bitmap[ids[: int(np.searchsorted(ids, len(bitmap)))]]
    return np.pad(inside, (0, len(ids) - len(inside)))


def _only_at(chunk: Chunk, places: NDArray[np.intp]) -> Chunk:
    """The chunk with those codes alone that are allowed, at ascending ``places``."""
    if THIN * len(places) < len(chunk.ids):
        return chunk.at(places)
    keep = np.zeros(len(chunk.ids), dtype=bool)
    keep[places] = True
    return chunk.only(keep)
