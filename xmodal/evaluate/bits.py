"""How many bits? The shortest code that keeps most of the best quality, and what more would buy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from xmodal.errors import UsageError
from xmodal.evaluate.measure import Measure
from xmodal.evaluate.protocol import evaluate_models
from xmodal.evaluate.scorers import DIRECTIONS, Direction, Floats, Model, code_model
from xmodal.evaluate.splits import Split
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing.base import Hasher

FitLength = Callable[[int, Floats, Floats, Floats], Hasher]
"""From a number of bits and training images, texts and labels to a fitted hasher."""
Quality = Mapping[str, Mapping[int, Measure]]
"""A measure's values over the queries, by its name and by the length of the code in bits."""

LENGTHS = (16, 32, 64, 128, 256)
KEEP = 0.98


@dataclass(frozen=True)
class Step:
    """What a code of ``longer`` bits has before one of ``shorter`` ones.

    ``gain`` is the paired difference, query by query, and ``per_byte`` the same for each byte by
    which an item's code grows.
    """

    shorter: int
    longer: int
    gain: dict[str, Measure]

    @property
    def bytes(self) -> float:
        """Bytes an item that the longer code takes more."""
        return (self.longer - self.shorter) / 8

    @property
    def per_byte(self) -> dict[str, Measure]:
        return {name: Measure(gain.values / self.bytes) for name, gain in self.gain.items()}


@dataclass(frozen=True)
class BitsChoice:
    """The length chosen, and the curves that it was read from.

    Attributes
    ----------
    bits: the shortest length whose mean of every measure is at least ``keep`` times the best
        length's mean.
    sure: whether that also holds at the lower end of the paired 95 % interval of each measure; if
        not, other queries might ask for another length.
    keep: the share of the best quality that was to be kept.
    quality: for each measure and length the values over the queries, both directions averaged.
    steps: from each length to the next.
    """

    bits: int
    sure: bool
    keep: float
    quality: dict[str, dict[int, Measure]]
    steps: list[Step]

    def __str__(self) -> str:
        names = list(self.quality)
        lines = ["  ".join(["bits", *(f"{name:<15}" for name in names)]).rstrip()]
        for bits in self.quality[names[0]]:
            cells = (f"{self.quality[name][bits]!s:<15}" for name in names)
            lines.append(f"{bits:>4}  {'  '.join(cells)}".rstrip())
        return "\n".join([*lines, f"{self.bits} bits keep {self.keep:g} of the best"])


def choose_bits(
    fit: FitLength,
    images: ArrayLike,
    texts: ArrayLike,
    labels: ArrayLike,
    *,
    lengths: Sequence[int] = LENGTHS,
    keep: float = KEEP,
    splits: int | Sequence[Split] = 3,
    seed: int = 0,
    measures: Sequence[str] = ("map", "own_recall@10"),
    asymmetric: bool = True,
) -> BitsChoice:
    """Measure codes of several lengths on the same splits and weigh quality against bytes.

    Nested codes, whose bits come in order of worth (``Hasher.nested``), are learned once at the
    largest length and cut; others are learned at each length. Both are judged alike: disjoint
    query, training and database rows as in :func:`~xmodal.evaluate.evaluate_hasher`.

    Parameters
    ----------
    fit: called with a number of bits and the training images, texts and labels.
    images, texts, labels, splits, seed, asymmetric: as for ``evaluate_hasher``.
    lengths: bits to compare, at least two.
    keep: share of the best quality that the chosen length must keep, above 0 up to 1.
    measures: all of these must be kept; one that no query defines, as ``map`` without labels, is
        left out.

    Raises
    ------
    UsageError: for lengths or a share that cannot be, or when no measure is defined.

    >>> from xmodal.hashing import create_hasher
    >>> rng = np.random.default_rng(0)
    >>> labels = np.eye(4)[rng.integers(4, size=240)]
    >>> images = labels @ rng.normal(size=(4, 32)) + rng.normal(size=(240, 32))
    >>> choice = choose_bits(
    ...     lambda bits, x, y, known: create_hasher("pcah", bits=bits).fit(x, y),
    ...     images, images, labels, lengths=(8, 16, 32), measures=("map",),
    ... )
    >>> choice.bits in (8, 16, 32), list(choice.quality["map"])
    (True, [8, 16, 32])
    """
    wanted = _checked(lengths, keep)

    def models(x: Floats, y: Floats, known: Floats) -> dict[str, Model]:
        longest = fit(wanted[-1], x, y, known)
        if longest.nested:
            return {str(bits): _cut(longest, bits, asymmetric) for bits in wanted}
        hashers = [fit(bits, x, y, known) for bits in wanted[:-1]]
        return {
            str(bits): code_model(hasher, asymmetric=asymmetric)
            for bits, hasher in zip(wanted, [*hashers, longest], strict=True)
        }

    found = evaluate_models(
        models, images, texts, labels, measures=measures, splits=splits, seed=seed
    )
    quality = {
        name: {bits: both_directions(found[str(bits)].measures[name]) for bits in wanted}
        for name in measures
    }
    return weigh_lengths(quality, keep)


