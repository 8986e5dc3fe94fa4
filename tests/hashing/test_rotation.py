"""Rotations and tight frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.hashing.rotation import itq_rotation, random_frame, unit_rows


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(0, 24), st.integers(0, 2**32 - 1))
def test_frames_have_orthonormal_rows(dim, more, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(20, dim))
    frame = itq_rotation(values, np.ones(20), dim + more, rng, iterations=3)
    assert frame.shape == (dim, dim + more)
    np.testing.assert_allclose(frame @ frame.T, np.eye(dim), atol=1e-8)


def test_random_frame_of_whole_rotations_measures_every_direction_alike():
    frame = random_frame(8, 24, np.random.default_rng(0))
    np.testing.assert_allclose(frame @ frame.T, 3 * np.eye(8), atol=1e-8)


@pytest.mark.parametrize("bits", [12, 30])
def test_learned_rotation_loses_less_than_a_random_one(bits):
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 1.0], size=(300, 12)) @ random_frame(12, 12, rng)
    values += 0.3 * rng.normal(size=values.shape)

    def kept(frame):
        return np.abs(values @ frame).mean()  # what signs keep: tr(Bᵀ V R) per value

    start = np.linalg.qr(random_frame(12, bits, np.random.default_rng(1)).T)[0].T
    learned = itq_rotation(values, np.ones(300), bits, np.random.default_rng(1))
    assert kept(learned) > 1.05 * kept(start)


def test_unit_rows_leave_a_zero_row():
    np.testing.assert_allclose(unit_rows(np.array([[3, 4], [0, 0]])), [[0.6, 0.8], [0, 0]])
