"""``fused``: a semantic and an instance code side by side, the code of a trained library."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import HasherError
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing.base import MODALITIES, Hasher, Modality, check_is_fitted, fitted_state
from xmodal.hashing.checks import Floats, Reals, check_bits, check_features
from xmodal.hashing.chunks import rows_with_all
from xmodal.hashing.fused_choice import APART, SHARED, SHARES, choose_halves
from xmodal.hashing.moments import Reservoir
from xmodal.hashing.registry import create_hasher
from xmodal.hashing.rotation import Doubles
from xmodal.hashing.streaming import StreamingHasher

# Rows of each modality whose codes tell how the bits of a half vary together.
BALANCE_ROWS = 10_000
# Share of the bits that the semantic half has: probabilities of labels need fewer than the rest.
SEMANTIC_BITS = 3 / 8


class Fused(StreamingHasher):
    """Semantic bits for "the same keywords", instance bits for "this very sentence".

    The first ``semantic_bits`` of a code are those of a supervised hasher, the rest those of an
    unsupervised one. Plain Hamming distance adds both. Asymmetric ranking adds the scores of the
    halves, each divided by its standard deviation over the items, in the proportion of
    ``semantic_share``: neither half drowns the other, whatever its length and the size of its
    projections.

    Parameters
    ----------
    bits: of the whole code.
    seed: of both halves.
    semantic, instance: names of the hashers. Without an ``instance`` it is ``pair-itq``, ``itq`` or
        ``cca-itq``; only the last serves where images and texts share no space.
    semantic_bits: bits of the semantic half; None is 3/8 of ``bits``, in whole bytes.
    semantic_share: 0 to 1, what the semantic half counts in asymmetric ranking; the rest is the
        instance half's. What is left open, the instance half and this share, is chosen on training
        rows that are held out, see ``fused_choice.py``.
    semantic_parameters, instance_parameters: further parameters of the hashers.
    """

    name = "fused"
    description = "labels: bits for the same labels beside bits for this very sentence, in one code"
    needs_labels = True
    feature_weight = 0.5

    semantic_: Hasher
    instance_: Hasher
    semantic_spread_: Floats
    instance_spread_: Floats
    share_: float = 0.5  # that of files in which it was not kept
    """What the semantic half counts in asymmetric ranking."""
    _sums: "FusedSums"

    def __init__(
        self,
        bits: int = 128,
        seed: int = 0,
        semantic: str = "posterior-itq",
        instance: str | None = None,
        semantic_bits: int | None = None,
        semantic_share: float | None = None,
        semantic_parameters: dict[str, Any] | None = None,
        instance_parameters: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(bits, seed)
        self.semantic = semantic
        self.instance = instance
        self.semantic_bits = semantic_bits
        self.semantic_share = semantic_share
        self.semantic_parameters = semantic_parameters
        self.instance_parameters = instance_parameters

    @property
    def instance_start(self) -> int:
        return self.semantic_.bits

    @classmethod
    def join(
        cls,
        semantic: Hasher,
        instance: Hasher,
        images: ArrayLike,
        texts: ArrayLike,
        semantic_share: float = 0.5,
    ) -> Self:
        """A fused code of two fitted hashers that learned from different rows.

        A library learns its instance code from all pictures and the vocabulary, its semantic one
        from the pictures with keywords. ``images`` and ``texts``, paired or not, are what a search
        will rank: the spread of the scores is measured on them.
        """
        fused = cls(
            bits=semantic.bits + instance.bits,
            seed=semantic.seed,
            semantic=semantic.name,
            instance=instance.name,
            semantic_bits=semantic.bits,
            semantic_share=semantic_share,
            semantic_parameters=_own_parameters(semantic),
            instance_parameters=_own_parameters(instance),
        )
        fused._check_parameters()
        for half in (semantic, instance):
            check_is_fitted(half)
            fused._check_dims(half, semantic)
        x = check_features(images, "images", dim=len(semantic.image_mean_), missing=True)
        y = check_features(texts, "texts", dim=len(semantic.text_mean_), missing=True)
        fused._forget()
        fused.semantic_, fused.instance_, fused.share_ = semantic, instance, semantic_share
        fused.image_mean_, fused.text_mean_ = instance.image_mean_, instance.text_mean_
        fused._balance(*(_sample(values, semantic.seed) for values in (x, y)))
        return fused

    def partial_fit(
        self, images: ArrayLike, texts: ArrayLike, labels: ArrayLike | None = None
    ) -> Self:
        """As of every :class:`StreamingHasher`, where both halves are; refused if one is not."""
        if hasattr(self, "semantic_"):
            for half in (self.semantic_, self.instance_):
                if not half.streams:
                    half.partial_fit(images, texts, labels)  # says what to do instead
        return super().partial_fit(images, texts, labels)

    def _start(self, images: Reals, texts: Reals, labels: Reals | None) -> "FusedSums":
        assert labels is not None  # needs_labels: Hasher.fit has seen to it
        bits = self._check_parameters()
        names = SHARED if images.shape[1] == texts.shape[1] else APART
        names = names if self.instance is None else (self.instance,)
        shares = SHARES if self.semantic_share is None else (self.semantic_share,)
        instance, self.share_ = names[0], shares[0]
        if len(names) * len(shares) > 1:
            instance, self.share_ = choose_halves(
                self._half(self.semantic, bits, self.semantic_parameters),
                [self._half(n, self.bits - bits, self.instance_parameters) for n in names],
                shares, images, texts, labels,
            )  # fmt: skip
        self.semantic_ = self._half(self.semantic, bits, self.semantic_parameters)
        self.instance_ = self._half(instance, self.bits - bits, self.instance_parameters)
        return FusedSums(self)

    def _solve(self) -> None:
        self._balance(*(self._sums.sample(modality) for modality in MODALITIES))

    def _half(self, name: str, bits: int, parameters: dict[str, Any] | None) -> Hasher:
        return create_hasher(name, bits, **{"seed": self.seed, **(parameters or {})})

    def _check_parameters(self) -> int:
        """The bits of the semantic half."""
        share = self.semantic_share
        if share is not None and not 0 <= share <= 1:
            raise HasherError(f"semantic_share: expected a number from 0 to 1, found {share!r}")
        if self.semantic_bits is None:
            code_bytes = self.bits // 8
            check_bits(self.bits - 8, "instance bits")
            return 8 * max(1, int(SEMANTIC_BITS * code_bytes + 0.5))
        check_bits(self.bits - check_bits(self.semantic_bits, "semantic_bits"), "instance bits")
        return self.semantic_bits

    def _check_dims(self, half: Hasher, first: Hasher) -> None:
        for name, dim, expected in (
            ("images", len(half.image_mean_), len(first.image_mean_)),
            ("texts", len(half.text_mean_), len(first.text_mean_)),
        ):
            if dim != expected:
                raise HasherError(
                    f"{half.name}: expected a hasher fitted on {name} of {expected} columns, "
                    f"as {first.name} was, found {dim}"
                )

    def _balance(self, images: Floats, texts: Floats) -> None:
        """Measure on these rows how the bits of each half vary together."""
        for name, half in (("semantic", self.semantic_), ("instance", self.instance_)):
            codes = (half.encode_images(images), half.encode_texts(texts))
            spread = sum((_bit_covariance(c) for c in codes), np.zeros((half.bits, half.bits)))
            setattr(self, f"{name}_spread_", (spread / len(codes)).astype(np.float32))

    def _project(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        halves = (self.semantic_, self.instance_)
        if modality == "image":
            return np.hstack([half.project_images(features) for half in halves])
        return np.hstack([half.project_texts(features) for half in halves])

    def _weigh(self, features: Floats, modality: Modality) -> NDArray[np.floating]:
        """Weights of both halves, each scaled so that its scores over the items have variance 1.

        That is the sum of the z-scores of the halves, up to a constant that is the same for all
        items of a query. Correlated bits, as semantic ones are, count for what they tell together.
        """
        parts = []
        for half, spread, share in (
            (self.semantic_, self.semantic_spread_, self.share_),
            (self.instance_, self.instance_spread_, 1 - self.share_),
        ):
            weights = _queries(half, features, modality)
            deviation = np.sqrt(_score_variance(weights, spread))[:, None]
            parts.append(share * weights / deviation)
        return np.hstack(parts)


class FusedSums:
    """The halves, which learn by themselves, and a sample of the rows to balance them on."""

    def __init__(self, hasher: Fused) -> None:
        self._halves = (hasher.semantic_, hasher.instance_)
        self._kept = {m: Reservoir(BALANCE_ROWS, hasher.seed) for m in MODALITIES}

    def add(self, images: Reals, texts: Reals, labels: Reals | None) -> None:
        for half in self._halves:
            if fitted_state(half):
                half.partial_fit(images, texts, labels)
            else:
                half.fit(images, texts, labels)
        for modality, features in zip(MODALITIES, (images, texts), strict=True):
            self._kept[modality].add(rows_with_all(features), features)

    def sample(self, modality: Modality) -> Floats:
        """The rows of a modality that were kept: float32 ``(m, dim)``."""
        return self._kept[modality].arrays[0]


def _queries(hasher: Hasher, features: Floats, modality: Modality) -> Floats:
    if modality == "image":
        return hasher.query_images(features)
    return hasher.query_texts(features)


def _score_variance(weights: Floats, spread: Floats) -> Doubles:
    """Variance of Σ w_j b_j over items whose bits have the covariance ``spread``: ``(n,)``."""
    exact = weights.astype(np.float64)
    return np.maximum(((exact @ spread) * exact).sum(axis=1), np.finfo(np.float64).tiny)


def _bit_covariance(codes: NDArray[np.uint8]) -> Doubles:
    signs = unpack_signs(codes).astype(np.float64)
    signs -= signs.mean(axis=0)
    return signs.T @ signs / len(signs)


def _sample(features: Floats, seed: int) -> Floats:
    kept = Reservoir(BALANCE_ROWS, seed)
    kept.add(rows_with_all(features), features)
    return kept.arrays[0]


def _own_parameters(hasher: Hasher) -> dict[str, Any]:
    """Parameters beside those that every hasher has."""
    return {k: v for k, v in hasher.get_params().items() if k not in ("bits", "seed")}
