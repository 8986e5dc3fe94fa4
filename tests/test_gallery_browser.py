"""The contact sheet in a real browser: nothing is complained of, and the keyboard is enough."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from PIL import Image

from xmodal.gallery import write_search_page
from xmodal.resources import resource_path
from xmodal.results import SearchResult

pytest.importorskip("fcntl", reason="the browser is driven through inherited pipes")
from browser import Browser, chromium

pytestmark = pytest.mark.skipif(chromium() is None, reason="there is no Chromium here")

RESULTS, GONE = 200, 7
HOSTILE = "\"'><script>document.title='x'</script>\n<img src=//example.org/x onerror=y>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A contact sheet of real pictures: one is gone, one has a name that is markup."""
    folder = tmp_path_factory.mktemp("sheet")
    pictures = sorted(resource_path("assets/sample").glob("*.jpg"))
    copies = []
    for number in range(RESULTS):
        with Image.open(pictures[number % len(pictures)]) as picture:
            copy = folder / f"{number:03d}.jpg"
            picture.resize((picture.width // 3, picture.height // 3)).save(copy)
        copies.append(copy)
    copies[GONE].unlink()
    copies[1] = copies[1].rename(folder / "'<b>&\n.jpg")
    results = [
        SearchResult(
            *(number + 1, path, 20, 0.5, 0.01, number < 150, None),
            taken=datetime(2023, 5, 1 + number % 28, 12),
            caption=HOSTILE if number == 2 else None,
            keywords=("even",) if number % 2 == 0 else ("odd", "rare") if number == 9 else ("odd",),
        )
        for number, path in enumerate(copies)
    ]
    return write_search_page(folder / "found.html", HOSTILE, results)


def focused(browser: Browser) -> int:
    """The number of the picture that has the focus, from 0."""
    found = browser.run(
        "[...document.querySelectorAll('.pictures .tile')].indexOf(document.activeElement)"
    )
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_two_hundred_results_load_without_a_complaint_or_a_request(
    browser: Browser, page: Path, width: int, dark: bool
) -> None:
    browser.open(page, width=width, dark=dark)
    browser.run("document.querySelectorAll('img').forEach(img => img.loading = 'eager')")
    images = "[...document.querySelectorAll('.tile img')]"
    browser.until(lambda: browser.run(f"{images}.every(img => img.complete)"))
    widths = browser.run(f"{images}.map(img => img.naturalWidth)")
    assert len(widths) == RESULTS - 1
    assert min(widths) > 0
    assert browser.complaints == []
    assert all(url.startswith(("file://", "data:image/jpeg")) for url in browser.requests)
    assert sum(url.startswith("file://") for url in browser.requests) == 1
    # Nothing stands out to the right, where a phone would have to scroll.
    assert browser.run("document.documentElement.scrollWidth") == width
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 3 * 128) == dark


def test_markup_in_names_and_queries_is_shown_as_it_is(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run("document.querySelector('h1').textContent") == HOSTILE
    assert browser.run("document.querySelectorAll('.tile b').length") == 1  # the one that is gone
    assert browser.run("document.querySelectorAll('script').length") == 1


def test_keys_move_among_the_pictures(browser: Browser, page: Path) -> None:
    browser.open(page)
    for key, place in [
        *(("j", 0), ("ArrowRight", 1), ("j", 2), ("k", 1), ("ArrowLeft", 0), ("ArrowLeft", 0)),
        *(("End", RESULTS - 1), ("j", RESULTS - 1), ("Home", 0)),
    ]:
        browser.press(key)
        assert focused(browser) == place, key
    browser.press("ArrowDown")
    below = focused(browser)
    assert below > 1
    top = "{}.getBoundingClientRect().top"
    first = browser.run(top.format("document.querySelector('.tile')"))
    assert browser.run(top.format("document.activeElement")) > first + 100
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("ArrowUp")
    assert focused(browser) == 0


def test_enter_shows_a_picture_larger_and_escape_leads_back(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.press("j")
    browser.press("j")
    browser.press("Enter")
    assert browser.run("document.querySelector('dialog').open")
    assert browser.run("document.querySelector('dialog img').naturalWidth") > 0
    # Enter once more would open the original.
    original = browser.run("[document.activeElement.tagName, document.activeElement.href]")
    assert original[0] == "A"
    assert Path(
        browser.run("decodeURIComponent(new URL(document.activeElement.href).pathname)")
    ).is_file()
    browser.press("ArrowRight")
    assert browser.run("document.activeElement.href") != original[1]
    assert browser.run("document.querySelector('dialog .place').textContent") == "3 of 200"
    browser.press("Escape")
    assert not browser.run("document.querySelector('dialog').open")
    browser.until(lambda: focused(browser) == 2)
    assert browser.complaints == []


def test_what_is_gone_is_told_also_in_the_larger_view(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(f"document.querySelectorAll('.tile')[{GONE}].click()")
    assert "No such file" in browser.run("document.querySelector('dialog').innerText")
    assert browser.run("document.querySelector('dialog img').hidden")


def test_a_slash_filters_by_what_is_written(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.press("/")
    assert browser.run("document.activeElement.id") == "filter"
    for letter in "rare":
        browser.press(letter)
    visible = "document.querySelectorAll('.pictures > li:not([hidden])').length"
    assert browser.run(visible) == 1
    assert browser.run("document.querySelector('#told').textContent") == f"1 of {RESULTS} shown"
    browser.press("Enter")
    assert focused(browser) == 9
    browser.press("/")
    browser.press("Escape")
    assert browser.run(visible) == RESULTS
