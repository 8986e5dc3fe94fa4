"""`evaluate` measures what searches do now, each caption and keyword asking for its own."""

from pathlib import Path

import numpy as np
import pytest

from xmodal.errors import UsageError
from xmodal.library import Library


def test_the_figures_are_those_of_searches(large_library):
    """The keyword column, counted by hand from what `search` returns."""
    report = large_library.evaluate()
    assert (report.pictures, report.keywords, report.captions) == (200, 12, 200)
    by_hand = []
    for word in [*("warm", "cool"), "red", "green", "blue", "yellow", "orange", "purple", "black",
                 "white", "grey", "pink"]:  # fmt: skip
        found = [r.path for r in large_library.search(word, k=200, use_features=False)]
        assert len(set(found)) == 200
        relevant = [_has(path, word) for path in found]
        ranks = np.flatnonzero(relevant) + 1
        by_hand.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    assert report.code.text_to_image == pytest.approx(np.mean(by_hand), abs=1e-3)
    assert report.code.half_width > 0
    assert report.trained == {}


def _has(path: Path, word: str) -> bool:
    from toy import COLOURS

    colour = list(COLOURS)[int(path.stem[:2])]
    return word in (colour, path.parent.name)


def test_a_trained_library_tells_what_training_measured_and_k_counts(large_library):
    large_library.train(bits=32)
    first, third = large_library.evaluate(k=1), large_library.evaluate(k=30)
    assert first.trained == large_library.info().quality
    assert first.bits == 32
    for ranking in ("features", "code", "both"):
        few, many = getattr(first, ranking), getattr(third, ranking)
        assert few.text_to_image == many.text_to_image  # mAP knows no k
        assert few.caption_to_image <= many.caption_to_image
        assert few.image_to_caption <= many.image_to_caption


def test_each_of_several_captions_asks_for_its_picture(tmp_path, photo_folder):
    captions = tmp_path / "several.csv"
    lines = ["file,caption", "0/00.jpg,red", "0/00.jpg,a red sheet", "0/02.jpg,blue"]
    captions.write_text("\n".join(lines) + "\n")
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], captions=captions, encoder="toy")
        report = library.evaluate(k=3)
    assert (report.captions, report.keywords) == (3, 0)
    assert report.features.text_to_image is None
    # Three sheets of each colour: the one that is meant is among the first three.
    assert report.features.caption_to_image == 1.0
    assert report.features.image_to_caption == 1.0


def test_without_words_it_says_what_is_needed(tmp_path, photo_folder):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder / "0"], encoder="toy")
        with pytest.raises(UsageError, match=r"no captions and no keywords on 10 pictures.*--capt"):
            library.evaluate()
        with pytest.raises(UsageError, match="k must be at least 1, not 0"):
            library.evaluate(k=0)
