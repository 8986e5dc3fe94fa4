"""The whole of it on real pictures and a real SQLite file, with the toy encoder."""

import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from toy import COLOURS

from xmodal.errors import (
    EncoderError,
    IndexInterrupted,
    LibraryBusyError,
    LibraryError,
    MediaError,
    UsageError,
)
from xmodal.library import Library
from xmodal.opening import default_library_path
from xmodal.store.database import Database


@pytest.fixture
def library(tmp_path: Path, photo_folder: Path, captions_file: Path):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], captions=captions_file, encoder="toy")
        yield library


def colour_of(path: Path) -> str:
    return list(COLOURS)[int(path.stem)]


def test_a_word_finds_the_pictures_that_show_it(library):
    for colour in COLOURS:
        found = library.search(colour, k=3)
        assert [colour_of(result.path) for result in found] == [colour] * 3


def test_results_are_ranked_from_one_with_falling_scores(library):
    found = library.search("red", k=30)
    assert [result.rank for result in found] == list(range(1, 31))
    assert all(a.score >= b.score for a, b in pairwise(found))
    assert all(0 <= result.distance <= 128 for result in found)


def test_a_picture_finds_itself_first_at_distance_zero(library, photo_folder):
    picture = photo_folder / "1" / "02.png"
    first = library.search(image=picture, k=1)[0]
    assert (first.path, first.distance) == (picture, 0)


def test_a_picture_that_is_not_in_the_library_finds_its_like(library, tmp_path, save_picture):
    stranger = save_picture(tmp_path / "stranger.png", "purple", seed=999)
    found = library.search(image=stranger, k=3)
    assert [colour_of(result.path) for result in found] == ["purple"] * 3


def test_annotate_names_the_keywords_and_captions_of_the_library_first(library, photo_folder):
    found = library.annotate(photo_folder / "0" / "00.jpg", k=6)
    assert {"red", "a red sheet"} <= {annotation.text for annotation in found}
    sources = [annotation.source for annotation in found]
    assert sources[-1] == "vocabulary"
    assert "vocabulary" not in sources[: sources.index("vocabulary")]
    assert len(found) == 6


def test_annotate_can_be_limited_to_one_source(library, photo_folder):
    captions = library.annotate(photo_folder / "0" / "00.jpg", k=4, sources=("caption",))
    assert [annotation.source for annotation in captions] == ["caption"] * 4
    words = library.annotate(photo_folder / "0" / "00.jpg", k=4, sources=("vocabulary",))
    assert [annotation.source for annotation in words] == ["vocabulary"] * 4


def test_search_ranks_by_codes_alone_when_asked(library):
    found = library.search("blue", k=3, use_features=False)
    assert [colour_of(result.path) for result in found] == ["blue"] * 3


def test_a_second_run_changes_nothing(library, photo_folder, captions_file):
    before = library.search("green", k=30)
    report = library.index([photo_folder], captions=captions_file)
    assert (report.indexed, report.unchanged, report.moved, report.removed) == (0, 30, 0, 0)
    assert library.search("green", k=30) == before


def test_a_run_that_finds_nothing_new_loads_no_encoder(library, photo_folder, monkeypatch):
    def refuse(*arguments, **options):
        raise EncoderError("not needed")

    monkeypatch.setattr("xmodal.opening.load_encoder", refuse)
    monkeypatch.setattr("xmodal.opening.load_background", refuse)
    with Library.open(library.path) as fresh:
        assert fresh.index([photo_folder]).unchanged == 30
        (photo_folder / "0" / "00.jpg").rename(photo_folder / "0" / "gone.txt")
        assert fresh.index([photo_folder]).removed == 1
        shutil.copy(photo_folder / "1" / "01.png", photo_folder / "copy.bmp")
        (photo_folder / "copy.bmp").write_bytes(b"new")
        with pytest.raises(EncoderError, match="not needed"):
            fresh.index([photo_folder])


