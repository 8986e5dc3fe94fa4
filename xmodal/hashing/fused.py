"""``fused``: a semantic and an instance code side by side, the code of a trained library."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import HasherError
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing.base import Hasher, Modality, check_is_fitted
from xmodal.hashing.checks import Floats, check_bits, check_features
from xmodal.hashing.registry import create_hasher
from xmodal.hashing.rotation import Doubles

# Rows of each modality whose codes tell how the bits of a half vary together.
BALANCE_ROWS = 10_000


class Fused(Hasher):
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
    semantic, instance: names of the hashers.
    semantic_bits: bits of the semantic half; None is half of ``bits``, in whole bytes.
    semantic_share: 0 to 1, what the semantic half counts in asymmetric ranking; the rest is the
        instance half's.
    semantic_parameters, instance_parameters: further parameters of the hashers.
    """

    name = "fused"
    description = "labels: lemon bits (same keywords) beside itq bits (this sentence) in one code"
    needs_labels = True
    feature_weight = 0.5

    semantic_: Hasher
    instance_: Hasher
    semantic_spread_: Floats
    instance_spread_: Floats

    def __init__(
        self,
        bits: int = 128,
        seed: int = 0,
        semantic: str = "lemon",
        instance: str = "itq",
        semantic_bits: int | None = None,
        semantic_share: float = 0.5,
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
        fused._balance(semantic, instance, x, y)
        return fused

    def _fit(self, images: Floats, texts: Floats, labels: Floats | None) -> None:
        bits = self._check_parameters()
        semantic = create_hasher(
            self.semantic, bits, **{"seed": self.seed, **(self.semantic_parameters or {})}
        )
        instance = create_hasher(
            self.instance,
            self.bits - bits,
            **{"seed": self.seed, **(self.instance_parameters or {})},
        )
        semantic.fit(images, texts, labels)
        instance.fit(images, texts)
        self._balance(semantic, instance, images, texts)

    def _check_parameters(self) -> int:
        """The bits of the semantic half."""
        share = self.semantic_share
        if not 0 <= share <= 1:
            raise HasherError(f"semantic_share: expected a number from 0 to 1, found {share!r}")
        if self.semantic_bits is None:
            check_bits(self.bits // 16 * 8, "semantic_bits")
            return self.bits // 16 * 8
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

    def _balance(self, semantic: Hasher, instance: Hasher, images: Floats, texts: Floats) -> None:
        """Adopt the halves and measure how the bits of each vary together."""
        self.semantic_, self.instance_ = semantic, instance
        self.image_mean_, self.text_mean_ = instance.image_mean_, instance.text_mean_
        x, y = (_sample(f, np.random.default_rng(self.seed)) for f in (images, texts))
        for name, half in (("semantic", semantic), ("instance", instance)):
            codes = (half.encode_images(x), half.encode_texts(y))
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
            (self.semantic_, self.semantic_spread_, self.semantic_share),
            (self.instance_, self.instance_spread_, 1 - self.semantic_share),
        ):
            weights = _queries(half, features, modality)
            deviation = np.sqrt(_score_variance(weights, spread))[:, None]
            parts.append(share * weights / deviation)
        return np.hstack(parts)


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


def _sample(features: Floats, rng: np.random.Generator) -> Floats:
    rows = np.flatnonzero(~np.isnan(features[:, 0]))
    if len(rows) > BALANCE_ROWS:
        rows = np.sort(rng.choice(rows, BALANCE_ROWS, replace=False))
    return features[rows]


def _own_parameters(hasher: Hasher) -> dict[str, Any]:
    """Parameters beside those that every hasher has."""
    return {k: v for k, v in hasher.get_params().items() if k not in ("bits", "seed")}
