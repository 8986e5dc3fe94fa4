"""Soft labels for rows nobody labelled, from the classes' own words and from the labelled rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import HasherError
from xmodal.hashing.calibration import calibrate, sigmoid
from xmodal.hashing.rotation import Doubles, unit_rows

Floats = NDArray[np.float32]

# Candidates for the ridge of the learned scores, for rows of unit length.
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def soft_labels(
    images: ArrayLike,
    texts: ArrayLike,
    classes: ArrayLike,
    labels: ArrayLike,
    *,
    text_mean: ArrayLike | None = None,
) -> Floats:
    """Labels of all rows in [0, 1]: those given as they are, calibrated estimates elsewhere.

    Each modality of a row gives a class two scores, standardised over all rows: the cosine of its
    feature and that of the class's words (zero-shot), and a ridge regression on the labelled rows,
    which see the score that is learned without them. Platt scaling makes a probability of them,
    P(class | scores s) = σ(aᵀs + b), with the targets (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2) (Platt,
    *Advances in Large Margin Classifiers* 1999, section 2.2). One calibration is fitted for all
    classes, then the difference of each class from it, drawn to zero: a keyword on two or three
    pictures has the common one. Nothing grows with the square of the rows.

    Parameters
    ----------
    images, texts: float ``(n, dim)`` of one space; a row of NaN is missing. A missing modality
        scores as the mean does.
    classes: float ``(c, dim)``, the text feature of each class's name.
    labels: float ``(n, c)`` in [0, 1]; a row of NaN is unlabelled. A 0 of a labelled row is taken
        as it is.
    text_mean: ``(dim,)``, what centres texts and classes; default: the mean of ``texts``, or of
        ``classes`` where there are none. The mean of many everyday texts serves best.

    Returns
    -------
    float32 ``(n, c)``; a row without label, image and text stays NaN.

    Raises
    ------
    HasherError: naming the argument, what was expected and what was found.
    """
    x, y = _features(images, "images"), _features(texts, "texts")
    words = _features(classes, "classes")
    known = np.array(labels, np.float32)
    _check(x, y, words, known)
    labelled = ~np.isnan(known[:, 0])
    if text_mean is None:
        spoken = y[~np.isnan(y[:, 0])]
        text_mean = (spoken if len(spoken) else words).mean(axis=0)
    taught = known[labelled].astype(np.float64)
    names = unit_rows(words - np.asarray(text_mean, np.float32))
    scores = []
    for features, mean in ((x, None), (y, text_mean)):
        present = ~np.isnan(features[:, 0])
        if (present & labelled).sum() < 2:
            continue
        centre = features[present].mean(axis=0) if mean is None else np.asarray(mean, np.float32)
        rows = unit_rows(features[present] - centre)
        for found in (rows @ names.T, _learned(rows, labelled[present], taught[present[labelled]])):
            score = np.zeros(known.shape)
            score[present] = _standardised(found)
            scores.append(score)
    if not scores:
        raise HasherError(
            "labels: expected at least 2 labelled rows with an image, or with a text; found "
            f"{int(labelled.sum())} labelled rows"
        )
    stacked = np.stack(scores, axis=2)
    weights, offset = calibrate(stacked[labelled], taught)
    free = ~labelled & ~(np.isnan(x[:, 0]) & np.isnan(y[:, 0]))
    known[free] = sigmoid(np.einsum("ncs,cs->nc", stacked[free], weights) + offset)
    return known


def _learned(rows: Doubles, labelled: NDArray[np.bool_], labels: Doubles) -> Doubles:
    """Scores ``(n, c)`` by ridge regression from the labelled rows; their own leave them out.

    The prediction without row i is yᵢ − (yᵢ − ŷᵢ) / (1 − hᵢ), h the diagonal of the hat matrix
    (Allen, *Technometrics* 1974); the ridge is the one with the smallest such error.
    """
    taught = rows[labelled]
    mean = labels.mean(axis=0)
    values, vectors = np.linalg.eigh(taught.T @ taught)
    turned = taught @ vectors
    target = turned.T @ (labels - mean)
    best = (np.inf, labels, target)
    for ridge in RIDGES:
        shrunk = 1 / (np.maximum(values, 0) + ridge)
        fitted = turned @ (shrunk[:, None] * target)
        hat = (turned**2) @ shrunk
        left_out = labels - mean - (labels - mean - fitted) / (1 - hat)[:, None]
        error = float(((labels - mean - left_out) ** 2).mean())
        if error < best[0]:
            best = (error, left_out, vectors @ (shrunk[:, None] * target))
    _, left_out, matrix = best
    scores = rows @ matrix
    scores[labelled] = left_out
    return scores


def _standardised(scores: Doubles) -> Doubles:
    spread = scores.std(axis=0)
    return (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _features(values: ArrayLike, name: str) -> Floats:
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise HasherError(
            f"{name}: expected numbers of shape (rows, columns), found {array.dtype} of shape "
            f"{array.shape}"
        )
    return array.astype(np.float32)


def _check(images: Floats, texts: Floats, classes: Floats, labels: Floats) -> None:
    for name, features, shape in (
        ("texts", texts, images.shape),
        ("classes", classes, (len(classes), images.shape[1])),
        ("labels", labels, (len(images), len(classes))),
    ):
        if features.shape != shape:
            raise HasherError(f"{name}: expected shape {shape}, found {features.shape}")
    for name, features in (("images", images), ("texts", texts), ("labels", labels)):
        rows = features[~np.isnan(features).all(axis=1)]
        if not np.isfinite(rows).all():
            raise HasherError(f"{name}: expected finite rows or rows of NaN, found others")
    if not np.isfinite(classes).all() or not len(classes):
        raise HasherError(f"classes: expected finite rows, found {len(classes)} rows with others")
    known = labels[~np.isnan(labels[:, 0])]
    if ((known < 0) | (known > 1)).any():
        raise HasherError("labels: expected values from 0 to 1, found others")
