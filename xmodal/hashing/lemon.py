"""``lemon``: the supervised default, learned in one pass over the rows and their labels."""

import numpy as np

from xmodal.hashing.rotation import Doubles
from xmodal.hashing.supervised import RidgeHasher

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

    def _code_learner(self, classes: int, rng: np.random.Generator) -> "LemonCodes":
        return LemonCodes(self.bits, classes, rng)


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

    def __init__(self, bits: int, classes: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._vv = np.zeros((bits, bits))
        self._vl = np.zeros((bits, classes))
        self._gb = np.zeros((classes, bits))
        self._gv = np.zeros((classes, bits))
        self._bv = np.zeros((bits, bits))

    def learn(self, labels: Doubles) -> Doubles:
        """Codes ±1 ``(n, bits)`` of rows with labels ``(n, classes)``, which join the sums."""
        bits = len(self._vv)
        norm = np.linalg.norm(labels, axis=1, keepdims=True)
        similar = labels / np.where(norm > 0, norm, 1.0)
        codes = np.where(self._rng.standard_normal((len(labels), bits)) > 0, 1.0, -1.0)
        real = orthogonal_codes(codes, self._rng)
        rotation = np.linalg.qr(self._rng.standard_normal((bits, bits)))[0]
        for _ in range(ITERATIONS):
            predict = np.linalg.solve(
                self._vv + real.T @ real + GAMMA * np.eye(bits), self._vl + real.T @ labels
            )
            wanted = codes @ rotation.T + BETA * labels @ predict.T
            wanted += 2 * ALPHA * bits * similar @ (self._gb + similar.T @ codes)
            real = orthogonal_codes(wanted, self._rng)
            left, _, right = np.linalg.svd(self._bv + codes.T @ real)
            rotation = right.T @ left.T
            pull = 2 * ALPHA * bits * similar @ (self._gv + similar.T @ real) + real @ rotation
            codes = np.where(pull >= 0, 1.0, -1.0)
        self._vv += real.T @ real
        self._vl += real.T @ labels
        self._gb += similar.T @ codes
        self._gv += similar.T @ real
        self._bv += codes.T @ real
        return codes


def orthogonal_codes(wanted: Doubles, rng: np.random.Generator) -> Doubles:
    """The V nearest to ``wanted`` with VᵀV = nI and Vᵀ1 = 0.

    Columns that ``wanted`` leaves open are filled with random orthogonal directions; with fewer
    rows than bits they are left at zero, as far as the rows do not suffice.
    """
    rows, bits = wanted.shape
    centred = wanted - wanted.mean(axis=0)
    values, right = np.linalg.eigh(centred.T @ centred)
    values, right = values[::-1], right[:, ::-1]
    rank = min(int((values > 1e-10 * max(values[0], 1e-300)).sum()), bits, rows - 1)
    left = centred @ right[:, :rank] / np.sqrt(values[:rank])
    missing = min(bits, rows - 1) - rank
    if missing > 0:
        extra = rng.standard_normal((rows, missing))
        extra -= extra.mean(axis=0)
        extra -= left @ (left.T @ extra)
        left = np.hstack([left, np.linalg.qr(extra)[0]])
    return np.sqrt(rows) * left @ right[:, : left.shape[1]].T
