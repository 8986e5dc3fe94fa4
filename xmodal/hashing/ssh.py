"""``ssh`` and ``splh``: semi-supervised hashing, all bits at once or in sequence."""

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.base import LinearHasher
from xmodal.hashing.checks import Floats
from xmodal.hashing.itq import unit_rows
from xmodal.hashing.pooled import Pooled
from xmodal.hashing.rotation import Doubles

# What all rows' variance counts beside the labelled pairs' agreement, both terms of trace 1.
ETA = 0.5
# SPLH compares labelled rows in pairs; as in its paper, a sample of at most this many.
LABELLED_ROWS = 1_000
STEP = 0.5


class SSH(LinearHasher):
    """Semi-supervised hashing (Wang, Kumar & Chang, CVPR 2010), all directions at once.

    The leading eigenvectors of M = XlᵀSXl + η XᵀX (equation 10): labelled rows that share a label
    shall agree, those that do not shall differ, and all rows, labelled or not, shall be spread. For
    S = 2GGᵀ − 11ᵀ, G the labels with rows of unit length, the first term is two small products.
    Images and texts are rows of one shared space, each centred by its own mean.
    """

    name = "ssh"
    description = "labels, also few: semi-supervised hashing, all bits at once"
    needs_labels = True
    needs_shared_space = True

    def __init__(self, bits: int = 64, seed: int = 0, eta: float = ETA) -> None:
        super().__init__(bits, seed)
        self.eta = eta

    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        if not 0 < self.eta < np.inf:
            raise HasherError(f"eta: expected a number above 0, found {self.eta!r}")
        dim = images.shape[1]
        if self.bits > dim:
            raise HasherError(
                f"bits: expected at most {dim}, the dimensions of the features, since {self.name} "
                f"gives each direction one bit; found {self.bits}"
            )
        pooled = Pooled.of(images, texts)
        self.image_mean_, self.text_mean_ = pooled.image_mean, pooled.text_mean
        rows, known = self._labelled(images, texts, labels)
        spread = self.eta * pooled.covariance / np.trace(pooled.covariance)
        projection = self._directions(rows, known, spread).astype(np.float32)
        self.image_projection_ = self.text_projection_ = projection

    def _labelled(self, images: Floats, texts: Floats, labels: Floats) -> tuple[Doubles, Doubles]:
        """Labelled rows of both modalities, centred ``(m, d)``, and their labels ``(m, c)``."""
        rows, known = [], []
        parts = ((images, self.image_mean_), (texts, self.text_mean_))
        for features, mean in parts:
            chosen = ~np.isnan(features[:, 0]) & ~np.isnan(labels[:, 0])
            rows.append(unit_rows(features[chosen] - mean))
            known.append(labels[chosen].astype(np.float64))
        return np.vstack(rows), np.vstack(known)

    def _directions(self, rows: Doubles, labels: Doubles, spread: Doubles) -> Doubles:
        g = unit_rows(labels)
        one = rows.sum(axis=0)
        agreement = 2 * (rows.T @ g) @ (rows.T @ g).T - np.outer(one, one)
        return _leading(_scaled(agreement) + spread, self.bits)


class SPLH(SSH):
    """Sequential projection learning (Wang, Kumar & Chang, ICML 2010): bits that mend errors.

    After a direction w, pairs whose sign it got wrong are given more weight: with S̃ = XlwwᵀXlᵀ,
    S ← S − α T(S̃, S), where T keeps the entries of S̃ whose sign is not that of S; and w's part is
    taken out of the rows, X ← X − Xwwᵀ (algorithm 1). S is between at most ``LABELLED_ROWS`` rows.
    """

    name = "splh"
    description = "labels, also few: semi-supervised hashing in sequence"

    def _directions(self, rows: Doubles, labels: Doubles, spread: Doubles) -> Doubles:
        if len(rows) > LABELLED_ROWS:
            rng = np.random.default_rng(self.seed)
            chosen = np.sort(rng.choice(len(rows), LABELLED_ROWS, replace=False))
            rows, labels = rows[chosen], labels[chosen]
        g = unit_rows(labels)
        similar = 2 * g @ g.T - 1
        rows, spread = rows.copy(), spread.copy()
        found = np.empty((rows.shape[1], self.bits))
        for bit in range(self.bits):
            w = _leading(_scaled(rows.T @ similar @ rows) + spread, 1)[:, 0]
            found[:, bit] = w
            along = rows @ w
            agreed = np.outer(along, along)
            agreed /= np.abs(agreed).max() or 1.0
            similar -= STEP * np.where(agreed * similar < 0, agreed, 0.0)
            rows -= np.outer(along, w)
            spread -= np.outer(w, w @ spread)
            spread -= np.outer(spread @ w, w)
        return found


def _leading(matrix: Doubles, count: int) -> Doubles:
    _, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return vectors[:, ::-1][:, :count]


def _scaled(matrix: Doubles) -> Doubles:
    """The matrix over the sum of its singular values: comparable with a covariance of trace 1."""
    return matrix / (np.linalg.norm(matrix, "nuc") or 1.0)
