"""What every quantiser promises; a new one is tested by being registered."""

import itertools

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from xmodal.errors import HasherError
from xmodal.evaluate import average_precision, in_ranked_order, rank_items
from xmodal.quantising import create_quantiser, list_quantisers

BITS = 32
NAMES = [info.name for info in list_quantisers()]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def signs(quantiser, values):
    return np.where(quantiser.reals(values) > 0, 1.0, -1.0)


def read_back(quantiser, values):
    return quantiser.mean_ + (signs(quantiser, values) - quantiser.balance_) @ quantiser.steps_


def test_code_is_the_packed_sign_of_the_reals(name, values):
    quantiser = create_quantiser(name, BITS).fit(values)
    reals, codes = quantiser.reals(values), quantiser.encode(values)
    assert (reals.dtype, reals.shape) == (np.float32, (600, BITS))
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, np.packbits(reals > 0, axis=1))
    assert quantiser.encode(values[:0]).shape == (0, BITS // 8)


def test_same_seed_gives_the_same_code_whatever_the_row_order_of_a_batch(name, values):
    first, second = (create_quantiser(name, BITS, seed=1).fit(values) for _ in range(2))
    np.testing.assert_array_equal(first.encode(values), second.encode(values))
    np.testing.assert_array_equal(first.encode(values)[::-1], first.encode(values[::-1]))


def test_code_does_not_depend_on_the_number_of_threads(name, values_of):
    rows = values_of(rows=2000)
    codes = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            codes.append(create_quantiser(name, 64).fit(rows).encode(rows))
    np.testing.assert_array_equal(*codes)


def test_fit_on_many_rows_learns_from_a_sample(name, values_of):
    rows = values_of(rows=20_000, dims=16)
    quantiser = create_quantiser(name, 16).fit(rows)
    few = create_quantiser(name, 16).fit(rows[:10_000])
    assert quantiser.loss(rows) == pytest.approx(few.loss(rows), rel=0.05)


def test_loss_is_the_share_of_the_variance_that_the_code_does_not_tell(name, values):
    quantiser = create_quantiser(name, BITS).fit(values)
    residual = values - read_back(quantiser, values)
    assert quantiser.loss(values) == pytest.approx(
        residual.var(axis=0).sum() / values.var(axis=0).sum(), rel=1e-5
    )
    assert 0 < quantiser.loss(values) < quantiser.hamming_loss(values) < 1


def test_no_other_steps_along_the_directions_lose_less(name, values):
    quantiser = create_quantiser(name, BITS).fit(values)
    best, least = quantiser.loss(values), quantiser.hamming_loss(values)
    rng = np.random.default_rng(0)
    steps, scale = quantiser.steps_, quantiser.scale_
    for _ in range(5):
        quantiser.steps_ = steps * rng.normal(1, 0.05, (BITS, 1))
        quantiser.scale_ = scale * rng.normal(1, 0.05)
        assert quantiser.loss(values) > best
        assert quantiser.hamming_loss(values) > least


@pytest.mark.parametrize("seed", [0, 1])
def test_more_bits_never_lose_more(name, values_of, seed):
    rows = values_of(seed=seed)
    losses = [create_quantiser(name, bits).fit(rows).loss(rows) for bits in (8, 24, 40, 64)]
    assert losses == sorted(losses, reverse=True)


def test_query_weights_score_by_the_inner_product_with_what_a_code_is_read_back_as(name, values):
    quantiser = create_quantiser(name, BITS).fit(values)
    queries, items = values[:20], values[20:]
    scores = quantiser.weights(queries) @ signs(quantiser, items).T
    exact = (queries - quantiser.mean_) @ read_back(quantiser, items).T
    offset = (scores - exact).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(scores - offset, exact, atol=1e-5)


def mean_average_precision(quantiser, queries, items):
    """mAP by Hamming distance of the 20 items nearest to each query by Euclidean distance."""
    distances = ((queries[:, None] - items) ** 2).sum(axis=-1)
    near = distances <= np.sort(distances, axis=1)[:, 19:20]
    ranking = rank_items(-signs(quantiser, queries) @ signs(quantiser, items).T)
    return average_precision(in_ranked_order(near, ranking)).mean()


@pytest.mark.parametrize("bits", [32, 64])
def test_several_bits_for_an_informative_dimension_beat_one_sign_bit_each(values_of, bits):
    """The survey's claim 4, on principal components: the same length, each finer than the last."""
    values = values_of(rows=1200)
    quality = [
        mean_average_precision(create_quantiser(name, bits).fit(values), values[:100], values[100:])
        for name in ("sign", "double-bit", "manhattan", "variable-bit")
    ]
    assert all(finer > 1.3 * coarser for coarser, finer in itertools.pairwise(quality))


def test_quantisation_loses_more_than_projection(values):
    """The survey's claim 2: most of what a sign code loses is lost after the projection."""
    kept = values[:, :32]
    projection_loss = values[:, 32:].var(axis=0).sum() / values.var(axis=0).sum()
    assert create_quantiser("sign", 32).fit(kept).loss(kept) > 10 * projection_loss


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: v.astype(str), "values: expected an array of real numbers, found dtype <U"),
        (lambda v: v[0], r"values: expected shape \(rows, columns\), found shape \(64,\)"),
        (lambda v: np.where(np.eye(600, 64, -3) > 0, np.nan, v), "found nan in row 3"),
        (lambda v: np.where(np.eye(600, 64, -5) > 0, np.inf, v), "found inf in row 5"),
    ],
)
def test_wrong_values_are_named(name, values, spoil, message):
    fitted = create_quantiser(name, BITS).fit(values)
    for use in (create_quantiser(name, BITS).fit, fitted.encode, fitted.loss, fitted.weights):
        with pytest.raises(HasherError, match=message):
            use(spoil(values))


