"""How the code of a library is learned, in a few numbers, and the choice of these numbers."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from xmodal.encoders.background import Background
from xmodal.hashing import Hasher, create_hasher
from xmodal.hashing.fused import Fused
from xmodal.hashing.soft_labels import soft_labels
from xmodal.spaces.rows import Rows
from xmodal.spaces.trial import Scores, halves, judge

PLAIN, TRAINED = "itq", "fused"
# Shares of the bits that the semantic half may get; the first is the one to begin with.
SHARES = (1 / 2, 1 / 4, 3 / 4)
# Rows that the choice is made on.
CHOICE_ROWS = 6_000
# The shortest semantic code, and with it the rows that must teach it.
MIN_SEMANTIC = 8
# Labelled rows below which no estimate can be calibrated.
MIN_TAUGHT = 4


@dataclass(frozen=True)
class Recipe:
    """What makes a code again from the same rows.

    ``semantic_bits`` of the ``bits`` are learned from labels, with ``features`` ``linear`` or
    ``rbf``; the others tell single pictures apart. Without semantic bits it is the plain code of
    an untrained library. ``soft``: pictures without labels are given estimated ones.
    """

    bits: int
    semantic_bits: int = 0
    features: str = "linear"
    soft: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        return TRAINED if self.semantic_bits else PLAIN

    def at(self, bits: int, rows: Rows) -> "Recipe":
        """The same at another length, with the share of semantic bits that ``rows`` can teach."""
        share = self.semantic_bits / self.bits
        semantic = _semantic_bits(bits, share, rows, self.soft) if self.semantic_bits else 0
        return replace(self, bits=bits, semantic_bits=semantic)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def recipe_of(name: str, hasher: Hasher, trained_on: dict[str, Any]) -> Recipe:
    """The recipe of a code in use; one from before recipes were kept has the first defaults."""
    if "recipe" in trained_on:
        return Recipe(**trained_on["recipe"])
    if name == PLAIN:
        return Recipe(hasher.bits, seed=hasher.seed)
    semantic = getattr(hasher, "semantic_bits", None) or hasher.bits // 16 * 8
    return Recipe(hasher.bits, semantic, seed=hasher.seed)


def learn(recipe: Recipe, rows: Rows, background: Background) -> Hasher:
    """Fit a code on ``rows``, each of which teaches what it can.

    The instance half learns from all pictures, captions and label names, and from the background;
    the semantic half from the rows with labels, given or estimated, while the others tell it the
    means. What is said of a picture without a caption is its labels' names.
    """
    spoken = np.concatenate([background.word_features, rows.captions, rows.classes])
    instance = create_hasher("itq", bits=recipe.bits - recipe.semantic_bits, seed=recipe.seed)
    instance.fit(np.concatenate([background.picture_features, rows.images]), spoken)
    if not recipe.semantic_bits:
        return instance
    labels = rows.labels
    if recipe.soft:
        labels = soft_labels(
            rows.images, rows.texts, rows.classes, labels, text_mean=spoken.mean(axis=0)
        )
    semantic = create_hasher(
        "lemon", bits=recipe.semantic_bits, seed=recipe.seed, features=recipe.features
    )
    semantic.fit(rows.images, rows.texts_with(labels), labels)
    own = np.concatenate([rows.captions, rows.classes])
    return Fused.join(semantic, instance, rows.images, own)


def choose_recipe(rows: Rows, background: Background, bits: int, seed: int) -> Recipe | None:
    """The recipe that does best on a third of ``rows``, learned from the others; None without.

    One number is changed at a time, from the plainest on: estimated labels, then features, then
    the share of the semantic bits where captions can tell what a smaller instance half costs.
    """
    rows = _some(rows, seed)
    learned, held = halves(rows, seed, share=2 / 3)
    part = rows.part(learned)
    best, quality = None, -np.inf

    def consider(recipe: Recipe) -> None:
        nonlocal best, quality
        if recipe.semantic_bits < MIN_SEMANTIC:
            return
        hasher = learn(recipe, part, background)
        found = worth(judge({"": hasher}, rows, held, seed)[""])
        if found > quality:
            best, quality = recipe, found

    for recipe in _soft_or_not(rows, bits, seed):
        consider(recipe)
    if best is None:
        return None
    consider(replace(best, features="rbf"))
    if rows.captioned.any():
        for share in SHARES[1:]:
            semantic = _semantic_bits(bits, share, rows, best.soft)
            if semantic != best.semantic_bits:
                consider(replace(best, semantic_bits=semantic))
    return best


def worth(scores: Scores) -> float:
    """One number for a code: label mAP and own-caption recall, each the mean of both directions."""
    return float(sum(np.mean([m.mean for m in by.values()]) for by in scores.values()))


def _soft_or_not(rows: Rows, bits: int, seed: int) -> Iterator[Recipe]:
    for soft in (False, True):
        if soft and rows.labelled.all():
            return
        yield Recipe(bits, _semantic_bits(bits, SHARES[0], rows, soft), soft=soft, seed=seed)


def _semantic_bits(bits: int, share: float, rows: Rows, soft: bool) -> int:
    """That share of the bits in whole bytes, fewer for few rows, 0 if even a byte is too much.

    A code longer than half the rows it is learned from tells rows apart, not what they share.
    """
    labelled = int(rows.labelled.sum())
    teaching = len(rows.images) if soft else labelled
    if teaching * 2 / 3 <= MIN_SEMANTIC + 1 or labelled < MIN_TAUGHT:
        return 0
    return max(MIN_SEMANTIC, min(round(share * bits), teaching // 2, bits - 8) // 8 * 8)


def _some(rows: Rows, seed: int) -> Rows:
    if len(rows.images) <= CHOICE_ROWS:
        return rows
    kept, _ = halves(rows, seed, share=CHOICE_ROWS / len(rows.images))
    return rows.part(kept)
