"""Videos from end to end: a word finds the moment, once for each video, on the page too."""

import base64
import json
import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from toy import COLOURS
from typer.testing import CliRunner

from xmodal.cli.app import app
from xmodal.cli.output import Moment, print_table
from xmodal.errors import UsageError
from xmodal.gallery import write_search_page
from xmodal.library import Library
from xmodal.query import folding, ranking
from xmodal.results import SearchResult

pytest.importorskip("av")


@pytest.fixture
def films(tmp_path: Path, save_video, save_picture) -> Path:
    root = tmp_path / "films"
    save_video(root / "one.mp4", ("red", 6), ("blue", 6))
    save_video(root / "two.mkv", ("green", 3), ("purple", 3), ("yellow", 3))
    save_picture(root / "blue.png", "blue")
    save_picture(root / "pink.png", "pink")
    return root


@pytest.fixture
def library(tmp_path: Path, films: Path):
    with Library.open(tmp_path / "library.db") as library:
        library.index([films], encoder="toy")
        yield library


def place(found: SearchResult) -> tuple[str, float | None]:
    return found.path.name, found.seconds


@pytest.mark.parametrize(
    ("word", "name", "start", "end"),
    [
        ("red", "one.mp4", 0, 6),
        ("green", "two.mkv", 0, 3),
        ("purple", "two.mkv", 3, 6),
        ("yellow", "two.mkv", 6, 9),
    ],
)
def test_a_word_finds_the_scene_that_shows_it(library, word, name, start, end):
    first = library.search(word, k=1)[0]
    assert first.path.name == name
    assert start <= first.seconds < end


def test_each_video_is_found_once_with_its_best_frame(library):
    found = library.search("blue", k=10)
    assert sorted(result.path.name for result in found) == [
        "blue.png", "one.mp4", "pink.png", "two.mkv",
    ]  # fmt: skip
    assert [result.rank for result in found] == [1, 2, 3, 4]
    times = dict(map(place, found))
    assert times["blue.png"] is None
    assert 6 <= times["one.mp4"] < 12


def test_copies_of_a_video_are_one_result(library, films):
    (films / "copy.mp4").write_bytes((films / "one.mp4").read_bytes())
    library.index([films])
    names = [result.path.name for result in library.search("red", k=10)]
    assert names.count("copy.mp4") + names.count("one.mp4") == 1


def test_a_video_whose_frames_fill_the_shortlist_leaves_room_for_others(library, monkeypatch):
    for module in (ranking, folding):
        monkeypatch.setattr(module, "SHORTLIST", 2)
        monkeypatch.setattr(module, "SHORTLIST_PER_RESULT", 1)
    # The three nearest frames to "red" are of one video.
    assert len({result.path for result in library.search("red", k=3)}) == 3
    assert len(library.search("red", k=4)) == 4


def test_a_picture_finds_the_moment_that_it_shows(library, tmp_path, save_picture):
    still = save_picture(tmp_path / "still.png", "purple", seed=5)
    name, seconds = place(library.search(image=still, k=1)[0])
    assert name == "two.mkv"
    assert 3 <= seconds < 6


def test_a_video_is_no_picture_to_search_with(library, films):
    with pytest.raises(UsageError, match=r"one\.mp4: is a video; a picture is needed"):
        library.search(image=films / "one.mp4")
    with pytest.raises(UsageError, match="is a video"):
        library.annotate(films / "one.mp4")


def test_a_frame_keeps_being_found_when_the_code_is_replaced(library, films):
    before = [place(result) for result in library.search("blue", k=4)]
    for number in range(20):  # the library doubles: its code is fitted again
        colour = list(COLOURS)[number % 10]
        Image.new("RGB", (40, 40 + number), COLOURS[colour]).save(films / f"{number}.png")
    library.index([films])
    assert library.info().trained_on["pictures"] > 20
    times = [place(result) for result in library.search("blue", k=24)]
    assert set(before) <= set(times)
    assert library.info().problems == []


def test_what_is_said_of_a_video_is_told_once(tmp_path, save_video, save_picture):
    folder = tmp_path / "films"
    save_video(folder / "clip.mp4", ("red", 5), tags={"title": "Sunset at the sea"})
    (folder / "clip.txt").write_text("A long evening", encoding="utf-8")
    with Library.open(tmp_path / "library.db") as library:
        assert library.index([folder], encoder="toy").words == 2
        info = library.info()
        assert (info.pictures, info.videos, info.frames, info.captions) == (0, 1, 3, 2)
        still = save_picture(tmp_path / "still.png", "red")
        texts = {found.text for found in library.annotate(still, k=8, sources=("caption",))}
    assert texts == {"Sunset at the sea", "A long evening"}


def test_searches_are_judged_by_one_frame_of_each_video(library, films):
    captions = films / "words.csv"
    captions.write_text("file,caption,keywords\none.mp4,red,moving\nblue.png,blue,still\n")
    library.index([films], captions=captions)
    report = library.evaluate()
    assert (report.pictures, report.captions, report.keywords) == (4, 2, 2)
    assert library.info().frames > 2


def test_in_a_pipe_the_time_of_a_video_is_one_more_column(films, tmp_path):
    def run(*arguments: object):
        options = ["--library", str(tmp_path / "cli.db")]
        return CliRunner().invoke(app, [*map(str, arguments), *options], prog_name="xmodal")

    assert run("index", films, "--encoder", "toy").exit_code == 0
    rows = [line.split("\t") for line in run("search", "blue", "--all").stdout.splitlines()]
    by_name = {Path(row[4]).name: row for row in rows}
    assert len(by_name["blue.png"]) == 5
    assert 6 <= float(by_name["one.mp4"][5]) < 12
    found = run("search", "blue", "--all", "--json").stdout
    records = [json.loads(line) for line in found.splitlines()]
    assert {Path(r["path"]).name: r["seconds"] for r in records}["blue.png"] is None
    refused = run("search", "--image", films / "one.mp4")
    assert refused.exit_code == 2
    assert "is a video" in refused.stderr
    assert "videos\t2, " in run("info").stdout


def test_on_a_terminal_the_time_stands_after_the_name(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    print_table(("#", "picture"), [("1", Moment(Path("clip.mp4"), 72.5))], right=1)
    assert "clip.mp4 @ 1:12" in capsys.readouterr().out


def test_the_page_shows_the_frame_and_links_to_its_time(library, films, tmp_path):
    (found,) = library.search("purple", k=1)
    gone = SearchResult(2, films / "gone.mp4", 3, 0.1, seconds=2.0)
    blue = SearchResult(3, films / "blue.png", 9, 0.0)
    page = write_search_page(tmp_path / "page.html", "purple", [found, gone, blue])
    html = page.read_text("utf-8")
    assert "1 picture and 2 videos, nearest first" in html
    assert f"two.mkv#t={found.seconds:g}" in html
    assert f"two.mkv @ 0:0{int(found.seconds)}" in html
    data, _ = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    pixel = Image.open(BytesIO(base64.b64decode(data))).getpixel((40, 40))
    assert all(abs(a - b) < 20 for a, b in zip(pixel, COLOURS["purple"], strict=True))
    assert "gone.mp4" in html
    assert "cannot be shown: No such file" in html
