"""``agh``: anchor graph hashing, a neighbourhood graph through a few hundred anchors."""

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.anchors import squared_distances
from xmodal.hashing.base import Modality
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.pooled import SampleSums
from xmodal.hashing.rotation import Doubles
from xmodal.hashing.streaming import StreamingHasher

# Rows of each modality that the anchors and the graph are made of.
GRAPH_ROWS = 10_000
KMEANS_ITERATIONS = 10


class AnchorGraphHashing(StreamingHasher):
    """Anchor graph hashing, one layer (Liu, Wang, Kumar & Chang, ICML 2011).

    A row is near its ``nearest`` anchors with weights z that sum to one (equation 2); the graph
    between rows is A = ZΛ⁻¹Zᵀ, Λ = diag(Zᵀ1), of low rank and never formed. Its eigenvectors
    without the constant one, Y = √n ZΛ^-½VΣ^-½, are the code (equation 6), and z(x) carries them to
    new rows, so that coding costs the same for any n.

    Parameters
    ----------
    anchors: how many, found by k-means; a code has at most ``anchors`` - 1 bits.
    nearest: how many of them a row is near to.
    """

    name = "agh"
    description = "no labels: eigenvectors of an anchor graph"
    nested = True
    needs_pairs = False
    needs_shared_space = True

    _sums: SampleSums
    anchors_: Floats
    weights_: Floats
    width_: float

    def __init__(self, bits: int = 64, seed: int = 0, anchors: int = 300, nearest: int = 5) -> None:
        super().__init__(bits, seed)
        self.anchors = anchors
        self.nearest = nearest

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> SampleSums:
        return SampleSums(self, GRAPH_ROWS)

    def _solve(self) -> None:
        rng = np.random.default_rng(self.seed)
        rows = self._sums.samples()
        count = min(self.anchors, len(rows))
        if not 1 <= self.nearest <= count:
            raise HasherError(f"nearest: expected 1 to {count} anchors, found {self.nearest}")
        if self.bits > count - 1:
            raise HasherError(
                f"bits: expected at most {count - 1}, one less than the anchors (at most one for "
                f"each row), found {self.bits}"
            )
        anchors = kmeans(rows, count, rng)
        nearest = np.sort(squared_distances(rows, anchors), axis=1)[:, : self.nearest]
        self.width_ = float(nearest[:, -1].mean()) or 1.0
        z = anchor_weights(rows, anchors, self.nearest, self.width_)
        scale = 1 / np.sqrt(np.maximum(z.sum(axis=0), 1e-12))
        values, vectors = np.linalg.eigh(scale[:, None] * (z.T @ z) * scale)
        order = np.argsort(values)[::-1][1 : self.bits + 1]
        values = np.maximum(values[order], 1e-12)
        weights = np.sqrt(len(rows)) * scale[:, None] * vectors[:, order] / np.sqrt(values)
        self.anchors_ = anchors.astype(np.float32)
        self.weights_ = weights.astype(np.float32)

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        centred = features.astype(np.float64) - self._mean(modality)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        rows = centred / np.where(norm > 0, norm, 1.0)
        return anchor_weights(rows, self.anchors_, self.nearest, self.width_) @ self.weights_


def anchor_weights(rows: Doubles, anchors: NDArray, nearest: int, width: float) -> Doubles:
    """Weights ``(n, anchors)`` of each row's nearest anchors, a Gaussian of the distance, sum 1."""
    distances = squared_distances(rows, anchors)
    chosen = np.argpartition(distances, nearest - 1, axis=1)[:, :nearest]
    near = np.take_along_axis(distances, chosen, axis=1)
    # Relative to the nearest one: a row far from all anchors would else have no weights at all.
    weights = np.exp(-(near - near.min(axis=1, keepdims=True)) / width)
    out = np.zeros_like(distances)
    np.put_along_axis(out, chosen, weights / weights.sum(axis=1, keepdims=True), axis=1)
    return out


def kmeans(rows: Doubles, count: int, rng: "np.random.Generator") -> Doubles:
    """``count`` centres ``(count, d)`` by Lloyd's iterations from random rows."""
    centres = rows[rng.choice(len(rows), count, replace=False)]
    for _ in range(KMEANS_ITERATIONS):
        nearest = squared_distances(rows, centres).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, rows)
        filled = sizes > 0  # a centre that lost all its rows stays where it is
        centres = np.where(filled[:, None], sums / np.maximum(sizes, 1)[:, None], centres)
    return centres
