"""`train` learns what labels say, says what it needs, and never makes a library worse."""

from pathlib import Path

import numpy as np
import pytest

from xmodal.errors import CaptionsError, UsageError
from xmodal.evaluate import Measure
from xmodal.library import Library
from xmodal.spaces.recipe import Recipe
from xmodal.spaces.training import decide
from xmodal.store.database import Database
from xmodal.store.models import ItemKeyword


def test_training_learns_what_the_keywords_say_and_reports_before_and_after(large_library):
    report = large_library.train(bits=64)
    assert report.replaced
    assert report.keywords[:2] == ["cool", "warm"]
    assert (report.pictures, report.unlabelled) == (200, 0)
    assert report.after.text_to_image > report.before.text_to_image
    assert report.after.image_to_text > report.before.image_to_text
    info = large_library.info()
    assert (info.hasher, info.bits) == ("fused", 64)
    assert info.quality["after"]["text_to_image"] == report.after.text_to_image
    assert info.trained_on["recipe"] == report.recipe
    assert info.code_bytes == 200 * 8
    assert len(large_library.search("red", k=200)) == 200


def test_a_trained_library_finds_new_pictures_and_training_again_changes_nothing(
    large_library, large_folder, tmp_path, save_picture
):
    assert large_library.train().replaced
    first = large_library.search("pink", k=50)
    again = large_library.train()
    assert again.replaced
    assert (again.by_label.mean, again.by_caption.mean) == (0, 0)
    assert large_library.search("pink", k=50) == first
    late = save_picture(tmp_path / "late.png", "green", seed=77_777)
    assert large_library.index([tmp_path]).indexed == 1
    found = [result.path for result in large_library.search("green", k=21)]
    assert late in found
    assert sum(path.name.startswith("01-") for path in found) >= 18


def test_a_dry_run_reports_and_changes_nothing(large_library):
    before = large_library.info(check=False)
    report = large_library.train(dry_run=True)
    assert not report.replaced
    assert report.by_label.mean > report.by_label.half_width
    after = large_library.info(check=False)
    assert (after.hasher, after.trained_on) == (before.hasher, before.trained_on)


def test_keywords_that_say_nothing_do_not_replace_the_code(large_library, large_file):
    _shuffle_keywords(large_file)
    before = large_library.search("red", k=20)
    report = large_library.train()
    assert not report.replaced
    assert large_library.info().hasher == "itq"
    assert large_library.search("red", k=20) == before


def test_a_trained_code_is_not_replaced_by_what_worse_keywords_teach(large_library, large_file):
    large_library.train()
    trained = large_library.info().trained_on
    _shuffle_keywords(large_file)
    assert not large_library.train().replaced
    assert large_library.info().trained_on == trained


def test_folders_teach_as_weak_labels(large_library):
    report = large_library.train(labels="folders", bits=32)
    assert report.labels == "folders"
    assert set(report.keywords) == {"cool", "warm"}
    assert report.after.text_to_image > report.before.text_to_image


def test_a_handful_of_labels_in_a_file_teaches_with_the_pictures_that_have_none(
    large_library, large_folder, tmp_path
):
    pictures = sorted(large_folder.rglob("*.png"))[::5]
    lines = [f"{path.as_posix()},{path.parent.name}" for path in pictures]
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(["file,label", *lines, "nowhere.jpg,warm"]) + "\n")
    report = large_library.train(labels=file, bits=32)
    assert (report.pictures, report.unlabelled) == (40, 160)
    assert report.after.text_to_image > report.before.text_to_image
    assert report.notes == ["line 42: nowhere.jpg: no such picture in the library"]


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("file,tags\na,b\n", CaptionsError, "line 1: no column 'labels'"),
        ("file,label\n,b\n", CaptionsError, "line 2: the column 'file' is empty"),
        ("file,label\nx.png,b\n", UsageError, "none of its 1 rows names a picture"),
        (None, UsageError, "there is no file"),
    ],
)
def test_a_file_of_labels_that_cannot_be_used_is_told(large_library, tmp_path, text, error, told):
    file = tmp_path / "labels.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(error, match=told):
        large_library.train(labels=file)


