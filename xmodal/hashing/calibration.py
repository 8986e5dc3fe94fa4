"""From the scores of a classifier to probabilities."""

import numpy as np

from xmodal.hashing.rotation import Doubles

# Weight of the ridge that draws the calibration of one class to that of all: a class of a few
# positives has the common one, a class of hundreds its own.
POOLING = 1.0
NEWTON_STEPS = 50
TOLERANCE = 1e-6


def calibrate(scores: Doubles, labels: Doubles) -> tuple[Doubles, Doubles]:
    """Weights ``(c, s)`` and offsets ``(c,)`` that make probabilities of scores: Platt scaling.

    P(class | scores) = ``sigmoid(weights · scores + offset)``, with the targets (N₊ + 1) / (N₊ + 2)
    and 1 / (N₋ + 2) (Platt, *Advances in Large Margin Classifiers* 1999, section 2.2). One
    calibration is fitted for all classes, then the difference of each class from it, drawn to zero:
    a class of two or three positives has the common one.

    Parameters
    ----------
    scores: float64 ``(n, c, s)`` of about unit variance, of rows they were not learned from.
    labels: float64 ``(n, c)`` in [0, 1].
    """
    positives = labels.sum(axis=0)
    high = (positives + 1) / (positives + 2)
    low = 1 / (len(labels) - positives + 2)
    targets = labels * high + (1 - labels) * low
    rate = targets.mean(axis=0)
    prior = np.broadcast_to(np.log(rate / (1 - rate)), targets.shape)
    # One column: all classes as if they were one, apart from their frequencies.
    pooled = _logistic(
        scores.reshape(-1, 1, scores.shape[2]), targets.reshape(-1, 1), prior.reshape(-1, 1), 0.0
    )
    base = prior + scores @ pooled[0, :-1] + pooled[0, -1]
    found = pooled + _logistic(scores, targets, base, POOLING)
    return found[:, :-1], found[:, -1] + prior[0]


def _logistic(scores: Doubles, targets: Doubles, base: Doubles, ridge: float) -> Doubles:
    """Weights and offset w ``(c, s + 1)`` of σ(wᵀ[scores, 1] + base), by Newton's method.

    ``ridge``/2 · ‖w‖² is added to the loss of each class.
    """
    rows = np.concatenate([scores, np.ones((*scores.shape[:2], 1))], axis=2)
    count = rows.shape[2]
    found = np.zeros((rows.shape[1], count))
    for _ in range(NEWTON_STEPS):
        p = sigmoid(np.einsum("ncs,cs->nc", rows, found) + base)
        gradient = np.einsum("ncs,nc->cs", rows, targets - p) - ridge * found
        curvature = np.einsum("ncs,nc,nct->cst", rows, p * (1 - p), rows, optimize=True)
        curvature += (ridge + TOLERANCE) * np.eye(count)
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        # Far from the solution a full step may overshoot; the scores have variance 1.
        found += step / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1.0)
        if np.abs(step).max() < TOLERANCE:
            break
    return found


def sigmoid(values: Doubles) -> Doubles:
    """1 / (1 + exp(−v))."""
    return 1 / (1 + np.exp(-np.clip(values, -30, 30)))
