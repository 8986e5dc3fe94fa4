"""Which unsupervised hasher: the one that finds the own partners of held-out pairs better."""

import numpy as np
from numpy.typing import NDArray

from xmodal.hamming.packing import unpack_signs
from xmodal.hashing.base import Hasher
from xmodal.hashing.checks import Floats, Reals
from xmodal.hashing.chunks import float_rows, rows_with_all
from xmodal.hashing.registry import create_hasher

# Where images and texts share a space it says most; with many pairs their correlations say more.
SHARED, CORRELATED = "pair-itq", "cca-itq"
# Pairs that the choice is made on, and how many of them at most are held out.
CHOICE_ROWS, MOST_QUERIES = 5_000, 500
# With fewer pairs a fifth of them, held out, tells nothing.
FEWEST = 50
# Standard errors by which the second must be better: the first changes less with other pairs.
CLEARLY = 2.0


def choose_instance(bits: int, seed: int, images: Reals, texts: Reals) -> str:
    """``pair-itq``, or ``cca-itq`` if it ranks own partners clearly better, or there is no space.

    Both learn from four fifths of at most ``CHOICE_ROWS`` pairs. Each held-out row asks for its
    partner among the held-out rows, in both directions; the reciprocals of its ranks are compared.
    """
    if images.shape[1] != texts.shape[1]:
        return CORRELATED
    rng = np.random.default_rng(seed)
    rows = rng.permutation(rows_with_all(images, texts))[:CHOICE_ROWS]
    if len(rows) < FEWEST:
        return SHARED
    held_out = min(len(rows) // 5, MOST_QUERIES)
    asked, learned = np.sort(rows[:held_out]), np.sort(rows[held_out:])
    x, y = float_rows(images, learned), float_rows(texts, learned)
    queries = float_rows(images, asked), float_rows(texts, asked)
    found = [
        _reciprocal_ranks(create_hasher(name, bits, seed=seed).fit(x, y), *queries)
        for name in (SHARED, CORRELATED)
    ]
    better = found[1] - found[0]
    error = better.std() / np.sqrt(len(better))
    return CORRELATED if better.mean() > CLEARLY * error else SHARED


def _reciprocal_ranks(hasher: Hasher, images: Floats, texts: Floats) -> NDArray[np.float64]:
    """Of each row's partner among all rows, both directions averaged: float64 ``(n,)``."""
    forth = hasher.query_texts(texts) @ unpack_signs(hasher.encode_images(images)).T
    back = hasher.query_images(images) @ unpack_signs(hasher.encode_texts(texts)).T
    ranks = [1 + (scores > np.diag(scores)[:, None]).sum(axis=1) for scores in (forth, back)]
    return np.mean([1 / rank for rank in ranks], axis=0)
