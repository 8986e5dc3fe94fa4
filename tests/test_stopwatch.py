"""The stopwatch: parts without the parts inside them, and nothing where it is off."""

from time import perf_counter, sleep

import pytest

from xmodal.stopwatch import OFF, Stopwatch


def test_a_part_does_not_count_what_runs_inside_it() -> None:
    watch = Stopwatch()
    began = perf_counter()
    with watch.part("outer"):
        with watch.part("inner"):
            sleep(0.05)
        with watch.part("inner"):
            sleep(0.01)
    passed = perf_counter() - began
    assert watch.seconds["inner"] >= 0.06
    assert watch.seconds["outer"] < passed - 0.06 + 1e-6
    assert sum(watch.seconds.values()) <= passed


def test_a_part_that_raises_is_counted_and_ended() -> None:
    watch = Stopwatch()
    with pytest.raises(ValueError, match="no"), watch.part("a"), watch.part("b"):
        raise ValueError("no")
    with watch.part("c"):
        sleep(0.01)
    assert list(watch.seconds) == ["a", "b", "c"]
    assert watch.seconds["a"] + watch.seconds["b"] < watch.seconds["c"]


def test_what_is_told_has_all_parts_and_the_total() -> None:
    watch = Stopwatch()
    with watch.part("scan"):
        pass
    told = watch.told(before=0.25)
    assert told.startswith("start 250.0, scan 0.")
    assert told.endswith(" ms")
    assert float(told.split("total ")[1].split()[0]) >= 250


def test_off_keeps_nothing() -> None:
    with OFF.part("scan"), OFF.part("scan"):
        pass
    assert OFF.seconds == {}
