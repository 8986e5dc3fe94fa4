"""``lemon``: the supervised default, learned in one pass over the rows and their labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.hashing.checks import Floats
from xmodal.hashing.chunks import slices
from xmodal.hashing.supervised import LabelledRows, RidgeHasher

# Weights of the similarity and of the label term, the ridge of the label term, and iterations.
ALPHA = BETA = 1e4
GAMMA = 0.1
ITERATIONS = 5


class Lemon(RidgeHasher):
    """Label-embedding online hashing (Wang, Luo & Xu, ACM Multimedia 2020).

    Codes B of new rows agree with the similarity 2GGᵀ − 11ᵀ of their labels to one another and to
    all earlier rows, of which only small sums are kept; see :class:`LemonCodes`.

    >>> rng = np.random.default_rng(0)
    >>> labels = np.eye(4)[rng.integers(4, size=200)]
    >>> images, texts = labels @ rng.normal(size=(4, 32)), labels @ rng.normal(size=(4, 16))
    >>> lemon = Lemon(bits=16).fit(images, texts, labels)
    >>> bool((lemon.encode_images(images) == lemon.encode_texts(texts)).all())
    True
    """

    name = "lemon"
    description = "labels: codes from an online label embedding, hash functions by ridge"

    def _code_learner(self, classes: int, rng: "np.random.Generator") -> "LemonCodes":
        return LemonCodes(self.bits, classes, rng)

    def _learn_codes(self, learner: "LemonCodes", rows: LabelledRows) -> tuple[Floats, Floats]:
        codes = learner.learn(rows.labels())
        return codes, codes


class LemonCodes:
    """Codes of rows from their labels, discrete, with sums over all rows seen before.

    In the paper's terms, for labels L, their rows scaled to unit length G, codes B ±1, real
    codes V with VᵀV = nI and Vᵀ1 = 0, and a rotation R between the two:

    * P = (ΣVᵀV + γI)⁻¹ ΣVᵀL predicts labels from real codes;
    * V is nearest to Z = BRᵀ + βLPᵀ + 2αkG(ΣGᵀB) under its constraints;
    * R is the rotation from V to B;
    * B = sgn(2αkG(ΣGᵀV) + VR).

    Σ runs over earlier rows and these. The paper's further terms −αk1(Σ1ᵀB) in Z and −αk1(Σ1ᵀV)
    in B come from −11ᵀ; the first is the same for every row and leaves V as it is, the second is 0,
    both because Vᵀ1 = 0.
    """

    def __init__(self, bits: int, classes: int, rng: "np.random.Generator") -> None:
        self._rng = rng
        self._vv = np.zeros((bits, bits))
        self._vl = np.zeros((bits, classes))
        self._gb = np.zeros((classes, bits))
        self._gv = np.zeros((classes, bits))
        self._bv = np.zeros((bits, bits))

    def learn(self, labels: NDArray[np.floating]) -> Floats:
        """Codes ±1 float32 ``(n, bits)`` of labels ``(n, classes)``, which join the sums."""
        bits = len(self._vv)
        labels = labels.astype(np.float32, copy=False)
        norm = np.linalg.norm(labels, axis=1, keepdims=True)
        similar = labels / np.where(norm > 0, norm, np.float32(1))
        codes = _signs(self._rng.standard_normal((len(labels), bits)))
        real = orthogonal_codes(codes, self._rng)
        rotation = np.linalg.qr(self._rng.standard_normal((bits, bits)))[0]
        for _ in range(ITERATIONS):
            predict = np.linalg.solve(
                self._vv + real.T @ real + GAMMA * np.eye(bits), self._vl + real.T @ labels
            )
            nearby = 2 * ALPHA * bits * (self._gb + similar.T @ codes)
            wanted = codes @ rotation.T.astype(np.float32)
            wanted += labels @ (BETA * predict.T).astype(np.float32)
            wanted += similar @ nearby.astype(np.float32)
            real = orthogonal_codes(wanted, self._rng)
            left, _, right = np.linalg.svd(self._bv + codes.T @ real)
            rotation = right.T @ left.T
            nearby = 2 * ALPHA * bits * (self._gv + similar.T @ real)
            pull = similar @ nearby.astype(np.float32)
            pull += real @ rotation.astype(np.float32)
            codes = _signs(pull)
        self._vv += real.T @ real
        self._vl += real.T @ labels
        self._gb += similar.T @ codes
        self._gv += similar.T @ real
        self._bv += codes.T @ real
        return codes


def orthogonal_codes(wanted: NDArray[Any], rng: "np.random.Generator") -> NDArray[Any]:
    """The V nearest to ``wanted`` with VᵀV = nI and Vᵀ1 = 0, in its precision.

    Columns that ``wanted`` leaves open are filled with random orthogonal directions; with fewer
    rows than bits they are left at zero, as far as the rows do not suffice.
    """
    rows, bits = wanted.shape
    centred = wanted - wanted.mean(axis=0, dtype=np.float64).astype(wanted.dtype)
    gram = np.zeros((bits, bits))
    for part in slices(rows):  # in float64: which columns are open is told from small eigenvalues
        chunk = centred[part].astype(np.float64)
        gram += chunk.T @ chunk
    values, right = np.linalg.eigh(gram)
    values, right = values[::-1], right[:, ::-1]
    rank = min(int((values > 1e-10 * max(values[0], 1e-300)).sum()), bits, rows - 1)
    white = right[:, :rank] / np.sqrt(values[:rank])
    missing = min(bits, rows - 1) - rank
    if missing <= 0:
        return centred @ (np.sqrt(rows) * white @ right[:, :rank].T).astype(wanted.dtype)
    left = centred @ white.astype(wanted.dtype)
    extra = rng.standard_normal((rows, missing))
    extra -= extra.mean(axis=0)
    extra -= left @ (left.T @ extra)
    left = np.hstack([left, np.linalg.qr(extra)[0]])
    return (np.sqrt(rows) * left @ right[:, : left.shape[1]].T).astype(wanted.dtype)


def _signs(values: NDArray[np.floating]) -> Floats:
    signs = (values >= 0).astype(np.float32)
    signs *= 2
    signs -= 1
    return signs
