"""Queries of the language, asked of a library of coloured pictures with the toy encoder."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from toy import COLOURS

from xmodal.errors import MediaError, QueryError, UsageError
from xmodal.library import Library
from xmodal.query import indexes, shell
from xmodal.query.language import parse


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def library(made: Path, photo_folder: Path, captions_file: Path):
    """Thirty pictures; those of the folder 0 were taken in 2020, of the folder 1 in 2021."""
    path = made / "library.db"
    if not path.exists():
        shutil.copytree(photo_folder, made / "photos")
        with Library.open(path) as library:
            library.index(
                [made / "photos"], captions=made / "photos" / captions_file.name, encoder="toy"
            )
        with closing(sqlite3.connect(path)) as database, database:
            for year in (2020, 2021):
                database.execute(
                    "INSERT INTO capture (item_id, taken_at) SELECT item_id, ? FROM file "
                    "WHERE relative_path LIKE ?",
                    (f"{year}-06-01 12:00:00.000000", f"{year - 2020}/%"),
                )
    with Library.open(path) as library:
        yield library


def colour_of(result) -> str:
    return list(COLOURS)[int(result.path.stem)]


def colours(results) -> set[str]:
    return {colour_of(result) for result in results}


def test_filters_narrow_what_a_meaning_finds(library):
    found = library.search("red in:1/", k=30)
    assert len(found) == 10
    assert {result.path.parent.name for result in found} == {"1"}
    assert colour_of(found[0]) == "red"
    assert library.search("red keyword:cool", k=30)[0].score < found[0].score


def test_filters_that_allow_nothing_find_nothing(library):
    assert library.search("red keyword:nothing") == []
    assert library.search("keyword:nothing") == []
    assert library.search("red date:2020 date:2021") == []


def test_facts_alone_give_the_newest_first_without_scores(library, made):
    found = library.search("keyword:red")
    names = [result.path.relative_to(made / "photos").as_posix() for result in found]
    assert names == ["1/00.png", "0/00.jpg", "2/00.webp"]
    assert {(result.score, result.distance) for result in found} == {(None, None)}
    assert [result.rank for result in found] == [1, 2, 3]
    assert len(library.search("-keyword:red", k=99)) == 27


def test_an_excluded_word_leaves_out_what_shows_it_and_the_results_are_filled_up(library):
    assert colours(library.search("red orange", k=6)) == {"red", "orange"}
    found = library.search("red orange -red", k=6)
    assert len(found) == 6
    assert "red" not in colours(found)
    assert colour_of(found[0]) == "orange"
    assert colours(library.search("-red date:2020", k=30)) == set(COLOURS) - {"red"}
    assert colours(library.search("-red", k=5, use_features=False)).isdisjoint({"red"})


def test_one_search_asks_for_its_index_once(library, monkeypatch):
    """A large library is streamed by its first search; asked twice, it would be loaded as well."""
    monkeypatch.setattr(indexes, "LARGE", 0)
    found = library.search("(red OR blue) -green -yellow", k=4)
    assert colours(found) == {"red", "blue"}
    assert not library._existing_indexes()._loaded


def test_an_excluded_picture_leaves_out_what_resembles_it(library, made):
    picture = made / "photos" / "0" / "00.jpg"
    found = library.search(f'red -like:"{picture}"', k=30)
    assert picture not in {result.path for result in found}


def test_meanings_and_pictures_are_combined_by_their_weights(library, made):
    blue = made / "photos" / "0" / "02.jpg"
    both = library.search(f'red like:"{blue}"', k=6)
    assert colours(both) == {"red", "blue"}
    assert colour_of(library.search(f'5*red like:"{blue}"', k=1)[0]) == "red"
    assert colour_of(library.search(f'red 5*like:"{blue}"', k=1)[0]) == "blue"
    assert library.search("red", image=blue, k=6) == both


def test_a_picture_alone_is_searched_among_what_a_filter_allows(library, made):
    found = library.search("in:2/", image=made / "photos" / "0" / "02.jpg", k=2)
    assert found[0].path == made / "photos" / "2" / "02.webp"
    assert {result.path.parent.name for result in found} == {"2"}


def test_or_gives_each_picture_its_best_score(library):
    red, blue = library.search("red", k=5), library.search("blue", k=5)
    either = library.search("red OR blue", k=6)
    assert colours(either) == {"red", "blue"}
    scores = {result.path: result.score for result in red[:3] + blue[:3]}
    assert {result.path: result.score for result in either} == scores
    assert [result.score for result in either] == sorted(scores.values(), reverse=True)


def test_what_answers_for_certain_comes_before_what_resembles(library):
    found = library.search("red OR keyword:blue", k=6)
    assert [colour_of(result) for result in found] == ["blue"] * 3 + ["red"] * 3
    assert [result.score is None for result in found] == [True] * 3 + [False] * 3


def test_a_plain_text_is_one_sentence_whatever_is_in_it(library):
    assert library.search("red", plain=True) == library.search("red")
    assert library.search("camra:red", plain=True, k=1)
    assert library.search("-red", plain=True, k=3) != library.search("-red", k=3)
    with pytest.raises(QueryError, match="empty"):
        library.search("  ", plain=True)


def test_a_query_that_cannot_be_understood_is_an_error_before_anything_is_opened(tmp_path):
    with pytest.raises(QueryError, match="never closed") as caught:
        Library.open(tmp_path / "none.db").search('red "blue')
    assert caught.value.position == 4
    with pytest.raises(UsageError, match="a query, an image, or both"):
        Library.open(tmp_path / "none.db").search()


def test_a_picture_in_a_query_that_cannot_be_read_is_an_error(library, tmp_path):
    with pytest.raises(UsageError, match="no such picture"):
        library.search("like:none.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(MediaError):
        library.search(f'like:"{tmp_path / "text.jpg"}"')


ARGUMENTS = {
    ("a", "dog", "on", "the", "beach"): "a dog on the beach",
    ("a dog on the beach",): '"a dog on the beach"',
    ("a dog", "a cat"): '"a dog" "a cat"',
    ("beach", "-people"): "beach -people",
    ("beach", "-two people"): 'beach -"two people"',
    ("beach -people date:2023",): "beach -people date:2023",
    ("keyword:Anna Maria",): 'keyword:"Anna Maria"',
    ("-keyword:Anna Maria,cat",): '-keyword:"Anna Maria",cat',
    ("keyword:cat -dog",): "keyword:cat -dog",
    ('keyword:"Anna Maria"',): 'keyword:"Anna Maria"',
    ("like:/my pictures/a.jpg",): 'like:"/my pictures/a.jpg"',
    ("in:my pictures/",): 'in:"my pictures/"',
    ("date:2023 beach",): "date:2023 beach",
    ("near:48.85, 2.35",): "near:48.85, 2.35",
    ("2*red car",): '2*"red car"',
    ("(a b)", "OR", "c"): "(a b) OR c",
    ('6" pipe wide',): '"6"" pipe wide"',
    ("- a b",): '"- a b"',
    ("http://x y",): '"http://x y"',
    (" beach ",): " beach ",
    ("camra:fuji x",): "camra:fuji x",
}


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_quotes_that_a_shell_took_are_put_back(arguments):
    assert shell.from_arguments(arguments) == ARGUMENTS[arguments]


def test_a_sentence_is_the_same_in_one_argument_or_in_many():
    one, many = (shell.from_arguments(a) for a in (["a dog at sea"], ["a", "dog", "at", "sea"]))
    assert parse(one) == parse(many)
