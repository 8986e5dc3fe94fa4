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
# Instance halves for what shares a space and may be pairs or not.
INSTANCE, OTHER_INSTANCE = "pair-itq", "itq"
# The semantic half beside that of ``fused``: which of the two is better depends on the library.
OTHER_SEMANTIC = "lemon"
# Shares of the bits that the semantic half may get, and of the score; each first is the one to
# begin with.
BIT_SHARES = (3 / 8, 1 / 4, 1 / 2)
SCORE_SHARES = (0.5, 0.6, 0.7)
# Rows that the choice is made on.
CHOICE_ROWS = 6_000
# The shortest semantic code, and with it the rows that must teach it.
MIN_SEMANTIC = 8
# Share of labelled rows beyond which estimates for the others change nothing.
ENOUGH_LABELLED = 0.9
# Labelled rows below which no estimate can be calibrated.
MIN_TAUGHT = 4


@dataclass(frozen=True)
class Recipe:
    """What makes a code again from the same rows.

    ``semantic_bits`` of the ``bits`` are learned from labels by the hasher ``semantic``, with
    ``features`` ``linear`` or ``rbf``, and count ``semantic_share`` of the score; the others, by
    ``instance``, tell single pictures apart.
    Without semantic bits it is the plain code of an untrained library. ``soft``: pictures without
    labels are given estimated ones.
    """

    bits: int
    semantic_bits: int = 0
    semantic: str = ""
    instance: str = PLAIN
    semantic_share: float = SCORE_SHARES[0]
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


def recipe_of(hasher: Hasher, trained_on: dict[str, Any]) -> Recipe:
    """The recipe of a code in use; one from before recipes were kept has the first defaults."""
    if "semantic" in trained_on.get("recipe", {}):
        return Recipe(**trained_on["recipe"])
    if not isinstance(hasher, Fused):
        return Recipe(hasher.bits, seed=hasher.seed)
    return Recipe(
        hasher.bits,
        hasher.semantic_.bits,
        hasher.semantic_.name,
        hasher.instance_.name,
        seed=hasher.seed,
    )


def learn(recipe: Recipe, rows: Rows, background: Background) -> Hasher:
    """Fit a code on ``rows``, each of which teaches what it can.

    The instance half learns from all pictures, captions and label names, and from the background;
    the semantic half from the rows with labels, given or estimated, while the others tell it the
    means. What is said of a picture without a caption is its labels' names.
    """
    instance = _learn_instance(recipe, rows, background)
    if not recipe.semantic_bits:
        return instance
    labels = rows.labels
    if recipe.soft:
        spoken = np.concatenate([background.word_features, rows.captions, rows.classes])
        labels = soft_labels(
            rows.images, rows.texts, rows.classes, labels, text_mean=spoken.mean(axis=0)
        )
    parameters = {"features": recipe.features} if _takes_features(recipe.semantic) else {}
    semantic = create_hasher(
        recipe.semantic, bits=recipe.semantic_bits, seed=recipe.seed, **parameters
    )
    semantic.fit(rows.images, rows.texts_with(labels), labels)
    own = np.concatenate([rows.captions, rows.classes])
    return Fused.join(semantic, instance, rows.images, own, recipe.semantic_share)


def _learn_instance(recipe: Recipe, rows: Rows, background: Background) -> Hasher:
    bits = recipe.bits - recipe.semantic_bits
    hasher = create_hasher(recipe.instance, bits=bits, seed=recipe.seed)
    alone = np.concatenate([background.word_features, rows.classes])
    if not hasher.needs_pairs:
        return hasher.fit(
            np.concatenate([background.picture_features, rows.images]),
            np.concatenate([alone, rows.captions]),
        )
    # A row for each caption with its picture, then what stands alone, with NaN beside it.
    pictures = np.concatenate([background.picture_features, rows.images[~rows.captioned]])
    images = np.concatenate([rows.images[rows.caption_of], pictures, np.full_like(alone, np.nan)])
    texts = np.concatenate([rows.captions, np.full_like(pictures, np.nan), alone])
    return hasher.fit(images, texts)


def choose_recipe(rows: Rows, background: Background, bits: int, seed: int) -> Recipe | None:
    """The recipe that does best on a third of ``rows``, learned from the others; None without.

    One thing is changed at a time, from the plainest on: estimated labels, then the semantic
    hasher, its features and what it counts, then the instance hasher and the share of its bits
    where captions can tell what these cost.
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
    consider(replace(best, semantic=OTHER_SEMANTIC))
    if _takes_features(best.semantic):
        consider(replace(best, features="rbf"))
    for score_share in SCORE_SHARES[1:]:
        consider(replace(best, semantic_share=score_share))
    if rows.captioned.any():
        consider(replace(best, instance=OTHER_INSTANCE))
        for share in BIT_SHARES[1:]:
            semantic = _semantic_bits(bits, share, rows, best.soft)
            if semantic != best.semantic_bits:
                consider(replace(best, semantic_bits=semantic))
    return best


def worth(scores: Scores) -> float:
    """One number for a code: label mAP and own-caption recall, each the mean of both directions."""
    return float(sum(np.mean([m.mean for m in by.values()]) for by in scores.values()))


def _soft_or_not(rows: Rows, bits: int, seed: int) -> Iterator[Recipe]:
    halves = create_hasher(TRAINED, bits=bits)
    assert isinstance(halves, Fused)
    for soft in (False, True):
        if soft and rows.labelled.mean() > ENOUGH_LABELLED:
            return
        semantic_bits = _semantic_bits(bits, BIT_SHARES[0], rows, soft)
        yield Recipe(bits, semantic_bits, halves.semantic, INSTANCE, soft=soft, seed=seed)


def _takes_features(name: str) -> bool:
    return "features" in create_hasher(name).get_params()


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