def test_too_few_keywords_are_counted_and_the_need_is_told(tmp_path, photo_folder):
    captions = tmp_path / "few.csv"
    captions.write_text("file,keywords\n0/00.jpg,a;b\n0/01.jpg,a\n0/02.jpg,a;b\n0/03.jpg,b\n")
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], captions=captions, encoder="toy")
        with pytest.raises(
            UsageError, match=r"found 2 keywords on 4 of 30 pictures, 2 of them.*needed are 2.*10"
        ):
            library.train()
        assert library.info().hasher == "itq"


def test_too_few_pictures_are_told(tmp_path, photo_folder, captions_file):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder / "0"], captions=captions_file, encoder="toy")
        with pytest.raises(UsageError, match="found 10, needed are 30"):
            library.train()


def test_without_keywords_a_plain_code_of_another_length_can_be_made_from_captions(
    tmp_path, photo_folder
):
    captions = photo_folder / "only.csv"
    lines = [f"{path.relative_to(photo_folder).as_posix()},{path.stem} of {path.parent.name}"
             for path in photo_folder.rglob("*.*")]  # fmt: skip
    captions.write_text("\n".join(["file,caption", *lines]) + "\n")
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], captions=captions, encoder="toy")
        with pytest.raises(UsageError, match="found 0 keywords on 0 of 30 pictures"):
            library.train()
        report = library.train(bits=64)
        assert report.replaced
        assert (library.info().hasher, library.info().bits) == ("itq", 64)
        assert len(library.search("red", k=30)) == 30


@pytest.mark.parametrize("bits", [0, 8, 100, 2048])
def test_an_impossible_code_length_is_an_error(large_library, bits):
    with pytest.raises(UsageError, match=str(bits)):
        large_library.train(bits=bits)


NOW, NEW, PLAIN = Recipe(128, 64, "lemon"), Recipe(128, 48, "lemon"), Recipe(128)


def _scores(mean: float, noise: float = 0.0) -> dict:
    """Label mAP of 100 queries; the same for both directions."""
    values = mean + noise * np.random.default_rng(0).normal(size=(1, 100))
    return {"map": dict.fromkeys(("text_to_image", "image_to_text"), Measure(values))}


@pytest.mark.parametrize(
    ("now", "new", "plain", "used"),
    [
        (0.60, 0.70, 0.50, NEW),  # clearly better
        (0.60, 0.601, 0.50, NOW),  # chance: the way in use stays, learned from today's pictures
        (0.60, 0.55, 0.50, NOW),
        (0.50, 0.501, 0.50, None),  # neither beats a plain code: what is stored stays
    ],
)
def test_the_rule_asks_for_more_than_chance(now, new, plain, used):
    scores = {NOW: _scores(now), NEW: _scores(new, noise=0.1), PLAIN: _scores(plain)}
    assert decide(NOW, NEW, PLAIN, scores).recipe == used


def test_another_length_is_the_users_wish_but_the_better_code_of_that_length_is_used():
    short, plain = Recipe(64, 32, "lemon"), Recipe(64)
    scores = {NOW: _scores(0.8), short: _scores(0.7), plain: _scores(0.5)}
    assert decide(NOW, short, plain, scores).recipe == short
    scores[plain] = _scores(0.75)
    assert decide(NOW, short, plain, scores).recipe == plain


def _shuffle_keywords(file: Path) -> None:
    """Give every keyword to other pictures at random, as many as before."""
    from sqlalchemy import delete, insert, select

    database = Database.open(file, create=False)
    with database.transaction() as session:
        rows = session.execute(select(ItemKeyword.item_id, ItemKeyword.keyword_id)).all()
        items = np.random.default_rng(0).permutation(sorted({item for item, _ in rows}))
        other = dict(zip(sorted({item for item, _ in rows}), items.tolist(), strict=True))
        session.execute(delete(ItemKeyword))
        session.execute(
            insert(ItemKeyword),
            [{"item_id": other[i], "keyword_id": k, "source": "csv"} for i, k in rows],
        )
    database.close()
