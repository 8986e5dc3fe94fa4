"""Rows to learn from: which labels teach, whose captions are whose, how many rows there are."""

import numpy as np
import pytest
from toy import ToyEncoder

from xmodal.errors import UsageError
from xmodal.library import Library
from xmodal.spaces import rows as rows_module
from xmodal.spaces.labels import PictureLabels, read_picture_labels
from xmodal.spaces.recipe import Recipe
from xmodal.spaces.rows import read_rows
from xmodal.spaces.trial import halves
from xmodal.store.database import Database


@pytest.fixture
def session(large_file):
    database = Database.open(large_file, create=False)
    with database.session() as session:
        yield session
    database.close()


def _labels(counts: dict[str, int]) -> PictureLabels:
    pairs = [(item, column) for column, n in enumerate(counts.values()) for item in range(n)]
    items, columns = np.array(pairs, np.int64).T
    return PictureLabels("keywords", items, columns, list(counts))


def test_labels_of_two_pictures_or_of_all_teach_nothing():
    found = _labels({"rare": 2, "every": 20, "some": 5, "often": 12}).of(np.arange(20))
    assert found.names == ["often", "some"]
    assert set(found.items[found.columns == 1]) == set(range(5))


@pytest.mark.parametrize(
    ("counts", "enough"),
    [({"a": 12, "b": 3}, True), ({"a": 12}, False), ({"a": 9, "b": 3}, False)],
)
def test_two_labels_on_ten_pictures_are_the_least(counts, enough):
    assert (_labels(counts).too_few(np.arange(20)) is None) == enough


def test_every_folder_above_a_picture_is_a_label(tmp_path, save_picture):
    for number, place in enumerate(("2019/Rome", "2019/Rome", "2020/Rome", ".")):
        save_picture(tmp_path / "photos" / place / f"{number}.png", "red", seed=number)
    with Library.open(tmp_path / "library.db") as library:
        library.index([tmp_path / "photos"], encoder="toy")
    database = Database.open(tmp_path / "library.db", create=False)
    with database.session() as session:
        found = read_picture_labels(session, "folders")
    database.close()
    counts = {name: int((found.columns == column).sum()) for column, name in enumerate(found.names)}
    assert counts == {"2019": 2, "Rome": 3, "2020": 1}


def test_an_unknown_source_of_labels_is_an_error(session):
    with pytest.raises(UsageError, match="expected 'keywords', 'folders' or a CSV file"):
        read_picture_labels(session, "tags")


def test_large_libraries_are_sampled_with_labelled_pictures_first(session, monkeypatch):
    monkeypatch.setattr(rows_module, "MAX_PICTURES", 50)
    every = read_picture_labels(session, "keywords")
    few = np.isin(every.items, np.unique(every.items)[::5])
    labels = PictureLabels("keywords", every.items[few], every.columns[few], every.names)
    rows = read_rows(session, 1, labels, ToyEncoder().encode_texts)
    assert len(rows.images) == len(rows.labels) == 50
    assert rows.labelled.sum() == 40
    assert rows.captioned.all()


def test_a_part_keeps_what_belongs_to_its_pictures(session):
    labels = read_picture_labels(session, "keywords")
    rows = read_rows(session, 1, labels, ToyEncoder().encode_texts)
    chosen = np.array([3, 77, 150])
    part = rows.part(chosen)
    np.testing.assert_array_equal(part.texts, rows.texts[chosen])
    np.testing.assert_array_equal(part.labels, rows.labels[chosen])


def test_halves_share_no_row_and_divide_the_labels_alike(session):
    labels = read_picture_labels(session, "keywords")
    rows = read_rows(session, 1, labels, ToyEncoder().encode_texts)
    rows.labels[::4] = np.nan
    learned, held = halves(rows, seed=0)
    assert np.array_equal(np.sort(np.concatenate([learned, held])), np.arange(200))
    assert rows.labelled[learned].sum() == rows.labelled[held].sum() == 75


def test_a_recipe_at_another_length_has_no_more_semantic_bits_than_rows_can_teach(session):
    labels = read_picture_labels(session, "keywords")
    rows = read_rows(session, 1, labels, ToyEncoder().encode_texts)
    recipe = Recipe(128, 64, "lemon")
    assert recipe.at(64, rows) == Recipe(64, 32, "lemon")
    assert recipe.at(1024, rows) == Recipe(1024, 96, "lemon")  # 200 rows
    assert recipe.at(128, rows.part(np.arange(10))).name == "itq"
