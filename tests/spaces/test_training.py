"""`train` learns from keywords, says what it needs, and never makes a library worse."""

from pathlib import Path

import pytest
from toy import COLOURS

from xmodal.errors import UsageError
from xmodal.library import Library


@pytest.fixture
def large_library(tmp_path: Path, save_picture):
    """Two hundred pictures, twenty of each colour; warm and cool ones; captions tell the colour."""
    root = tmp_path / "many"
    lines = ["file,caption,keywords"]
    for number, colour in enumerate(COLOURS):
        for copy in range(20):
            name = f"{number:02d}-{copy:02d}.png"
            save_picture(root / name, colour, seed=100 * number + copy)
            warm = "warm" if colour in ("red", "orange", "yellow", "pink") else "cool"
            lines.append(f"{name},{colour} number {copy},{warm};{colour}")
    (root / "captions.csv").write_text("\n".join(lines) + "\n")
    with Library.open(tmp_path / "library.db") as library:
        library.index([root], captions=root / "captions.csv", encoder="toy")
        yield library


def test_training_learns_what_the_keywords_say_and_reports_before_and_after(large_library):
    report = large_library.train(bits=128)
    assert report.replaced
    assert report.keywords[:2] == ["cool", "warm"]
    assert report.after.text_to_image > report.before.text_to_image
    assert report.after.image_to_text > report.before.image_to_text
    info = large_library.info()
    assert (info.hasher, info.bits) == ("fused", 128)
    assert info.quality["after"]["text_to_image"] == report.after.text_to_image


def test_a_trained_library_still_finds_single_colours_and_new_pictures(
    large_library, tmp_path, save_picture
):
    large_library.train()
    late = save_picture(tmp_path / "many" / "late.png", "green", seed=77_777)
    assert large_library.index([tmp_path / "many"]).indexed == 1
    found = [result.path for result in large_library.search("green", k=21)]
    assert late in found
    assert sum(path.name.startswith("01-") for path in found) >= 18


def test_training_codes_every_picture_and_text_before_it_is_used(large_library):
    before = large_library.info().code_bytes
    large_library.train(bits=64)
    assert large_library.info().code_bytes == before // 2
    assert len(large_library.search("red", k=200)) == 200


def test_training_twice_with_one_seed_gives_one_code(large_library):
    large_library.train()
    first = large_library.search("pink", k=50)
    large_library.train()
    assert large_library.search("pink", k=50) == first


def test_too_few_keywords_are_counted_and_the_need_is_told(tmp_path, photo_folder, captions_file):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder / "0"], captions=captions_file, encoder="toy")
        with pytest.raises(UsageError, match=r"found 12 on 10 of 10 pictures.*needed are 2.*30"):
            library.train()
        assert library.info().hasher == "itq"


def test_no_keywords_at_all_is_told_the_same_way(tmp_path, photo_folder):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], encoder="toy")
        with pytest.raises(UsageError, match="found 0 on 0 of 30 pictures"):
            library.train()


@pytest.mark.parametrize("bits", [0, 8, 100, 2048])
def test_an_impossible_code_length_is_an_error(large_library, bits):
    with pytest.raises(UsageError, match=str(bits)):
        large_library.train(bits=bits)
