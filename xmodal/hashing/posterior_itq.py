"""``posterior-itq``: the supervised default, a code of how probable each label is."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.base import MODALITIES, Modality
from xmodal.hashing.calibration import calibrate, sigmoid
from xmodal.hashing.checks import Floats, Reals, check_enough_labelled, check_ridge
from xmodal.hashing.chunks import RowNumbers, float_rows, rows_with_all
from xmodal.hashing.features import FeatureHasher
from xmodal.hashing.moments import Moments, Reservoir
from xmodal.hashing.ridge import RidgeSums, equal_rows
from xmodal.hashing.rotation import Doubles, itq_rotation, principal_axes, unit_rows

# Candidates for the ridge, for features of unit variance.
RIDGES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0)
# Labelled rows of each modality that calibrate the probabilities and turn the code.
SAMPLE_ROWS = 5_000
# More equal rows than one picture has captions are not that picture again and again.
MOST_CAPTIONS = 16
# The least slope of a probability: scores of rows left out may say the opposite, by chance or where
# every row has copies, but never what is likely.
FLATTEST = 0.01
# Ridge of the map from bits back to probabilities, a share of the rows.
DECODING_RIDGE = 0.1


class PosteriorITQ(FeatureHasher):
    """Probabilities of the labels in each modality, then the rotation of ITQ on them.

    Two items share a label as likely as their probabilities agree, so these are what a semantic
    code must keep:

    * a ridge regression on the labels gives every class a score. The ridge is the one whose scores
      of rows left out are nearest to their labels, in closed form;
    * Platt scaling of the scores of rows left out makes probabilities p of them. The curve matters:
      a score says how sure one may be, and half sure is not half as relevant as sure;
    * p, as a row of unit length, is centred and turned like the rows of ``itq`` (Gong & Lazebnik,
      CVPR 2011); for more bits than classes by a tight frame. Both modalities have one rotation.

    A query weighs bits by its own p, through the map that best tells p from bits.
    Rows without labels only tell the means; a row that lacks one modality teaches the other.

    Parameters
    ----------
    bits, seed, features, anchors: as in every :class:`FeatureHasher`.
    ridge: ξ of the ridge; None decides as above.

    >>> rng = np.random.default_rng(0)
    >>> labels = np.eye(4)[rng.integers(4, size=200)]
    >>> images, texts = labels @ rng.normal(size=(4, 32)), labels @ rng.normal(size=(4, 16))
    >>> hasher = PosteriorITQ(bits=16).fit(images, texts, labels)
    >>> bool((hasher.encode_images(images) == hasher.encode_texts(texts)).all())
    True
    """

    name = "posterior-itq"
    description = "labels: calibrated probabilities of each label, then the rotation of ITQ"
    needs_labels = True
    feature_weight = 0.5

    image_centre_: Doubles
    text_centre_: Doubles
    rotation_: Doubles
    decoding_: Doubles
    _sums: "LabelSums"

    def __init__(
        self,
        bits: int = 64,
        seed: int = 0,
        features: str = "linear",
        anchors: int = 500,
        ridge: float | None = None,
    ) -> None:
        super().__init__(bits, seed, features, anchors)
        self.ridge = ridge

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> "LabelSums":
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        check_ridge(self.ridge, none=True)
        check_enough_labelled(images, texts, labels, self.bits)
        self._choose_features(images, texts, np.random.default_rng(self.seed))
        return LabelSums(self, labels.shape[1])

    def _solve(self) -> None:
        rows = []
        for modality in MODALITIES:
            self._learn_probabilities(modality)
            likely = self._probabilities(self._sums.sample(modality)[0], modality)
            setattr(self, f"{modality}_centre_", likely.mean(axis=0))
            rows.append(unit_rows(likely - likely.mean(axis=0)))
        both = np.vstack(rows)
        weights = np.concatenate([np.full(len(part), 1 / len(part)) for part in rows])
        axes = principal_axes(both.T @ (weights[:, None] * both), self.bits)
        rng = np.random.default_rng(self.seed)
        self.rotation_ = axes @ itq_rotation(unit_rows(both @ axes), weights, self.bits, rng)
        signs = np.where(both @ self.rotation_ > 0, 1.0, -1.0)
        gram = signs.T @ signs + DECODING_RIDGE * len(signs) * np.eye(self.bits)
        self.decoding_ = np.asarray(np.linalg.solve(gram, signs.T @ both).T, np.float64)

    def _learn_probabilities(self, modality: Modality) -> None:
        """From the sums of a modality the map from features to logits of probabilities."""
        sums = self._sums.ridge[modality]
        features, labels = self._sums.sample(modality)
        seen = self.map(features, modality).astype(np.float64)
        known: Doubles = labels.astype(np.float64)
        ridges = RIDGES if self.ridge is None else (self.ridge,)
        best, scores, chosen = np.inf, known, ridges[0]
        centred = known - known.mean(axis=0)
        copies = _copies(features) if modality == "image" else None
        left_out = sums.left_out(seen, known, ridges, copies)
        for ridge, found in zip(ridges, left_out, strict=True):
            error = float(((found - centred) ** 2).mean())
            if error < best:
                best, scores, chosen = error, found, ridge
        spread = scores.std(axis=0)
        scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1.0), 0.0)
        slopes, offsets = calibrate((scores * scale)[:, :, None], known)
        ((matrix, offset),) = sums.solve(chosen)
        steep: Doubles = scale * np.maximum(slopes[:, 0], FLATTEST)
        self._adopt(modality, matrix * steep, offset * steep + offsets)

    def _probabilities(self, features: Floats, modality: Modality) -> Doubles:
        """Of each class ``(n, classes)``, rows of unit length."""
        return unit_rows(
            sigmoid(super()._project(features, modality).astype(np.float64, copy=False))
        )

    def _directions(self, features: Floats, modality: Modality) -> Doubles:
        centre = self.image_centre_ if modality == "image" else self.text_centre_
        return unit_rows(self._probabilities(features, modality) - centre)

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        return self._directions(features, modality) @ self.rotation_

    def _weigh(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        return self._directions(features, modality) @ self.decoding_


class LabelSums:
    """Of each modality the moments of features and labels side by side, and a sample of the rows.

    Rows without labels are left out. Features are what the hasher's ``map`` gives.
    """

    def __init__(self, hasher: FeatureHasher, classes: int) -> None:
        self._hasher = hasher
        self.ridge = {m: RidgeSums(hasher.mapped_dim(m), classes) for m in MODALITIES}
        self._kept = {m: Reservoir(SAMPLE_ROWS, hasher.seed) for m in MODALITIES}

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        for modality, features in zip(MODALITIES, (images, texts), strict=True):
            numbers = rows_with_all(features, labels)

            def moments(
                rows: RowNumbers, values: Reals = features, modality: Modality = modality
            ) -> Moments:
                seen = self._hasher.map(float_rows(values, rows), modality)
                return RidgeSums.of(seen, float_rows(labels, rows))

            self.ridge[modality].add_rows(numbers, moments)
            self._kept[modality].add(numbers, features, labels)

    def sample(self, modality: Modality) -> tuple[Floats, Floats]:
        """Features ``(m, dim)`` and labels ``(m, classes)`` of the rows that were kept."""
        features, labels = self._kept[modality].arrays
        return features, labels


def _copies(images: Floats) -> NDArray[np.int64]:
    """Groups of the rows that are one picture with several captions, see :func:`equal_rows`.

    It would be told by its copies. A caption that several pictures have is no such copy: the next
    picture may have it too.
    """
    group = equal_rows(images)
    count = np.bincount(group, minlength=len(group))[group]
    found: NDArray[np.int64] = np.where(count <= MOST_CAPTIONS, group, np.arange(len(group)))
    return found
