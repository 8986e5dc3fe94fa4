"""What counts as chance: the null law, the cut of the list, and made-up libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmodal.encoders.background import Background
from xmodal.encoders.base import normalise
from xmodal.query.confidence import (
    FALSE_SHARE,
    Calibration,
    NullScores,
    better_than_chance,
    calibrate,
    fit_lower_half,
)

DIM = 64
chances = st.lists(st.floats(0, 50), max_size=40)


def random_rows(rng: np.random.Generator, count: int) -> np.ndarray:
    return normalise(rng.standard_normal((count, DIM)).astype(np.float32))


@pytest.fixture(scope="module")
def background() -> Background:
    rng = np.random.default_rng(1)
    words = [f"word {i}" for i in range(1500)]
    return Background(words, random_rows(rng, len(words)), random_rows(rng, 40))


@pytest.fixture(scope="module")
def pictures(background: Background) -> np.ndarray:
    """300 pictures, each of one of the first 300 words and of noise."""
    rng = np.random.default_rng(2)
    return normalise(background.word_features[:300] + 0.8 * random_rows(rng, 300))


@pytest.fixture(scope="module")
def calibration(background: Background, pictures: np.ndarray) -> Calibration:
    return calibrate(pictures, background)


@given(st.integers(200, 3000), st.floats(-3, 3), st.floats(0.01, 2), st.floats(0, 0.3))
def test_law_is_found_although_upper_values_are_of_other_origin(
    count: int, location: float, scale: float, present: float
) -> None:
    rng = np.random.default_rng(count)
    best = rng.gumbel(location, scale, count)
    best[: int(present * count)] += 6 * scale
    found_location, found_scale = fit_lower_half(best)
    # What is there takes words out of the lower half, which then reaches a little further up.
    assert abs(found_location - location) < (0.25 + 2 * present) * scale
    assert 0.6 < found_scale / scale < 2.2


@given(chances)
def test_list_is_the_longest_of_which_chance_explains_little(chance: list[float]) -> None:
    ordered = sorted(chance)
    allowed = [r for r in range(1, len(chance) + 1) if ordered[r - 1] <= FALSE_SHARE * r]
    sure = better_than_chance(np.array(chance))
    assert sorted(np.array(chance)[sure]) == [
        c for c in ordered if allowed and c <= ordered[allowed[-1] - 1]
    ]


def test_unknown_chance_counts_as_chance() -> None:
    assert better_than_chance(np.array([np.nan, 0.01, np.nan])).tolist() == [False, True, False]
    assert not better_than_chance(np.array([np.nan])).any()


def test_fewer_are_expected_at_a_better_score_and_more_in_a_larger_library(
    calibration: Calibration,
) -> None:
    scores = np.linspace(-1, 1, 200)
    for null in (calibration.text, calibration.image):
        expected = null.expected(scores, 300)
        assert (np.diff(expected) <= 1e-12).all()
        assert expected[0] <= 300 + 1e-9
        assert (null.expected(scores, 3000) >= expected - 1e-12).all()
        assert (null.expected(scores, 0) == 0)[-1]


def test_words_that_are_there_are_found_and_others_seldom(
    background: Background, pictures: np.ndarray, calibration: Calibration
) -> None:
    def answered(query: np.ndarray) -> bool:
        chance = calibration.chance(query, "text", pictures, background, len(pictures))
        return bool(better_than_chance(chance).any())

    there = [answered(word) for word in background.word_features[:100]]
    others = random_rows(np.random.default_rng(3), 400)
    absent = [answered(query) for query in others]
    assert np.mean(there) > 0.9
    assert np.mean(absent) < 2 * FALSE_SHARE


def test_a_picture_finds_its_copy_and_not_strangers(
    background: Background, pictures: np.ndarray, calibration: Calibration
) -> None:
    rng = np.random.default_rng(4)
    near = normalise(pictures[:50] + 0.3 * random_rows(rng, 50))
    strange = random_rows(rng, 200)

    def answered(query: np.ndarray) -> bool:
        chance = calibration.chance(query, "image", pictures, background, len(pictures))
        return bool(better_than_chance(chance).any())

    assert np.mean([answered(query) for query in near]) > 0.9
    assert np.mean([answered(query) for query in strange]) < 0.25


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_library_of_few_pictures_can_be_calibrated(background: Background, count: int) -> None:
    few = background.word_features[:count]
    calibration = calibrate(few, background)
    chance = calibration.chance(few[0], "text", few, background, count)
    assert np.isfinite(chance).all()
    assert chance[0] == chance.min()
    assert np.isfinite(calibration.chance(few[0], "image", few, background, count)).all()


def test_pictures_without_a_feature_have_no_chance(
    background: Background, pictures: np.ndarray, calibration: Calibration
) -> None:
    rows = pictures[:3].copy()
    rows[1] = np.nan
    chance = calibration.chance(background.word_features[0], "text", rows, background, 300)
    assert np.isnan(chance).tolist() == [False, True, False]


def test_calibration_is_read_as_it_was_written(calibration: Calibration) -> None:
    read = Calibration.load(calibration.dump())
    assert read.text == calibration.text
    assert read.image == calibration.image
    np.testing.assert_array_equal(read.image_mean, calibration.image_mean)


def test_null_of_equal_scores_is_finite() -> None:
    null = NullScores.of(np.zeros((5, 20), np.float32))
    assert np.isfinite(null.expected(np.array([-1.0, 0.0, 1.0]), 5)).all()
