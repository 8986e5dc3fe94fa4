"""Projections as principal components give them: columns in order of quickly falling variance."""

from collections.abc import Callable

import numpy as np
import pytest


def make_values(rows: int = 600, dims: int = 64, seed: int = 0) -> np.ndarray:
    """Column i has the standard deviation 1 / i; float32 ``(rows, dims)``."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, dims)) / np.arange(1, dims + 1)).astype(np.float32)


@pytest.fixture(scope="session")
def values() -> np.ndarray:
    return make_values()


@pytest.fixture(scope="session")
def values_of() -> Callable[..., np.ndarray]:
    """``values_of(rows=600, dims=64, seed=0)``: see ``make_values``."""
    return make_values
