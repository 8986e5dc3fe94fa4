"""The contact sheet: whole, self-contained, safe whatever names and captions hold."""

import base64
import hashlib
import importlib.util
import os
import re
import sys
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from xmodal.errors import UsageError
from xmodal.gallery import Entry, Section, write_gallery, write_search_page
from xmodal.ingest.raw import raw_version
from xmodal.results import SearchResult

HOSTILE = "\"><script>alert('x')</script><img src=http://example.org/x onerror=y>&{{ 7*7 }}"


class _Page(HTMLParser):
    """The tags and the visible text of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.style = self.script = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style" and not self.style:
            self.style = data
        elif self.lasttag == "script":
            self.script += data.rstrip() and data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def _thumbnail(source: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(source.partition("base64,")[2])))


def test_page_shows_sections_in_order_with_captions_and_details(tmp_path, save_picture):
    red = save_picture(tmp_path / "red.jpg", "red")
    blue = save_picture(tmp_path / "blue.png", "blue")
    file = write_gallery(
        tmp_path / "page.html",
        [
            Section("first", "words → pictures", None, [Entry(red, "a red sheet", "0.91")]),
            Section("", "picture → words", blue, [Entry(None, "sky", "keyword")]),
            Section("nowhere to be found"),
        ],
        title="Sheets",
        lead="Two of them",
        foot="The end",
    )
    page = _Page(file)
    order = [
        "Sheets",
        "Two of them",
        "words → pictures",
        "first",
        "a red sheet",
        "0.91",
        "picture → words",
        "sky",
        "keyword",
        "nowhere to be found",
        "Nothing found",
        "The end",
    ]
    places = [page.text.index(words) for words in order]
    assert places == sorted(places)
    assert len(page.all("img")) == 2


def test_page_asks_for_nothing_outside_itself(tmp_path, save_picture):
    entries = [Entry(save_picture(tmp_path / "a.jpg", "red"), HOSTILE, HOSTILE)]
    file = write_gallery(tmp_path / "page.html", [Section("red", "", None, entries)])
    page = _Page(file)
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "iframe", "object"})
    assert page.all("script") == [{}]
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert "url(" not in page.style
    policy = next(meta for meta in page.all("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy["content"]
    script = hashlib.sha256(page.script.encode()).digest()
    assert f"script-src 'sha256-{base64.b64encode(script).decode()}'" in policy["content"]


def test_markup_in_names_captions_and_queries_stays_text(tmp_path, save_picture):
    picture = save_picture(tmp_path / "<b>&amp;'.jpg", "red")
    section = Section(HOSTILE, HOSTILE, picture, [Entry(picture, HOSTILE, HOSTILE)], HOSTILE)
    file = write_gallery(
        tmp_path / "page.html", [section], title=HOSTILE, lead=HOSTILE, foot=HOSTILE
    )
    page = _Page(file)
    assert len(page.all("script")) == 1
    assert HOSTILE not in page.script
    assert not page.all("b")
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert page.text.count(HOSTILE) == 8  # twice as title, lead, foot, and four times below
    assert page.all("a")[0]["title"] == "<b>&amp;'.jpg"


@pytest.mark.parametrize("name", ["a b.jpg", "100%.jpg", "#1?.jpg", "ü&ä.jpg", "c:d.jpg"])
def test_links_open_the_originals_wherever_they_lie(tmp_path, save_picture, name):
    near = save_picture(tmp_path / "page" / "pictures" / name, "red")
    beside = save_picture(tmp_path / "page" / name, "red")
    far = save_picture(tmp_path / name, "red")
    entries = [Entry(path, "") for path in (near, beside, far)]
    file = write_gallery(tmp_path / "page" / "index.html", [Section("red", entries=entries)])
    hrefs = [link["href"] for link in _Page(file).all("a")]
    assert [href.startswith("./") for href in hrefs] == [True, True, False]
    found = [unquote(urlsplit(href).path) for href in hrefs]
    assert [os.path.samefile(file.parent / path, original) for path, original in zip(
        found, (near, beside, far), strict=True
    )] == [True] * 3  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes only there")
def test_name_that_is_not_utf8_is_shown_and_linked(tmp_path, save_picture):
    picture = save_picture(tmp_path / "plain.jpg", "red")
    odd = picture.rename(tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    file = write_search_page(tmp_path / "page.html", "café", [SearchResult(1, odd, 3, 0.5)])
    page = _Page(file)
    assert page.all("a")[0]["href"] == "./caf%E9.jpg"
    assert "caf\ufffd.jpg" in page.text


def test_pictures_are_shown_upright_and_small(tmp_path):
    photo = Image.new("RGB", (1600, 1200), "white")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° for viewing
    photo.save(tmp_path / "turned.jpg", exif=exif)
    file = write_gallery(
        tmp_path / "page.html", [Section("", entries=[Entry(tmp_path / "turned.jpg")])]
    )
    (image,) = _Page(file).all("img")
    thumbnail = _thumbnail(image["src"])
    assert thumbnail.height > thumbnail.width
    assert thumbnail.height <= 400
    assert (image["width"], image["height"]) == tuple(map(str, thumbnail.size))
    assert not thumbnail.getexif()
    assert file.stat().st_size < 40_000


def test_pictures_of_every_format_are_shown(tmp_path):
    spec = importlib.util.spec_from_file_location(
        "every_format", Path(__file__).parent / "ingest" / "every_format.py"
    )
    formats = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(formats)
    picture = Image.new("RGB", (64, 48), (200, 40, 30))
    files = formats.every_format(picture)
    assert {".heic", ".avif", ".tif", ".webp"} <= {Path(name).suffix for name in files}
    if raw_version() is not None:
        files["camera.dng"] = formats.raw_file(picture)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    entries = [Entry(tmp_path / name) for name in files]
    page = _Page(write_gallery(tmp_path / "page.html", [Section("", entries=entries)]))
    assert len(page.all("img")) == len(files), page.text
    for name, image in zip(files, page.all("img"), strict=True):
        red, green, _ = _thumbnail(image["src"]).resize((1, 1)).getpixel((0, 0))
        if name.endswith((".heic", ".avif", ".dng", ".bmp")):  # others are grey, or transparent
            assert red > green + 50, name


def test_missing_and_broken_pictures_become_tiles_with_the_reason(tmp_path, save_picture):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "letter.png").write_text("Dear reader, this is no picture at all")
    good = save_picture(tmp_path / "good.jpg", "red")
    names = ("gone.jpg", "empty.jpg", "letter.png")
    entries = [Entry(tmp_path / name) for name in names] + [Entry(good)]
    file = write_gallery(
        tmp_path / "page.html", [Section("all", "", tmp_path / "gone.jpg", entries)]
    )
    page = _Page(file)
    assert len(page.all("img")) == 1
    assert all(name in page.text for name in names)
    assert "empty file" in page.text
    assert "not an image" in page.text
    assert "No such file" in page.text


def test_every_picture_can_be_reached_and_named_without_a_mouse(tmp_path, save_picture):
    red = save_picture(tmp_path / "red.jpg", "red")
    file = write_gallery(
        tmp_path / "page.html",
        [Section("", "", red, [Entry(red, "a red sheet"), Entry(red)])],
    )
    page = _Page(file)
    assert len(page.all("a")) == len(page.all("img")) == 3
    assert all(link["href"] for link in page.all("a"))
    assert [image["alt"] for image in page.all("img")] == [
        "The picture searched with",
        "a red sheet",
        "red.jpg",
    ]
    assert "a:focus-visible" in page.style
    assert "prefers-color-scheme: dark" in page.style


def test_very_wide_and_very_tall_pictures_keep_their_row(tmp_path):
    Image.new("RGB", (3000, 60), "red").save(tmp_path / "wide.png")
    Image.new("RGB", (60, 3000), "red").save(tmp_path / "tall.png")
    entries = [Entry(tmp_path / "wide.png"), Entry(tmp_path / "tall.png")]
    file = write_gallery(tmp_path / "page.html", [Section("", entries=entries)])
    ratios = [float(r) for r in re.findall(r"--ratio: ([\d.]+)\"", file.read_text("utf-8"))]
    assert ratios == [2.4, 0.6]


def test_search_page_names_the_query_and_counts_what_was_found(tmp_path, photo_folder):
    paths = sorted(photo_folder.rglob("*.jpg"))[:3]
    results = [SearchResult(i, path, 10 * i, 1 / i) for i, path in enumerate(paths, 1)]
    page = _Page(write_search_page(tmp_path / "page.html", "a red sheet", results))
    assert "a red sheet" in page.text
    assert "3 pictures" in page.text
    assert "0.50 · 20 bits" in page.text
    assert [link["title"] for link in page.all("a")] == [path.name for path in paths]


def test_search_page_tells_when_pictures_were_taken_and_what_is_written(tmp_path, save_picture):
    picture = save_picture(tmp_path / "red.jpg", "red")
    taken = datetime(2023, 6, 15, 18, 30, tzinfo=timezone(timedelta(hours=2)))
    about = {"taken": taken, "caption": "The <barn>", "keywords": ("Anna", "farm")}
    result = SearchResult(1, picture, 20, 0.5, 0.0123, True, None, **about)
    page = _Page(write_search_page(tmp_path / "page.html", "a red sheet", [result]))
    for told in (
        "The <barn>",
        "2023-06-15 18:30",
        "Anna, farm",
        "0.50 · 20 bits · 0.012 by chance",
    ):
        assert told in page.text
    assert page.all("time") == [{"datetime": "2023-06-15T18:30:00+02:00"}]


def test_what_chance_may_explain_stands_apart(tmp_path, photo_folder):
    paths = sorted(photo_folder.rglob("*.jpg"))[:3]
    sure, *others = [
        SearchResult(i, path, 10 * i, 1 / i, float(i), i == 1) for i, path in enumerate(paths, 1)
    ]
    both = _Page(write_search_page(tmp_path / "page.html", "red", [sure, *others]))
    assert "1 picture, nearest first; 2 more, which chance may explain" in both.text
    places = [both.text.index(w) for w in (paths[0].name, "Chance may explain", paths[1].name)]
    assert places == sorted(places)
    none = _Page(write_search_page(tmp_path / "page.html", "a unicorn", others))
    assert "Nothing in this library matches." in none.text
    assert "The nearest pictures" in none.text
    assert [link["title"] for link in none.all("a")] == [path.name for path in paths[1:]]


def test_pages_of_many_pictures_have_smaller_ones(tmp_path):
    big = tmp_path / "big.jpg"
    Image.new("RGB", (800, 600), "red").save(big)
    copies = [tmp_path / f"{number}.jpg" for number in range(210)]
    for copy in copies:
        os.link(big, copy)
    page = _Page(
        write_gallery(tmp_path / "page.html", [Section("", entries=[*map(Entry, copies)])])
    )
    assert {image["height"] for image in page.all("img")} == {"220"}


def test_search_page_says_when_nothing_was_found(tmp_path):
    page = _Page(write_search_page(tmp_path / "page.html", "a unicorn", []))
    assert "Nothing found" in page.text


def test_page_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("old")
    assert write_gallery(file, [], title="new") == file
    assert "new" in file.read_text("utf-8")
    assert os.listdir(tmp_path) == ["page.html"]


@pytest.mark.parametrize("name", ["photo.jpg", "page", "folder.html", "missing/page.html"])
def test_page_is_written_to_html_files_only(tmp_path, name):
    (tmp_path / "photo.jpg").write_bytes(b"precious")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UsageError, match=name):
        write_gallery(tmp_path / name, [])
    assert (tmp_path / "photo.jpg").read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["folder.html", "photo.jpg"]