def test_removed_pictures_are_not_found_any_more(library, photo_folder):
    for path in photo_folder.rglob("00.*"):
        path.unlink()
    report = library.index([photo_folder])
    assert report.removed == 3
    assert "red" not in {colour_of(result.path) for result in library.search("red", k=30)}


def test_pictures_that_come_back_are_found_again(library, photo_folder, tmp_path):
    aside = tmp_path / "aside"
    shutil.move(photo_folder / "0", aside)
    library.index([photo_folder])
    assert len(library.search("red", k=30)) == 20
    shutil.move(aside, photo_folder / "0")
    report = library.index([photo_folder])
    assert (report.indexed, report.moved) == (0, 10)
    assert len(library.search("red", k=30)) == 30


def test_one_picture_can_be_indexed_and_searched(tmp_path, photo_folder):
    with Library.open(tmp_path / "one.db") as library:
        report = library.index([photo_folder / "0" / "05.jpg"], encoder="toy")
        assert report.indexed == 1
        assert [result.path for result in library.search("purple")] == [
            photo_folder / "0" / "05.jpg"
        ]


def test_the_code_is_fitted_again_as_the_library_grows(tmp_path, photo_folder):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder / "0"], encoder="toy")
        assert library.info().trained_on == {"pictures": 10}
        library.index([photo_folder])
        assert library.info().trained_on == {"pictures": 30}
        library.index([photo_folder])
        assert library.info().trained_on == {"pictures": 30}


def test_a_second_feature_space_is_refused_and_nothing_is_lost(library, photo_folder):
    with pytest.raises(EncoderError, match="--add-encoder"):
        library.index([photo_folder], encoder="toy2")
    assert len(library.search("red", k=30)) == 30
    assert library.info().encoders == ["toy:1"]


def test_a_second_feature_space_is_added_on_purpose_and_both_answer(library, photo_folder):
    report = library.index([photo_folder], encoder="toy2", add_encoder=True)
    assert report.indexed == 30
    assert library.info().encoders == ["toy:2", "toy:1"]
    for encoder in (None, "toy", "toy2"):
        assert colour_of(library.search("red", k=1, encoder=encoder)[0].path) == "red"


def test_a_search_with_another_encoder_says_what_that_has_not_seen(
    library, photo_folder, save_picture
):
    library.index([photo_folder], encoder="toy2", add_encoder=True)
    save_picture(photo_folder / "new.png", "red", seed=77)
    library.index([photo_folder])
    notes = []
    with Library.open(library.path, notify=notes.append) as opened:
        opened.search("red")
        assert notes == []
        for _ in range(2):
            assert len(opened.search("red", k=50, encoder="toy")) == 30
        assert notes == [
            "indexed without toy: 1 of the pictures; `xmodal index --encoder toy` adds them"
        ]
        opened.index([photo_folder], encoder="toy")
        assert len(opened.search("red", k=50, encoder="toy")) == 31
        assert len(notes) == 1


@pytest.mark.parametrize("query", ["", "   ", "\n"])
def test_an_empty_query_is_an_error(library, query):
    with pytest.raises(UsageError, match="empty"):
        library.search(query)


@pytest.mark.parametrize("k", [0, -3])
def test_k_below_one_is_an_error(library, k, photo_folder):
    with pytest.raises(UsageError, match=str(k)):
        library.search("red", k=k)
    with pytest.raises(UsageError, match=str(k)):
        library.annotate(photo_folder / "0" / "00.jpg", k=k)


