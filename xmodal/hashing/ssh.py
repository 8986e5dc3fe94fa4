"""``ssh`` and ``splh``: semi-supervised hashing, all bits at once or in sequence."""

import numpy as np

from xmodal.errors import HasherError
from xmodal.hashing.base import MODALITIES, Hasher
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.chunks import RowNumbers, float_rows, in_order, rows_with_all, slices
from xmodal.hashing.moments import Reservoir
from xmodal.hashing.pooled import PooledSums, inverse_length
from xmodal.hashing.rotation import Doubles, unit_rows
from xmodal.hashing.streaming import LinearHasher

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
    nested = True
    needs_labels = True
    needs_shared_space = True

    _sums: "LabelledSums"

    def __init__(self, bits: int = 64, seed: int = 0, eta: float = ETA) -> None:
        super().__init__(bits, seed)
        self.eta = eta

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> "LabelledSums":
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        if not 0 < self.eta < np.inf:
            raise HasherError(f"eta: expected a number above 0, found {self.eta!r}")
        dim = images.shape[1]
        if self.bits > dim:
            raise HasherError(
                f"bits: expected at most {dim}, the dimensions of the features, since {self.name} "
                f"gives each direction one bit; found {self.bits}"
            )
        return LabelledSums(self, labels.shape[1])

    def _solve(self) -> None:
        spread = self._sums.both()
        spread *= self.eta / np.trace(spread)
        projection = self._directions(spread).astype(np.float32)
        self.image_projection_ = self.text_projection_ = projection

    def _directions(self, spread: Doubles) -> Doubles:
        of_labels, of_rows = self._sums.agreement()
        agreement = 2 * of_labels @ of_labels.T - np.outer(of_rows, of_rows)
        return _leading(_scaled(agreement) + spread, self.bits)


class LabelledSums(PooledSums):
    """Covariances of all rows; what labelled ones have to do with their labels, and a sample."""

    def __init__(self, hasher: Hasher, classes: int) -> None:
        super().__init__(hasher)
        # Of each modality [x 1]ᵀ[g 1], rows x and labels g, over the rows' lengths once centred.
        shape = (len(hasher.image_mean_) + 1, classes + 1)
        self._products = {m: np.zeros(shape) for m in MODALITIES}
        self._labelled = {m: Reservoir(LABELLED_ROWS // 2, hasher.seed) for m in MODALITIES}

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        super().add(images, texts, labels)
        for modality, features in zip(MODALITIES, (images, texts), strict=True):
            numbers = rows_with_all(features, labels)
            self._labelled[modality].add(numbers, features, labels)
            mean = self._hasher._mean(modality)

            def product(rows: RowNumbers, values: Reals = features, mean: Floats = mean) -> Doubles:
                x = float_rows(values, rows).astype(np.float64)
                one = inverse_length(x - mean)[:, None]
                g = unit_rows(float_rows(labels, rows))
                return np.hstack([one * x, one]).T @ np.hstack([g, np.ones_like(one)])

            parts = (numbers[part] for part in slices(len(numbers)))
            for found in in_order(product, parts):
                self._products[modality] += found

    def agreement(self) -> tuple[Doubles, Doubles]:
        """XlᵀG ``(d, c)`` and Xlᵀ1 ``(d,)`` of the labelled rows of both modalities."""
        one, other = (
            products[:-1] - np.outer(self._hasher._mean(modality), products[-1])
            for modality, products in self._products.items()
        )
        return (one + other)[:, :-1], (one + other)[:, -1]

    def labelled(self) -> tuple[Doubles, Doubles]:
        """Sampled labelled rows of both modalities ``(m, d)`` and their labels ``(m, c)``."""
        kept = [self._labelled[m].arrays for m in MODALITIES]
        means = [self._hasher._mean(m) for m in MODALITIES]
        rows = [unit_rows(x - mean) for (x, _), mean in zip(kept, means, strict=True)]
        return np.vstack(rows), np.vstack([unit_rows(labels) for _, labels in kept])


class SPLH(SSH):
    """Sequential projection learning (Wang, Kumar & Chang, ICML 2010): bits that mend errors.

    After a direction w, pairs whose sign it got wrong are given more weight: with S̃ = XlwwᵀXlᵀ,
    S ← S − α T(S̃, S), where T keeps the entries of S̃ whose sign is not that of S; and w's part is
    taken out of the rows, X ← X − Xwwᵀ (algorithm 1). S is between at most ``LABELLED_ROWS`` rows.
    """

    name = "splh"
    description = "labels, also few: semi-supervised hashing in sequence"

    def _directions(self, spread: Doubles) -> Doubles:
        rows, g = self._sums.labelled()
        similar = 2 * g @ g.T - 1
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
