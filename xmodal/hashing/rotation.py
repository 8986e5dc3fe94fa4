"""Rotations that lose little when only signs are kept, for as many bits as are wanted."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


# Variance below this share of the largest is rounding, not data.
NEGLIGIBLE = 1e-9


def principal_axes(covariance: Doubles, dim: int) -> Doubles:
    """The at most ``dim`` leading principal axes of what varies at all: ``(d, k)``."""
    values, vectors = np.linalg.eigh(covariance)
    kept = np.flatnonzero(values > NEGLIGIBLE * values[-1])[::-1][:dim]
    axes: Doubles = vectors[:, kept]
    return axes


def random_frame(dim: int, bits: int, rng: "np.random.Generator") -> Doubles:
    """Orthonormal blocks side by side, ``(dim, bits)``: one random rotation for every ``dim`` bits.

    More bits than dimensions measure each dimension more than once, from different directions;
    orthogonal directions repeat one another less than independent ones (super-bits: Ji, Li, Yan,
    Zhang & Tian, NIPS 2012).
    """
    blocks = [np.linalg.qr(rng.standard_normal((dim, dim)))[0] for _ in range(-(-bits // dim))]
    return np.hstack(blocks)[:, :bits]


def itq_rotation(
    values: Doubles, weights: Doubles, bits: int, rng: "np.random.Generator", iterations: int = 30
) -> Doubles:
    """Directions whose signs keep the most of ``values``: ``(dim, bits)``.

    Iterative quantisation (Gong & Lazebnik, CVPR 2011): in turn the nearest signs of the rotated
    values, then the nearest rotation to those signs, from a random start. Where ``bits`` exceeds
    ``dim`` the same steps run over tight frames, matrices with orthonormal rows, which a rotation
    is the square case of.

    Parameters
    ----------
    values: float64 ``(n, dim)``, centred.
    weights: float64 ``(n,)``, what each row counts.
    bits: at least ``dim``.
    """
    frame = random_frame(values.shape[1], bits, rng)
    weighted = values * weights[:, None]
    for _ in range(iterations):
        signs = np.where(values @ frame > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(weighted.T @ signs, full_matrices=False)
        frame = left @ right
    return frame


def unit_rows(values: NDArray[np.floating]) -> Doubles:
    """Rows scaled to unit length, in float64; a row of zeros stays."""
    rows = values.astype(np.float64)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1.0)
