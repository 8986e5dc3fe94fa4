"""Ridge regression from sums."""

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from xmodal.hashing.ridge import RidgeSums


def _data():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 6)) * [1, 2, 3, 4, 5, 0.1] + 7
    return features, np.sign(rng.normal(size=(80, 3)))


def test_equals_the_ridge_of_scikit_learn_on_standardised_features():
    features, codes = _data()
    sums = RidgeSums(6, 3)
    sums.add(features, codes)
    for ridge, (matrix, offset) in zip((0.5, 40.0), sums.solve([0.5, 40.0]), strict=True):
        scaled = StandardScaler().fit_transform(features)
        # The offset is that of centred features: no intercept, so that bits stay balanced.
        expected = Ridge(alpha=ridge).fit(scaled, codes)
        np.testing.assert_allclose(features @ matrix + offset, scaled @ expected.coef_.T, atol=1e-8)


def test_rows_in_parts_give_the_same_as_at_once():
    features, codes = _data()
    whole, parts = RidgeSums(6, 3), RidgeSums(6, 3)
    whole.add(features, codes)
    for start in range(0, 80, 7):
        parts.add(features[start : start + 7], codes[start : start + 7])
    for at_once, added in zip(whole.solve(1.0)[0], parts.solve(1.0)[0], strict=True):
        np.testing.assert_allclose(at_once, added, atol=1e-10)


def test_constant_column_gets_no_weight():
    features, codes = _data()
    features[:, 2] = 1e6 / 3
    sums = RidgeSums(6, 3)
    sums.add(features, codes)
    matrix, _ = sums.solve(1.0)[0]
    assert not matrix[2].any()
    assert np.isfinite(matrix).all()