def test_values_that_teach_nothing_are_refused(name, values):
    quantiser = create_quantiser(name, BITS)
    with pytest.raises(HasherError, match="values: expected at least 2 rows, found 1"):
        quantiser.fit(values[:1])
    with pytest.raises(HasherError, match="values: expected rows that differ, found 5 equal rows"):
        quantiser.fit(np.ones((5, 64)))
    with pytest.raises(HasherError, match="values: expected at least 1 row, found 0"):
        quantiser.fit(values).loss(values[:0])


def test_another_number_of_columns_is_named(name, values):
    quantiser = create_quantiser(name, BITS).fit(values)
    with pytest.raises(HasherError, match=rf"expected 64 columns, as when {name}.*found 63"):
        quantiser.reals(values[:, :63])


def test_unfitted_quantiser_says_so(name, values):
    quantiser = create_quantiser(name, BITS)
    for use in (quantiser.encode, quantiser.loss, quantiser.hamming_loss, quantiser.weights):
        with pytest.raises(HasherError, match=f"{name}: not fitted yet"):
            use(values)


def test_too_few_columns_for_the_bits_say_how_many_are_needed(name, values):
    quantiser = create_quantiser(name, BITS)
    needed = quantiser.needed_dims(BITS)
    assert quantiser.fit(values[:, :needed]).encode(values[:, :needed]).shape == (600, BITS // 8)
    if needed > 1:
        message = f"values: expected at least {needed} columns for 32 bits of {name}, found 1"
        with pytest.raises(HasherError, match=message):
            quantiser.fit(values[:, :1])


def test_constant_columns_and_few_different_values_do_no_harm(name, values):
    rows = np.round(values)
    rows[:, 3] = 5
    quantiser = create_quantiser(name, BITS).fit(rows)
    assert np.isfinite(quantiser.loss(rows))
    assert np.isfinite(quantiser.weights(rows)).all()


def test_values_far_from_zero_are_quantised_alike_or_refused(name, values):
    quantiser, moved = create_quantiser(name, BITS), create_quantiser(name, BITS)
    if name == "sign":
        with pytest.raises(HasherError, match="values on both sides of zero for sign, found none"):
            moved.fit(values + 100)
    else:
        loss = quantiser.fit(values).loss(values)
        assert moved.fit(values + 100).loss(values + 100) == pytest.approx(loss, rel=0.02)


def test_failed_fit_keeps_the_code_of_before(name, values):
    quantiser = create_quantiser(name, BITS).fit(values)
    codes = quantiser.encode(values)
    with pytest.raises(HasherError):
        quantiser.fit(np.ones((5, 64)))
    np.testing.assert_array_equal(quantiser.encode(values), codes)


def test_misspelt_names_and_parameters_are_answered_with_the_valid_ones():
    with pytest.raises(HasherError, match="unknown quantiser 'manhatan': did you mean 'manhattan'"):
        create_quantiser("manhatan")
    with pytest.raises(HasherError, match="sign: unknown parameter 'regions'; it takes bits, seed"):
        create_quantiser("sign", regions=4)
    with pytest.raises(HasherError, match=r"bits: expected a multiple of 8 .* found 12"):
        create_quantiser("sign", 12)
    with pytest.raises(HasherError, match=r"regions: expected a whole number .* 2, found 1"):
        create_quantiser("manhattan", 16, regions=1).fit(np.eye(16))
    with pytest.raises(HasherError, match=r"most: expected a whole number .* 1, found 2.5"):
        create_quantiser("variable-bit", 16, most=2.5).fit(np.eye(16))
