"""Quantisers that put thresholds on single dimensions: ``sign``, ``double-bit``, ``manhattan``."""

from abc import abstractmethod

import numpy as np

from xmodal.hashing.rotation import Doubles
from xmodal.quantising.base import Quantiser
from xmodal.quantising.checks import check_count
from xmodal.quantising.regions import regions_of


class ThresholdQuantiser(Quantiser):
    """Bits of the form "this dimension lies above (or below) that threshold"."""

    def _fit(self, values: Doubles, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        per_dim = self._place(values, rng)
        signs = [np.ones(len(thresholds)) for thresholds in per_dim]
        return one_dimension_each(values.shape[1], per_dim, signs)

    @abstractmethod
    def _place(self, values: Doubles, rng: np.random.Generator) -> list[Doubles]:
        """Ascending thresholds of each dimension used, ``bits`` of them in all."""


class SignQuantiser(ThresholdQuantiser):
    """One bit a dimension, its sign: the quantiser of most hashing methods."""

    name = "sign"
    description = "one bit a dimension: its sign"

    def _place(self, values: Doubles, rng: np.random.Generator) -> list[Doubles]:
        return [np.zeros(1)] * self.bits


class DoubleBitQuantiser(Quantiser):
    """Two bits a dimension: 10 below, 00 between and 01 above two learned thresholds.

    Double-bit quantisation (Kong & Li, AAAI 2012). Neighbouring regions differ in one bit, the
    outer ones in two. The thresholds t1 ≤ 0 ≤ t2 of the centred values maximise
    s1²/|S1| + s3²/|S3|, s the sums of the regions below t1 and above t2: that leaves the least
    within the regions when the middle one is read back as zero. The paper moves both thresholds
    at once so that the middle region sums to about zero; but each of the two terms depends on one
    threshold only, so that one scan of the sorted values for each finds the maximum exactly.
    """

    name = "double-bit"
    description = "two bits a dimension: below, between or above two thresholds"

    def needed_dims(self, bits: int) -> int:
        return bits // 2

    def _fit(self, values: Doubles, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
        used = values[:, : self.bits // 2]
        mean = used.mean(axis=0)
        ordered = np.sort(used - mean, axis=0)
        per_dim = [
            np.array([lower_threshold(column), -lower_threshold(-column[::-1])])
            for column in ordered.T
        ]
        per_dim = [pair + centre for pair, centre in zip(per_dim, mean, strict=True)]
        return one_dimension_each(values.shape[1], per_dim, [np.array([-1.0, 1.0])] * len(per_dim))


class ManhattanQuantiser(ThresholdQuantiser):
    """Regions by one-dimensional k-means, coded so that Hamming distance counts the steps between.

    Manhattan quantisation (Kong, Li & Guo, SIGIR 2012) numbers 2^q regions of each dimension and
    compares items by the sum of |difference| of those numbers. Here region r is stored as a
    thermometer, r ones then zeros, on which plain Hamming distance is that sum; it takes 2^q − 1
    bits a dimension instead of q. A last dimension may get fewer bits than the others.

    Parameters
    ----------
    regions: of each dimension, at least 2; 4 is the paper's q = 2.
    """

    name = "manhattan"
    description = "regions of each dimension by k-means, as a thermometer code"

    def __init__(self, bits: int = 128, seed: int = 0, regions: int = 4) -> None:
        super().__init__(bits, seed)
        self.regions = regions

    def needed_dims(self, bits: int) -> int:
        return -(-bits // (check_count(self.regions, "regions", 2) - 1))

    def _place(self, values: Doubles, rng: np.random.Generator) -> list[Doubles]:
        most = self.regions - 1
        return [
            regions_of(values[:, start // most], min(most, self.bits - start))[-1]
            for start in range(0, self.bits, most)
        ]


def one_dimension_each(
    dims: int, per_dim: list[Doubles], signs: list[Doubles]
) -> tuple[Doubles, Doubles]:
    """Directions ``(dims, bits)`` and thresholds ``(bits,)`` of bits that see one dimension each.

    ``signs`` is 1 for a bit that says "above its threshold", -1 for "below".
    """
    columns = np.repeat(np.arange(len(per_dim)), [len(t) for t in per_dim])
    sign = np.concatenate(signs)
    directions = np.zeros((dims, len(columns)))
    directions[columns, np.arange(len(columns))] = sign
    return directions, sign * np.concatenate(per_dim)


def lower_threshold(ordered: Doubles) -> float:
    """t ≤ 0 that maximises (Σ of the values below t)² / their number, of ascending values.

    0 where no value is negative. Halfway between two values, so that none lies on it.
    """
    negative = int(np.searchsorted(ordered, 0.0))
    if not negative:
        return 0.0
    sums = np.cumsum(ordered[:negative])
    # A threshold cannot part equal values.
    last_of_equals = np.append(np.diff(ordered[:negative]) > 0, True)
    gain = np.where(last_of_equals, sums**2 / np.arange(1, negative + 1), -np.inf)
    best = int(np.argmax(gain))
    above = 0.0 if best + 1 == negative else ordered[best + 1]
    return float((ordered[best] + above) / 2)
