"""Codes to measure with: random ones, and ones as hashers learn them, in any number."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming.packing import empty_planes, to_planes

BLOCK = 1 << 20
SUBJECTS, LATENT = 5000, 24


def codes(kind: str, n: int, bits: int, seed: int) -> NDArray[np.uint8]:
    """``n`` codes uint8 ``(n, bits // 8)``; seeds differ in the codes, not in what is learned.

    ``random``: independent bits. ``learned``: signs of random projections of points around 5,000
    subjects, some far more frequent than others, in 24 dimensions: bits depend on one another,
    codes crowd, distances tie, as with a code learned from photos.
    """
    rng = np.random.default_rng(seed)
    if kind == "random":
        return rng.integers(0, 256, (n, bits // 8), dtype=np.uint8)
    world = np.random.default_rng(0)
    centres = world.standard_normal((SUBJECTS, LATENT), dtype=np.float32)
    projection = world.standard_normal((LATENT, bits), dtype=np.float32)
    share = 1.0 / np.arange(1, SUBJECTS + 1)
    subject = rng.choice(SUBJECTS, n, p=share / share.sum())
    points = centres[subject] + 0.35 * rng.standard_normal((n, LATENT), dtype=np.float32)
    return np.packbits(points @ projection > 0, axis=1)


def planes(kind: str, n: int, bits: int) -> NDArray[np.uint64]:
    """``n`` codes as planes ``(words, n)``, made block by block."""
    whole = empty_planes(-(-bits // 64), n)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        whole[:, start:stop] = to_planes(codes(kind, stop - start, bits, seed=1 + start // BLOCK))
    return whole


def queries(kind: str, count: int, bits: int) -> NDArray[np.uint8]:
    """Codes of the same kind that are not among :func:`planes`."""
    return codes(kind, count, bits, seed=10**9)
