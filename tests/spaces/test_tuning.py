"""`tune` says how many bits a library needs, and changes nothing."""

import pytest

from xmodal.errors import UsageError
from xmodal.library import Library
from xmodal.spaces import tuning


@pytest.fixture(autouse=True)
def _few_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "LENGTHS", (16, 64))


def test_the_curve_the_recommendation_and_the_command_agree(large_library):
    before = large_library.search("red", k=200)
    report = large_library.tune(keep=0.9)
    assert [row.bits for row in report.curve] == [16, 64, 128]  # with the length in use
    assert [(step.shorter, step.longer, step.bytes) for step in report.steps] == [
        (16, 64, 6.0),
        (64, 128, 8.0),
    ]
    best_map = max(row.label_map for row in report.curve)
    best_own = max(row.own_recall for row in report.curve)
    keeping = [
        row.bits
        for row in report.curve
        if row.label_map >= 0.9 * best_map and row.own_recall >= 0.9 * best_own
    ]
    assert report.recommended == keeping[0]
    gained = report.curve[1].label_map - report.curve[0].label_map
    assert report.steps[0].label_map.mean == pytest.approx(gained, abs=2e-4)
    if report.recommended == report.bits:
        assert report.command is None
    else:
        assert report.command == f"xmodal train --bits {report.recommended}"
    assert large_library.search("red", k=200) == before


def test_captions_alone_are_enough(tmp_path, photo_folder):
    captions = tmp_path / "only.csv"
    rows = [f"{p.relative_to(photo_folder).as_posix()},{p.stem}" for p in photo_folder.rglob("*.*")]
    captions.write_text("\n".join(["file,caption", *rows]) + "\n")
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], captions=captions, encoder="toy")
        report = library.tune()
    assert all(row.label_map is None and row.own_recall is not None for row in report.curve)
    assert all(step.label_map is None for step in report.steps)


def test_without_words_it_says_what_is_needed(tmp_path, photo_folder):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], encoder="toy")
        with pytest.raises(UsageError, match=r"30 pictures, 0 of them with a caption, and 0 keyw"):
            library.tune()


def test_an_impossible_share_is_an_error(large_library):
    with pytest.raises(UsageError, match=r"keep: expected a share above 0 up to 1, found 1\.5"):
        large_library.tune(keep=1.5)
