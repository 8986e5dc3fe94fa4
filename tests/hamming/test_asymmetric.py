"""Asymmetric scores equal the inner product with the unpacked signs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.errors import CodesError
from xmodal.hamming import asymmetric_scores, pack_bits, unpack_signs


@given(st.integers(1, 128), st.integers(0, 40), st.integers(1, 4), st.integers(0, 2**32))
def test_scores_are_inner_products_with_signs(
    code_bytes: int, n: int, queries: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (n, code_bytes), dtype=np.uint8)
    query = rng.standard_normal((queries, 8 * code_bytes)).astype(np.float32)
    scores = asymmetric_scores(query, codes)
    assert scores.dtype == np.float32
    assert scores.shape == (queries, n)
    np.testing.assert_allclose(scores, query @ unpack_signs(codes).T, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(asymmetric_scores(query[0], codes), scores[0])


def test_more_codes_than_a_block_give_the_same_scores() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (10_000, 2), dtype=np.uint8)
    query = rng.integers(-9, 9, 16).astype(np.float32)  # whole numbers: sums are exact
    np.testing.assert_array_equal(asymmetric_scores(query, codes), unpack_signs(codes) @ query)


def test_a_code_scores_highest_with_the_query_it_came_from() -> None:
    query = np.random.default_rng(1).standard_normal((20, 64)).astype(np.float32)
    scores = asymmetric_scores(query, pack_bits(query))
    assert scores.argmax(1).tolist() == list(range(20))


@pytest.mark.parametrize(
    ("query", "codes", "expected"),
    [
        (np.zeros(16, np.float32), np.zeros((2, 3), np.uint8), r"\(n, 2\) \(16 bits\).*\(2, 3\)"),
        (np.zeros(16, np.int64), np.zeros((2, 2), np.uint8), "float32, found int64"),
        (np.zeros(12, np.float32), np.zeros((2, 2), np.uint8), r"\(bits,\).*\(12,\)"),
        (np.zeros(16, np.float32), np.zeros((2, 2), np.int8), "uint8, found int8"),
    ],
)
def test_wrong_arrays_are_named(query: np.ndarray, codes: np.ndarray, expected: str) -> None:
    with pytest.raises(CodesError, match=expected):
        asymmetric_scores(query, codes)