def weigh_lengths(quality: Quality, keep: float = KEEP) -> BitsChoice:
    """The choice that :func:`choose_bits` makes, from curves that were measured elsewhere.

    Every measure has the same lengths and, for each of them, values of the same queries.
    """
    defined = {
        name: dict(sorted(curve.items()))
        for name, curve in quality.items()
        if not any(np.isnan(measure.mean) for measure in curve.values())
    }
    if not defined:
        raise UsageError(
            "measures: expected one that is defined for some queries; found none, since there are "
            f"no labels and no pairs to judge {', '.join(quality)} by"
        )
    lengths = _checked(list(next(iter(defined.values()))), keep)
    margins = {bits: [_margin(curve, bits, keep) for curve in defined.values()] for bits in lengths}
    # The best length of one measure may fall short in another: then nothing shorter than the best
    # of all will do, and the longest always will where all of them grow.
    keeping = [b for b in lengths if all(m.mean >= 0 for m in margins[b])]
    chosen = keeping[0] if keeping else max(lengths, key=lambda b: min(m.mean for m in margins[b]))
    steps = [
        Step(a, b, {name: curve[b].minus(curve[a]) for name, curve in defined.items()})
        for a, b in pairwise(lengths)
    ]
    sure = all(margin.mean >= margin.half_width for margin in margins[chosen])
    return BitsChoice(chosen, sure, keep, defined, steps)


def both_directions(by_direction: Mapping[Direction, Measure]) -> Measure:
    """The mean of both directions for each query item, or of the one in which it has a value."""
    values = np.stack([by_direction[direction].values for direction in DIRECTIONS])
    count = (~np.isnan(values)).sum(axis=0)
    return Measure(np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan))


def _margin(curve: Mapping[int, Measure], bits: int, keep: float) -> Measure:
    """How far a length is above ``keep`` times the best one, query by query."""
    best = max(curve, key=lambda length: curve[length].mean)
    return Measure(curve[bits].values - keep * curve[best].values)


def check_keep(keep: float) -> float:
    """The share, if it can be kept; UsageError otherwise."""
    if not 0 < keep <= 1:
        raise UsageError(f"keep: expected a share above 0 up to 1, found {keep}")
    return keep


def _checked(lengths: Sequence[int], keep: float) -> list[int]:
    check_keep(keep)
    wanted = sorted(set(lengths))
    if len(wanted) < 2:
        raise UsageError(f"lengths: expected at least two different ones, found {list(lengths)}")
    return wanted


def _cut(hasher: Hasher, bits: int, asymmetric: bool) -> Model:
    """Search by the first ``bits`` of a nested code."""

    def search(direction: Direction, items: Floats) -> Callable[[Floats], Floats]:
        texts = direction == "text_to_image"
        stored = hasher.encode_images if texts else hasher.encode_texts
        query = hasher.query_texts if texts else hasher.query_images
        code = hasher.encode_texts if texts else hasher.encode_images
        signs = unpack_signs(stored(items))[:, :bits].astype(np.float32).T

        def ask(queries: Floats) -> Floats:
            if asymmetric:
                return query(queries)[:, :bits] @ signs
            return unpack_signs(code(queries))[:, :bits].astype(np.float32) @ signs

        return ask

    return search
