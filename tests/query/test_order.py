"""Sorting is a permutation, groups are a partition, folding shows everything once."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toy import COLOURS
from typer.testing import CliRunner

from xmodal.cli.app import app
from xmodal.errors import UsageError
from xmodal.library import Library
from xmodal.query import folding, search
from xmodal.query.catalog import Facts
from xmodal.query.order import GROUPS, SORTS, Order, together

DAY = datetime(2024, 5, 1, 12)

days = st.integers(0, 3).map(lambda day: DAY + timedelta(days=day))
facts = st.builds(
    Facts,
    st.sampled_from(["a/b.jpg", "a/C.jpg", "b/a.jpg", "B/é.jpg", "a/É.jpg"]).map(Path),
    st.just([]),
    st.none() | days,
    days,
    st.none(),
)
orders = st.builds(Order, st.sampled_from(SORTS), st.booleans(), st.sampled_from([None, *GROUPS]))


@given(st.lists(facts), orders)
def test_sorting_is_a_permutation_in_which_keys_ascend_or_descend(rows, order):
    numbered = list(enumerate(rows))
    found = order.sorted(numbered, lambda row: row[1])
    assert sorted(number for number, _ in found) == list(range(len(rows)))
    assert order.sorted(found, lambda row: row[1]) == found
    if order.sort == "date":
        times = [each.time for _, each in found]
        assert times == sorted(times, reverse=not order.reverse)
    if order.sort == "relevance":
        assert found == numbered


@given(st.lists(facts), orders)
def test_groups_are_a_partition_in_the_order_of_their_first_rows(rows, order):
    numbered = list(enumerate(rows))
    found = together(numbered, lambda row: order.heading(row[1]))
    assert sorted(number for number, _ in found) == list(range(len(rows)))
    headings = [order.heading(each) for _, each in found]
    changes = [h for place, h in enumerate(headings) if not place or headings[place - 1] != h]
    assert len(changes) == len(set(headings))
    assert changes == list(dict.fromkeys(order.heading(each) for each in rows))
    for heading in set(headings):
        numbers = [number for number, each in found if order.heading(each) == heading]
        assert numbers == sorted(numbers)


def test_an_order_that_there_is_not_is_an_error_before_anything_is_opened(tmp_path):
    library = Library.open(tmp_path / "none.db")
    with pytest.raises(UsageError, match="cannot sort by 'size'; choose from relevance, date"):
        library.search("red", sort="size")
    with pytest.raises(UsageError, match="cannot group by 'week'; choose from day, folder"):
        library.search("red", group="week")


# Red pictures: two, a smaller version of the first, a copy of the second, and three of a burst.
TIMES = {
    "z/one.png": DAY,
    "y/two.png": DAY - timedelta(days=1),
    "z/shot1.png": DAY + timedelta(days=2),
    "z/shot2.png": DAY + timedelta(days=2, seconds=2),
    "z/shot3.png": DAY + timedelta(days=2, seconds=4),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def library(made: Path, save_picture: Callable[..., Path]):
    path, root = made / "library.db", made / "photos"
    if not path.exists():
        for seed, name in enumerate(TIMES):
            save_picture(root / name, "red", seed=seed)
        # Shots of one scene: some of their grain is that of the first.
        first = Image.open(root / "z/shot1.png")
        for name in ("z/shot2.png", "z/shot3.png"):
            with Image.open(root / name) as shot:
                Image.blend(first, shot, 0.6).save(root / name)
        with Image.open(root / "z/one.png") as one:
            one.resize((36, 30)).save(root / "z/small.png")
        shutil.copy(root / "y/two.png", root / "y/copy.png")
        for seed, colour in enumerate(COLOURS):
            save_picture(root / "x" / f"{colour}.png", colour, seed=100 + seed)
        for number, file in enumerate(sorted(root.rglob("*.png"))):
            os.utime(file, (1_600_000_000 + 86_400 * number,) * 2)
        with Library.open(path) as library:
            library.index([root], encoder="toy")
        with closing(sqlite3.connect(path)) as database, database:
            for name, time in TIMES.items():
                database.execute(
                    "INSERT INTO capture (item_id, taken_at, camera) "
                    "SELECT item_id, ?, 'X' FROM file WHERE relative_path = ?",
                    (f"{time:%Y-%m-%d %H:%M:%S}.000000", name),
                )
    with Library.open(path) as library:
        yield library


def names(results) -> list[str]:
    return [f"{result.path.parent.name}/{result.path.name}" for result in results]


def test_versions_and_shots_of_a_burst_are_one_result_and_copies_are_named(library):
    found = library.search("red", k=4)
    by_name = dict(zip(names(found), found, strict=True))
    reds = {n: r for n, r in by_name.items() if r.sure}
    assert len(reds) == 4
    one = by_name.get("z/one.png") or by_name["z/small.png"]
    (shot,) = (r for name, r in by_name.items() if "shot" in name)
    assert (one.similar, shot.similar) == (1, 2)
    assert names_of(by_name["y/copy.png"].copies) == ["two.png"]
    assert [result.rank for result in found] == [1, 2, 3, 4]


def names_of(paths) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("query", ["red", "red OR name:shot*", "in:z/", "-blue in:z/ OR red"])
def test_folding_shows_every_picture_once_and_fills_the_results(library, monkeypatch, query):
    loose = library.search(query, k=99, fold=False)
    folded = library.search(query, k=99)
    assert sum(1 + result.similar for result in folded) == len(loose)
    assert [r.path for r in loose if r.path in {f.path for f in folded}] == [r.path for r in folded]
    monkeypatch.setattr(folding, "SHORTLIST", 20)  # one is asked for at first
    monkeypatch.setattr(search, "CHANCE_DEPTH", 1)
    for k in range(1, len(folded) + 1):
        assert len(library.search(query, k=k)) == k


def test_what_chance_explains_is_judged_by_results_and_not_by_versions_of_them(library):
    folded = library.search("red", k=99)
    chances = sorted(result.chance for result in folded)
    limit = max((c for r, c in enumerate(chances, start=1) if c <= 0.1 * r), default=-1)
    assert [result.sure for result in folded] == [result.chance <= limit for result in folded]


def test_dates_are_those_of_capture_and_else_of_the_file(library):
    found = library.search("red", k=4, sort="date")
    assert next(n for n in names(found) if n[0] in "yz").startswith("z/shot")
    (undated,) = library.search("in:x/", k=1, sort="date")
    assert undated.path.name == "yellow.png"  # written last
    turned = library.search("in:x/", k=99, sort="-date")
    assert names(turned) == names(library.search("in:x/", k=99, sort="date"))[::-1]
    assert names(turned) == names(library.search("in:x/", k=99, sort="date", reverse=True))


def test_facts_alone_are_sorted_before_the_first_are_taken(library):
    stems = sorted(COLOURS)
    assert names_of(r.path for r in library.search("in:x/", k=3, sort="name")) == [
        f"{stem}.png" for stem in stems[:3]
    ]
    assert names_of(r.path for r in library.search("in:x/", k=3, sort="-name")) == [
        f"{stem}.png" for stem in stems[:-4:-1]
    ]


def test_what_is_sure_is_sorted_before_the_rest_and_all_together_where_that_is_asked_for(library):
    found = library.search("red", k=99, sort="name")
    sure = [result.path.name for result in found if result.sure]
    assert sure == sorted(sure)
    assert [result.sure for result in found] == sorted((r.sure for r in found), reverse=True)
    everything = library.search("red", k=99, sort="name", everything=True)
    assert names_of(r.path for r in everything) == sorted(r.path.name for r in found)
    by_folder = library.search("red", k=99, sort="folder", everything=True)
    assert [n[0] for n in names(by_folder)] == sorted(n[0] for n in names(found))


def test_by_relevance_turned_round_the_best_comes_last(library):
    found = library.search("red", k=3)
    turned = library.search("red", k=3, reverse=True)
    assert names(turned) == names(found)[::-1]
    assert [result.rank for result in turned] == [1, 2, 3]


def test_groups_have_a_heading_on_a_terminal_and_a_field_in_json(library, made, monkeypatch):
    found = library.search("red", k=99, group="day")
    assert "2024-05-01" in {result.group for result in found}
    folders = library.search("red", k=99, group="folder")
    assert {result.group for result in folders} == {str(made / "photos" / f) for f in "xyz"}

    def run(*arguments: str) -> str:
        options = ["--library", str(library.path), "-k", "4"]
        return CliRunner().invoke(app, ["search", "red", *arguments, *options]).stdout

    records = [json.loads(line) for line in run("--group", "day", "--json").splitlines()]
    assert records
    assert {r["group"] for r in records} <= {result.group for result in found}
    turned = [line.split("\t")[-1] for line in run("--sort", "-date").splitlines()]
    plain = [line.split("\t")[-1] for line in run("--sort", "date").splitlines()]
    assert turned != plain
    assert len(run("--no-fold").splitlines()) == 4


def test_duplicates_of_a_library_are_copies_versions_and_bursts(library):
    exact, near, burst = library.duplicates()
    assert (exact.kind, near.kind, burst.kind) == ("exact", "near", "burst")
    assert names_of(exact.paths) == ["copy.png", "two.png"]
    assert names_of(near.paths) == ["one.png", "small.png"]  # most pixels first
    assert names_of(burst.paths) == ["shot1.png", "shot2.png", "shot3.png"]
    assert exact.distance == 0
    assert 0 <= near.distance <= 28


def test_duplicates_of_a_search_are_those_among_its_results(library):
    assert [group.kind for group in library.duplicates("name:shot*")] == ["burst"]
    assert [group.kind for group in library.duplicates("red in:y/ OR in:y/")] == ["exact"]
    assert library.duplicates("in:x/") == []
    assert [group.kind for group in library.duplicates("red")] == ["exact", "near", "burst"]


def test_duplicates_are_printed_one_picture_a_line(library):
    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--library", str(library.path)])

    lines = [line.split("\t") for line in run("duplicates").stdout.splitlines()]
    assert [line[:2] for line in lines[:2]] == [["1", "exact"], ["1", "exact"]]
    assert len(lines) == 7
    records = [json.loads(line) for line in run("duplicates", "--json").stdout.splitlines()]
    assert [list(record) for record in records] == [["kind", "paths", "distance"]] * 3
    assert len(run("search", "--duplicates", "name:shot*").stdout.splitlines()) == 3
    none = run("search", "--duplicates", "in:x/")
    assert (none.exit_code, none.stdout) == (1, "")


def test_a_picture_that_is_gone_is_no_duplicate(library, made, tmp_path):
    shutil.copy(library.path, tmp_path / "library.db")
    shutil.copytree(made / "photos", tmp_path / "photos")
    with Library.open(tmp_path / "new.db") as moved:
        moved.index([tmp_path / "photos"], encoder="toy")
        before = [group.kind for group in moved.duplicates()]
        (tmp_path / "photos" / "z" / "small.png").unlink()
        (tmp_path / "photos" / "y" / "copy.png").unlink()
        moved.index([tmp_path / "photos"])
        assert before == ["exact", "near"]  # no times, no burst
        assert moved.duplicates() == []
