"""Packing: bits, bytes and planes hold the same code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xmodal.errors import CodesError
from xmodal.hamming import from_planes, pack_bits, to_planes, unpack_signs

codes = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=40))


@given(codes)
def test_planes_and_codes_are_the_same_thing(codes: np.ndarray) -> None:
    planes = to_planes(codes)
    assert planes.dtype == np.uint64
    assert planes.shape == (-(-codes.shape[1] // 8), codes.shape[0])
    assert all(plane.flags.c_contiguous for plane in planes)
    np.testing.assert_array_equal(from_planes(planes, codes.shape[1]), codes)


@given(arrays(np.uint8, st.tuples(st.integers(0, 9), st.integers(1, 128))))
def test_signs_pack_into_the_codes_they_came_from(codes: np.ndarray) -> None:
    signs = unpack_signs(codes)
    assert signs.dtype == np.int8
    assert set(np.unique(signs)) <= {-1, 1}
    np.testing.assert_array_equal(pack_bits(signs), codes)
    np.testing.assert_array_equal(pack_bits(signs > 0), codes)


def test_a_word_is_eight_bytes_read_little_endian() -> None:
    codes = np.array([[1, 2, 3, 4, 5, 6, 7, 8, 9]], dtype=np.uint8)
    planes = to_planes(codes)
    assert planes[0, 0] == int.from_bytes(bytes(range(1, 9)), "little")
    assert planes[1, 0] == 9


def test_zero_and_nan_pack_as_zero() -> None:
    values = np.array([[0.0, np.nan, -0.0, 1e-9, -1, 0, 0, 0]])
    assert pack_bits(values).tolist() == [[0b00010000]]


def test_strided_and_read_only_codes_are_taken() -> None:
    codes = np.arange(240, dtype=np.uint8).reshape(10, 24)
    view = codes[::2, ::3]
    view.flags.writeable = False
    np.testing.assert_array_equal(from_planes(to_planes(view), 8), view)
    np.testing.assert_array_equal(pack_bits(unpack_signs(view)), view)
    np.testing.assert_array_equal(from_planes(to_planes(codes)[:, ::2], 24), codes[::2])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: pack_bits(np.zeros((2, 12))), "multiple of 8 from 8 to 1024, not 12"),
        (lambda: pack_bits(np.zeros((2, 1032))), "not 1032"),
        (lambda: pack_bits(np.zeros(8)), r"shape \(n, bits\), found shape \(8,\)"),
        (lambda: to_planes(np.zeros((2, 8))), "uint8, found float64"),
        (lambda: to_planes(np.zeros(8, np.uint8)), r"found \(8,\)"),
        (lambda: to_planes([[1]]), "found list"),  # type: ignore[arg-type]
        (lambda: from_planes(np.zeros((1, 3), np.uint64), 9), r"\(2, n\), found \(1, 3\)"),
        (lambda: from_planes(np.zeros((1, 3), np.int64), 8), "uint64, found int64"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arrays_are_named(call, expected: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CodesError, match=expected):
        call()
