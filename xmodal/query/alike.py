"""Which pictures are versions of one: near duplicates by their features, bursts by time as well.

Versions of a picture (resized, encoded again, cropped a little, brighter) have features that are
almost equal. How nearly is measured on photographs by ``benchmarks/duplicates.py``; docs/query.md
has the figures. Groups are stars: each picture of a group is like its first, and no chain of small
steps joins what is not alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.base import Features, normalise

# Fisher's z of the centred cosine from which two pictures are versions of one: a cosine of .905.
NEAR = 1.5
# … and from which they are shots of one burst, if they were taken within these seconds: .762.
BURST = 1.0
BURST_SECONDS = 3.0
# Codes farther apart than this share of their bits are not looked at.
RADIUS = 0.22
_NEAR_COSINE, _BURST_COSINE = np.tanh([NEAR, BURST])
_ROWS = 512

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Looks:
    """What tells pictures apart: ``features`` ``(n, dim)``, centred, of length 1 and of any float
    type, NaN where none is kept; ``runs`` int64 ``(n,)``, the number of a run of shots, or -1."""

    features: NDArray[np.floating]
    runs: NDArray[np.int64]

    @classmethod
    def of(cls, features: Features, mean: Features, shots: Sequence["Shot | None"]) -> "Looks":
        """From features as they are kept, the mean of pictures, and when each was taken."""
        return cls(normalise(features - mean), runs_of(shots))

    def alike(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> Flags:
        """Whether pictures ``first`` and ``second``, both ``(m,)``, are versions of one."""
        pairs = (self.features[places].astype(np.float32) for places in (first, second))
        cosines = np.einsum("md,md->m", *pairs)
        return self._judged(cosines, self.runs[first], self.runs[second])

    def leaders(self) -> NDArray[np.intp]:
        """For each picture the first of its group, int ``(n,)``: the first picture before it that
        begins a group and is like it, or else itself."""
        n = len(self.features)
        leader = np.arange(n)
        begins = np.ones(n, dtype=bool)
        for start in range(0, n, _ROWS):
            rows = slice(start, min(start + _ROWS, n))
            cosines = self.features[rows] @ self.features[: rows.stop].T
            near = self._judged(cosines, self.runs[rows, None], self.runs[None, : rows.stop])
            for place, alike in enumerate(near, start=start):
                before = np.flatnonzero(alike[:place] & begins[:place])
                if len(before):
                    leader[place], begins[place] = before[0], False
        return leader

    def _judged(
        self, cosines: NDArray[np.floating], runs: NDArray[np.int64], others: NDArray[np.int64]
    ) -> Flags:
        burst = (runs == others) & (runs >= 0) & (cosines >= _BURST_COSINE)
        return np.asarray((cosines >= _NEAR_COSINE) | burst)


@dataclass(frozen=True, slots=True)
class Shot:
    """When and with what a picture was taken."""

    camera: str | None
    taken: datetime


def runs_of(shots: Sequence[Shot | None]) -> NDArray[np.int64]:
    """The runs of shots of one camera that follow one another within ``BURST_SECONDS``.

    Returns int64 ``(n,)``: equal numbers for shots of one run, -1 for what has no time.

    >>> at = lambda second: Shot("x", datetime(2024, 5, 1, 12, 0, second))
    >>> runs_of([at(0), at(9), None, at(2)]).tolist()
    [0, 1, -1, 0]
    """
    runs = np.full(len(shots), -1, dtype=np.int64)
    timed = [(shot.camera or "", shot.taken, place) for place, shot in enumerate(shots) if shot]
    number, before = -1, ("", datetime.min)
    for camera, taken, place in sorted(timed):
        if camera != before[0] or taken - before[1] > timedelta(seconds=BURST_SECONDS):
            number += 1
        runs[place] = number
        before = camera, taken
    return runs
