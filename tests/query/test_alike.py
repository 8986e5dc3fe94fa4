"""Stars of pictures that look alike: each in one group, and the same by codes as by all pairs."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.encoders.base import normalise
from xmodal.hashing import create_hasher
from xmodal.query.alike import BURST_SECONDS, Looks, Shot, runs_of
from xmodal.query.duplicates import grouped

NOON = datetime(2024, 5, 1, 12)
seeds = st.integers(0, 2**32 - 1)


def looks_of(seed: int, count: int = 40, dim: int = 24) -> Looks:
    """Versions of few pictures, some without a feature, in a few runs."""
    rng = np.random.default_rng(seed)
    subjects = rng.standard_normal((8, dim))
    rows = subjects[rng.integers(0, 8, count)] + rng.uniform(0, 0.7) * rng.standard_normal(
        (count, dim)
    )
    rows[rng.random(count) < 0.1] = np.nan
    return Looks(normalise(rows.astype(np.float32)), rng.integers(-1, 3, count))


@given(seeds)
def test_each_picture_is_like_the_first_of_its_group_and_like_no_first_before_that(seed):
    looks = looks_of(seed)
    leaders = looks.leaders()
    firsts = np.flatnonzero(leaders == np.arange(len(leaders)))
    for place, leader in enumerate(leaders.tolist()):
        assert leader in firsts
        before = firsts[firsts < (place if leader == place else leader)]
        assert not looks.alike(np.full(len(before), place), before).any()
        assert leader == place or looks.alike(np.array([place]), np.array([leader])).all()


@settings(max_examples=30)
@given(seeds)
def test_groups_by_codes_are_those_of_all_pairs_where_codes_of_versions_are_near(seed):
    looks = looks_of(seed)
    known = np.nan_to_num(looks.features)
    codes = create_hasher("lsh", bits=512, seed=seed % 1000).fit(known, known).encode_images(known)
    # As alike as the relation asks for, but the codes are too far apart: those are not looked at.
    leaders = looks.leaders()
    expected: dict[int, list[int]] = {}
    for place, leader in enumerate(leaders.tolist()):
        expected.setdefault(leader, []).append(place)
    found = [group.tolist() for group in grouped(looks, codes)]
    assert len({place for group in found for place in group}) == sum(map(len, found))
    whole = [members for members in expected.values() if len(members) > 1]
    apart = np.bitwise_count(codes[:, None] ^ codes).sum(2)
    if all(apart[m[0], other] <= int(0.22 * 512) for m in whole for other in m[1:]):
        assert sorted(found) == sorted(whole)
    assert all(looks.alike(np.full(len(g) - 1, g[0]), np.array(g[1:])).all() for g in found)


times = st.lists(
    st.none() | st.tuples(st.sampled_from([None, "A", "B"]), st.integers(0, 60)), max_size=30
)


@given(times)
def test_runs_join_shots_of_one_camera_that_follow_within_seconds(shots):
    made = [s and Shot(s[0], NOON + timedelta(seconds=s[1])) for s in shots]
    runs = runs_of(made)
    assert [run < 0 for run in runs] == [shot is None for shot in made]
    for camera in (None, "A", "B"):
        mine = sorted((s[1], runs[i]) for i, s in enumerate(shots) if s and s[0] == camera)
        for (time, run), (later, next_run) in pairwise(mine):
            assert (run == next_run) == (later - time <= BURST_SECONDS)
    known = {run: shots[i][0] for i, run in enumerate(runs.tolist()) if run >= 0}
    assert all(known[runs[i]] == s[0] for i, s in enumerate(shots) if s)