def test_a_query_picture_that_is_missing_or_no_picture_is_an_error(library, tmp_path):
    with pytest.raises(UsageError, match="no such picture"):
        library.search(image=tmp_path / "none.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    with pytest.raises(MediaError):
        library.search(image=text)


def test_a_missing_path_creates_no_library(tmp_path):
    path = tmp_path / "library.db"
    with pytest.raises(UsageError, match="no such file or folder"):
        Library.open(path).index([tmp_path / "nowhere"], encoder="toy")
    assert not path.exists()


def test_an_unknown_encoder_creates_no_library(tmp_path, photo_folder):
    path = tmp_path / "library.db"
    with pytest.raises(EncoderError, match="toy"):
        Library.open(path).index([photo_folder], encoder="toyy")
    assert not path.exists()


def test_searching_where_nothing_is_says_how_to_begin(tmp_path):
    with pytest.raises(LibraryError, match="xmodal index"):
        Library.open(tmp_path / "none.db").search("red")
    assert not (tmp_path / "none.db").exists()


def test_a_second_writer_is_told_and_readers_go_on(library, photo_folder):
    other = Database.open(library.path, create=False)
    with other.writer():
        with pytest.raises(LibraryBusyError):
            library.index([photo_folder])
        assert library.search("red", k=1)
    other.close()


def test_ctrl_c_keeps_what_was_indexed_and_the_next_run_continues(tmp_path, photo_folder):
    def interrupt(progress):
        raise KeyboardInterrupt

    path = tmp_path / "library.db"
    with Library.open(path) as library:
        with pytest.raises(IndexInterrupted) as caught:
            library.index([photo_folder], encoder="toy", progress=interrupt)
        done = caught.value.report.indexed
        report = library.index([photo_folder])
        assert report.indexed == 30 - done
        assert report.unchanged == done
        assert len(library.search("red", k=30)) == 30


def test_a_search_process_imports_neither_torch_nor_open_clip(library):
    program = (
        "import sys; from xmodal import Library\n"
        f"assert Library.open({str(library.path)!r}).search('red')\n"
        "print({'torch', 'open_clip', 'alembic', 'timm'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_the_library_path_comes_from_the_environment_or_the_data_folder(monkeypatch):
    monkeypatch.setenv("XMODAL_LIBRARY", "somewhere.db")
    assert default_library_path() == Path("somewhere.db")
    monkeypatch.delenv("XMODAL_LIBRARY")
    assert default_library_path().name == "library.db"


def test_info_counts_what_the_library_holds(library, photo_folder):
    info = library.info()
    assert (info.pictures, info.captions, info.keywords) == (30, 30, 12)
    assert info.files == {"present": 30}
    assert info.volumes == [photo_folder]
    assert (info.hasher, info.bits, info.code_bytes) == ("itq", 128, 30 * 16)
    assert info.problems == []


def test_words_in_and_beside_pictures_are_searched_learned_from_and_counted(tmp_path, save_picture):
    sys.path.insert(0, str(Path(__file__).parent / "metadata"))
    from written import bag, xmp_bytes

    for number, colour in enumerate(COLOURS):
        for copy in range(6):
            path = save_picture(tmp_path / "p" / f"{number}-{copy}.jpg", colour, seed=copy)
            packet = xmp_bytes(
                bag("dc:subject", colour) + bag("Iptc4xmpExt:PersonInImage", "Ada"),
                'xmp:Rating="3" photoshop:City="Oslo" photoshop:DateCreated="2019-07-14"',
            )
            path.with_suffix(".xmp").write_bytes(packet)
    with Library.open(tmp_path / "library.db") as library:
        report = library.index([tmp_path / "p"], encoder="toy")
        assert (report.indexed, report.words) == (60, 180)
        assert "red" in [found.text for found in library.annotate(tmp_path / "p" / "0-0.jpg", k=6)]
        facts = library.info()
        assert (facts.keywords, facts.people, facts.places) == (12, 1, 1)
        assert (facts.dated, facts.located, facts.rated) == (60, 0, 60)
        assert set(COLOURS) <= set(library.train(bits=32, dry_run=True).keywords)
        assert library.index([tmp_path / "p"]).words == 0


def test_a_few_notes_about_broken_metadata_are_shown(tmp_path, save_picture):
    for number in range(12):
        path = save_picture(tmp_path / "p" / f"{number:02d}.jpg", "red", seed=number)
        path.with_suffix(".xmp").write_text("<broken")
    with Library.open(tmp_path / "library.db") as library:
        notes = library.index([tmp_path / "p"], encoder="toy").notes
    assert len(notes) == 11
    assert "00.jpg: 00.xmp cannot be read: " in notes[0]
    assert notes[-1] == "… and 2 more notes about metadata"
