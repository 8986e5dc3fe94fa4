"""Each quantiser has the properties that its paper proves."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.hamming import HammingIndex
from xmodal.quantising import create_quantiser
from xmodal.quantising.regions import regions_of
from xmodal.quantising.thresholds import lower_threshold
from xmodal.quantising.variable import near_pairs, same_region_f1, spend

columns = st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=14).map(np.array)


def double_bit_objective(column, t1, t2):
    """s1²/|S1| + s3²/|S3| of the regions below t1 and above t2."""
    outer = column[column < t1], column[column > t2]
    return sum(part.sum() ** 2 / len(part) for part in outer if len(part))


@settings(deadline=None)
@given(columns)
def test_double_bit_thresholds_are_the_best_of_all(column):
    ordered = np.sort(column - column.mean())
    t1, t2 = lower_threshold(ordered), -lower_threshold(-ordered[::-1])
    assert t1 <= 0 <= t2
    cuts = np.concatenate([ordered, (ordered[:-1] + ordered[1:]) / 2, [0.0]])
    best = max(
        double_bit_objective(ordered, low, high)
        for low, high in itertools.product(cuts[cuts <= 0], cuts[cuts >= 0])
    )
    assert double_bit_objective(ordered, t1, t2) >= best * (1 - 1e-6) - 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_double_bit_is_at_least_as_good_as_the_scan_of_the_paper(seed):
    """Algorithm 1 of Kong & Li 2012: grow the middle region from zero, its sum kept about zero."""
    column = np.sort(np.random.default_rng(seed).gamma(2.0, size=300))
    column -= column.mean()
    first = last = int(np.searchsorted(column, 0.0))  # the middle is column[first:last]
    reached = []
    while first > 0 and last < len(column):
        if column[first:last].sum() <= 0:
            last += 1
        else:
            first -= 1
        outer = column[:first], column[last:]
        reached.append(sum(p.sum() ** 2 / len(p) for p in outer if len(p)))
    t1, t2 = lower_threshold(column), -lower_threshold(-column[::-1])
    assert double_bit_objective(column, t1, t2) >= max(reached) * (1 - 1e-9)


def test_double_bit_codes_its_regions_10_00_01(values):
    quantiser = create_quantiser("double-bit", 32).fit(values)
    bits = (quantiser.reals(values) > 0).reshape(-1, 16, 2)
    assert not bits.all(axis=2).any()
    for dim in range(16):
        below, above = bits[:, dim, 0], bits[:, dim, 1]
        column, between = values[:, dim], ~bits[:, dim].any(axis=1)
        assert column[below].max() < column[between].min()
        assert column[between].max() < column[above].min()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.sampled_from([8, 16, 24]), st.integers(0, 2**32 - 1))
def test_hamming_distance_of_thermometers_is_the_distance_of_region_numbers(regions, bits, seed):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((40, bits)).astype(np.float32)
    quantiser = create_quantiser("manhattan", bits, regions=regions).fit(rows)
    thresholds = [
        quantiser.thresholds_[quantiser.directions_[dim] > 0]
        for dim in range(quantiser.needed_dims(bits))
    ]
    assert sum(map(len, thresholds)) == bits
    number = np.stack(
        [(rows[:, [dim]] > t).sum(axis=1) for dim, t in enumerate(thresholds)], axis=1
    )
    index = HammingIndex(bits)
    index.add(np.arange(40), quantiser.encode(rows))
    hits = index.search(quantiser.encode(rows[:5]), 40)
    distances = np.take_along_axis(hits.distances, np.argsort(hits.ids, axis=1), axis=1)
    np.testing.assert_array_equal(distances, np.abs(number[:5, None] - number).sum(axis=2))


@settings(deadline=None)
@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=60).map(np.array))
def test_more_regions_leave_no_more_within_them(column):
    def within(thresholds):
        region = np.searchsorted(thresholds, column)
        return sum(column[region == r].var() * (region == r).sum() for r in np.unique(region))

    found = regions_of(column, 5)
    assert [len(t) for t in found] == list(range(6))
    assert all((np.diff(t) >= 0).all() for t in found)
    left = [within(t) for t in found]
    assert all(b <= a * (1 + 1e-6) + 1e-6 for a, b in itertools.pairwise(left))


def test_four_regions_of_normal_values_are_the_known_optimum():
    """Max 1960, table I: thresholds 0 and ±0.9816, loss 0.1175."""
    column = np.random.default_rng(0).standard_normal(200_000)
    np.testing.assert_allclose(regions_of(column, 3)[-1], [-0.9816, 0, 0.9816], atol=0.02)
    rows = column.reshape(-1, 8)
    quantiser = create_quantiser("manhattan", 24).fit(rows)
    assert quantiser.loss(rows) == pytest.approx(0.1175, abs=0.002)


def test_signs_of_normal_values_lose_the_known_share():
    """One bit reads a normal value back as ±√(2/π): 1 − 2/π is lost."""
    rows = np.random.default_rng(0).standard_normal((25_000, 8))
    assert create_quantiser("sign", 8).fit(rows).loss(rows) == pytest.approx(
        1 - 2 / np.pi, abs=0.01
    )


def test_rotation_lowers_what_hamming_distance_loses(values):
    sign, rotation = (
        create_quantiser(name, 32).fit(values).hamming_loss(values) for name in ("sign", "rotation")
    )
    assert rotation < 0.6 * sign


def test_rotation_takes_fewer_dimensions_than_bits_and_leaves_what_is_beyond(values):
    few = create_quantiser("rotation", 32).fit(values[:, :10])
    assert few.directions_.shape == (10, 32)
    many = create_quantiser("rotation", 32).fit(values)
    assert not many.directions_[32:].any()
    square = many.directions_[:32]
    np.testing.assert_allclose(square @ square.T, np.eye(32), atol=1e-9)


def bits_of_dimensions(quantiser):
    return (quantiser.directions_ != 0).sum(axis=1)


@pytest.mark.parametrize("bits", [8, 24, 64])
def test_variable_bit_spends_all_bits_and_more_of_them_on_informative_dimensions(values, bits):
    spent = bits_of_dimensions(create_quantiser("variable-bit", bits).fit(values))
    assert spent.sum() == bits
    assert spent.max() <= 7
    assert spent[:2].min() > 1
    assert spent[:8].sum() > 2 * spent[32:40].sum()


def test_variable_bit_gives_noise_less_than_signal_wherever_it_stands(values_of):
    rng = np.random.default_rng(0)
    rows = 0.01 * rng.standard_normal((1200, 32))
    informative = [3, 9, 17, 30]
    rows[:, informative] = rng.standard_normal((1200, 4))
    spent = bits_of_dimensions(create_quantiser("variable-bit", 16).fit(rows))
    assert spent[informative].sum() == 16


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda options: st.lists(
            st.lists(st.floats(0, 1), min_size=options, max_size=options), min_size=1, max_size=5
        )
    ),
    st.data(),
)
def test_knapsack_is_the_best_of_all_ways_to_spend_the_bits(worth, data):
    worth = np.array(worth)
    dims, options = worth.shape
    budget = data.draw(st.integers(0, dims * (options - 1)))
    counts = spend(worth, budget)
    assert counts.sum() == budget
    best = max(
        sum(worth[dim, count] for dim, count in enumerate(ways))
        for ways in itertools.product(range(options), repeat=dims)
        if sum(ways) == budget
    )
    assert worth[np.arange(dims), counts].sum() == pytest.approx(best)


def test_f1_counts_near_pairs_in_one_region():
    column = np.array([0.0, 0.1, 5.0, 5.1])
    near = near_pairs(column[:, None])
    assert sorted(map(tuple, near)) == [(0, 1), (1, 0), (2, 3), (3, 2)]
    assert same_region_f1(column, np.array([2.5]), near) == 1.0
    assert same_region_f1(column, np.empty(0), near) == pytest.approx(2 * 4 / (12 + 4))
    assert same_region_f1(column, np.array([0.05]), near) == pytest.approx(2 * 2 / (6 + 4))
