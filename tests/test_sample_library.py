"""The sample library: complete, small, free to ship, and described."""

import csv

import pytest
from PIL import Image

from xmodal.ingest.captions import read_captions
from xmodal.resources import resource_path

FOLDERS = ("sample", "queries")
FREE = {"CC0-1.0", "Public domain"}


def _rows(folder: str, name: str) -> list[dict[str, str]]:
    with (resource_path("assets") / folder / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _pictures(folder: str) -> list[str]:
    return sorted(path.name for path in (resource_path("assets") / folder).glob("*.jpg"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_picture_has_an_author_a_source_and_a_free_licence(folder):
    sources = _rows(folder, "SOURCES.csv")
    assert [row["file"] for row in sources] == _pictures(folder)
    assert all(all(value.strip() for value in row.values()) for row in sources)
    assert {row["licence"] for row in sources} <= FREE
    assert {row["kind"] for row in sources} <= {"photograph", "drawing"}


def test_there_are_sixty_pictures_and_enough_photographs():
    kinds = [row["kind"] for row in _rows("sample", "SOURCES.csv")]
    assert len(kinds) >= 60
    assert kinds.count("photograph") >= 15


def test_every_picture_has_a_sentence_and_keywords_of_ours():
    rows = _rows("sample", "captions.csv")
    assert [row["file"] for row in rows] == _pictures("sample")
    captions = [row["caption"] for row in rows]
    assert len(set(captions)) == len(captions)
    assert all(len(row["keywords"].split(";")) >= 2 for row in rows)
    read_captions(resource_path("assets") / "sample" / "captions.csv")  # as `index` does


@pytest.mark.parametrize("folder", FOLDERS)
def test_pictures_are_small_plain_jpegs(folder):
    paths = [resource_path("assets") / folder / name for name in _pictures(folder)]
    assert sum(path.stat().st_size for path in paths) < 3_000_000
    for path in paths:
        assert path.stat().st_size <= 80_000, path.name
        with Image.open(path) as image:
            assert image.format == "JPEG", path.name
            assert image.mode == "RGB", path.name
            assert max(image.size) <= 512, path.name
            assert not image.getexif(), path.name
            image.load()


def test_queries_are_pictures_that_the_library_does_not_hold():
    held = {path.read_bytes() for path in (resource_path("assets") / "sample").glob("*.jpg")}
    asked = {path.read_bytes() for path in (resource_path("assets") / "queries").glob("*.jpg")}
    assert asked
    assert held.isdisjoint(asked)
