"""``sh``: spectral hashing, a graph code whose graph is never built."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.base import Modality
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.pooled import NEGLIGIBLE, PooledSums
from xmodal.hashing.streaming import StreamingHasher

# Rows of each modality that tell the range of a component.
RANGE_ROWS = 20_000


class SpectralHashing(StreamingHasher):
    """Spectral hashing (Weiss, Torralba & Fergus, NIPS 2008).

    The graph Laplacian of all rows is replaced by its limit for uniformly spread data: along each
    principal direction of range R the eigenfunctions are cos(mπx/R), with eigenvalues that grow
    with m/R. The ``bits`` smoothest ones are the code: a wide direction gets several bits.
    """

    name = "sh"
    description = "no labels: spectral hashing, eigenfunctions along principal directions"
    nested = True
    needs_pairs = False
    needs_shared_space = True

    _sums: PooledSums
    directions_: Floats
    low_: Floats
    frequencies_: Floats

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> PooledSums:
        return PooledSums(self, RANGE_ROWS)

    def _solve(self) -> None:
        values, vectors = np.linalg.eigh(self._sums.both())
        kept = np.flatnonzero(values > NEGLIGIBLE * values[-1])[::-1][: self.bits]
        directions = vectors[:, kept]
        rows = self._sums.samples() @ directions
        low, high = rows.min(axis=0), rows.max(axis=0)
        chosen, frequencies = lowest_modes(high - low, self.bits)
        self.directions_ = directions[:, chosen].astype(np.float32)
        self.low_ = low[chosen].astype(np.float32)
        self.frequencies_ = frequencies.astype(np.float32)

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        centred = features.astype(np.float64) - self._mean(modality)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        along = centred / np.where(norm > 0, norm, 1.0) @ self.directions_
        return np.cos((along - self.low_) * self.frequencies_)


def lowest_modes(
    ranges: NDArray[np.floating], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which direction each of the ``count`` smoothest eigenfunctions runs along, and how fast.

    Returns directions int64 ``(count,)`` and frequencies mπ/R, ascending.

    >>> directions, frequencies = lowest_modes(np.array([4.0, 1.9]), 3)
    >>> directions.tolist(), (frequencies / np.pi).round(2).tolist()
    ([0, 0, 1], [0.25, 0.5, 0.53])
    """
    modes = np.arange(1, count + 1)
    frequencies = np.pi * modes[None, :] / ranges[:, None]
    order = np.argsort(frequencies, axis=None, kind="stable")[:count]
    return order // count, frequencies.ravel()[order]
