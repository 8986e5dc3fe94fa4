"""What people's folders hold: links, odd names and times, and folders that change meanwhile."""

import os
import sys
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy_room import ToyRoom

from xmodal.ingest import survey
from xmodal.ingest.patterns import Selection
from xmodal.ingest.report import IndexCounts
from xmodal.ingest.walk import FoundFile, walk

Save = Callable[..., Path]
Opened = dict[str, int]
HOUR = 3_600 * 10**9


def _counts(counts: IndexCounts) -> tuple[int, int, int, int, int]:
    return counts.indexed, counts.unchanged, counts.moved, counts.removed, counts.failed


def _shift(path: Path, nanoseconds: int) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + nanoseconds))


def _consistent(room: ToyRoom) -> bool:
    return room.coded() == room.live()


def test_names_of_one_file_are_hashed_once(
    room: ToyRoom, tmp_path: Path, save_picture: Save, opened: Opened
) -> None:
    original = save_picture(tmp_path / "photos" / "a.png", "red")
    for number in range(9):
        os.link(original, original.with_name(f"b{number}.png"))
    assert _counts(room.index(tmp_path / "photos")) == (1, 0, 9, 0, 0)
    assert opened == {"hashed": 1, "decoded": 1}
    assert len(room.files()) == 10
    assert len(room.live()) == 1
    assert _counts(room.index(tmp_path / "photos")) == (0, 10, 0, 0, 0)


def test_names_of_one_broken_file_are_all_listed(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    original = save_picture(tmp_path / "photos" / "good.png", "red").with_name("a.png")
    original.write_bytes(b"no picture")
    os.link(original, original.with_name("b.png"))
    counts = room.index(tmp_path / "photos")
    assert [failure.path.name for failure in counts.failures] == ["a.png", "b.png"]


def test_links_to_files_show_the_picture_and_are_decoded_once(
    room: ToyRoom, photo_folder: Path, save_picture: Save, opened: Opened
) -> None:
    elsewhere = save_picture(photo_folder.parent / "elsewhere.png", "red", seed=55)
    (photo_folder / "link.png").symlink_to(elsewhere)
    (photo_folder / "same.jpg").symlink_to(photo_folder / "0" / "00.jpg")
    assert _counts(room.index(photo_folder)) == (31, 0, 1, 0, 0)
    assert opened["decoded"] == 31
    assert _counts(room.index(photo_folder)) == (0, 32, 0, 0, 0)
    save_picture(elsewhere, "blue", seed=56)  # the link is as old as it was
    assert _counts(room.index(photo_folder)) == (1, 31, 0, 0, 0)
    assert _consistent(room)


def test_a_link_to_itself_is_listed_and_the_run_goes_on(room: ToyRoom, photo_folder: Path) -> None:
    for name in ("loop", "loop.jpg"):
        (photo_folder / name).symlink_to(photo_folder / name)
    counts = room.index(photo_folder)
    assert counts.indexed == 30
    assert {failure.path.name for failure in counts.failures} == {"loop", "loop.jpg"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_with_line_ends_and_other_odd_characters_are_indexed_and_known_again(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    root = tmp_path / "two\nlines"
    names = (
        "a\nb.png",
        "\t.png",
        "%_*?[x].png",
        "\\n.png",
        "\x01\x7f.png",
        "\u202egnp.png",
        "'\".png",
    )
    picture = save_picture(tmp_path / "picture.png", "red")
    root.mkdir()
    for name in names:
        (root / name).write_bytes(picture.read_bytes())
    assert _counts(room.index(root)) == (1, 0, len(names) - 1, 0, 0)
    assert _counts(room.index(root)) == (0, len(names), 0, 0, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [("IMG_1.JPG", "img_1.jpg"), ("cafe\u0301.jpg", "caf\u00e9.jpg"), ("Å.jpg", "A\u030a.jpg")],
)
def test_a_name_that_changes_its_case_or_unicode_form_is_a_renamed_file(
    room: ToyRoom, photo_folder: Path, opened: Opened, old: str, new: str
) -> None:
    folder = photo_folder / "0"
    (folder / "00.jpg").rename(folder / old)
    room.index(photo_folder)
    (folder / old).rename(folder / new)
    assert _counts(room.index(photo_folder)) == (0, 29, 1, 0, 0)
    assert opened == {"hashed": 31, "decoded": 30}
    assert len(room.files()) == 30
    assert room.files()[f"0/{new}"] == "present"
    assert _consistent(room)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take them for one name")
def test_a_whole_library_that_comes_from_a_mac_is_neither_doubled_nor_lost(
    room: ToyRoom, tmp_path: Path, save_picture: Save, opened: Opened
) -> None:
    root = tmp_path / "photos"
    for number, name in enumerate(("é", "ü", "ガ", "Å")):
        decomposed = unicodedata.normalize("NFD", name)
        save_picture(root / decomposed / f"{decomposed}.png", "red", seed=number)
    room.index(root)
    for folder in list(root.iterdir()):
        for path in (*folder.iterdir(), folder):
            path.rename(path.with_name(unicodedata.normalize("NFC", path.name)))
    assert _counts(room.index(root)) == (0, 0, 4, 0, 0)
    assert opened["decoded"] == 4
    assert set(room.files()) == {f"{n}/{n}.png" for n in ("é", "ü", "ガ", "Å")}
    assert _consistent(room)


@pytest.mark.parametrize("shift", [HOUR, -HOUR, 10**9, -1, 100 * 365 * 24 * HOUR])
def test_times_that_shift_cost_a_hash_and_no_decoding(
    room: ToyRoom, photo_folder: Path, opened: Opened, shift: int
) -> None:
    """FAT disks in summer and winter, other clocks, copies that round to two seconds."""
    room.index(photo_folder)
    for path in photo_folder.rglob("*.*"):
        _shift(path, shift)
    assert _counts(room.index(photo_folder)) == (0, 30, 0, 0, 0)
    assert opened == {"hashed": 60, "decoded": 30}
    assert _counts(room.index(photo_folder)) == (0, 30, 0, 0, 0)
    assert opened["hashed"] == 60


def test_content_that_is_replaced_by_something_older_of_the_same_size_is_noticed(
    room: ToyRoom, photo_folder: Path, save_picture: Save
) -> None:
    picture = save_picture(photo_folder / "a.bmp", "red", seed=1)
    room.index(photo_folder)
    before = picture.stat()
    save_picture(picture, "blue", seed=2)
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns - 5 * 365 * 24 * HOUR))
    assert picture.stat().st_size == before.st_size
    assert _counts(room.index(photo_folder)) == (1, 30, 0, 0, 0)
    assert _consistent(room)


def _meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something to the folder when the walk has found its first picture."""

    def walking(*args: Any, **options: Any) -> Iterator[FoundFile]:
        found = walk(*args, **options)
        yield next(found)
        act()
        yield from found

    monkeypatch.setattr(survey, "walk", walking)


def test_a_folder_that_vanishes_during_the_walk_is_settled_by_the_next_run(
    room: ToyRoom, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.index(photo_folder)
    aside = photo_folder.with_name("aside")
    with monkeypatch.context() as patch:
        _meanwhile(patch, lambda: (photo_folder / "1").rename(aside))
        counts = room.index(photo_folder)
    assert _counts(counts) == (0, 20, 0, 0, 1)
    assert counts.failures[0].path == photo_folder / "1"
    assert len(room.coded()) == 30
    assert _counts(room.index(photo_folder)) == (0, 20, 0, 10, 0)
    aside.rename(photo_folder / "1")
    assert _counts(room.index(photo_folder)) == (0, 20, 10, 0, 0)


def test_a_file_that_vanishes_during_the_walk_is_settled_by_the_next_run(
    room: ToyRoom, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.index(photo_folder)
    with monkeypatch.context() as patch:
        _meanwhile(patch, (photo_folder / "0" / "05.jpg").unlink)
        counts = room.index(photo_folder)
    assert _counts(counts) == (0, 29, 0, 0, 1)
    assert _counts(room.index(photo_folder)) == (0, 29, 0, 1, 0)


def test_a_drive_that_is_pulled_out_during_the_walk_is_not_emptied(
    room: ToyRoom, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.index(photo_folder)
    away = photo_folder.with_name("away")

    def pull_out() -> None:
        photo_folder.rename(away)
        photo_folder.mkdir()  # the mount point

    with monkeypatch.context() as patch:
        _meanwhile(patch, pull_out)
        counts = room.index(photo_folder)
    assert counts.removed == 0
    assert counts.failures[-1].path == photo_folder
    assert len(room.coded()) == 30
    photo_folder.rmdir()
    away.rename(photo_folder)
    assert _counts(room.index(photo_folder)) == (0, 30, 0, 0, 0)


def test_a_folder_inside_a_known_one_that_is_replaced_during_the_walk_is_not_emptied(
    room: ToyRoom, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.index(photo_folder)
    inner = photo_folder / "1"
    (inner / "sub").mkdir()
    (inner / "05.png").rename(inner / "sub" / "05.png")
    room.index(photo_folder)

    def replace() -> None:
        inner.rename(photo_folder.with_name("away"))
        inner.mkdir()

    with monkeypatch.context() as patch:
        _meanwhile(patch, replace)
        counts = room.index(inner)
    assert counts.removed == 0
    assert len(room.coded()) == 30


def test_names_in_patterns_are_relative_to_the_folder_that_is_named(
    room: ToyRoom, photo_folder: Path
) -> None:
    room.index(photo_folder)
    counts = room.index(
        photo_folder / "0", selection=Selection(photo_folder / "0", exclude=["/05.jpg"])
    )
    assert _counts(counts) == (0, 9, 0, 1, 0)
    assert room.files()["0/05.jpg"] == "missing"
    counts = room.index(photo_folder / "1", selection=Selection(photo_folder / "1", exclude=["1/"]))
    assert _counts(counts) == (0, 10, 0, 0, 0)


def test_unchanged_files_take_little_memory(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    """About as much as their paths and what they are compared with: no record, no object."""
    first = save_picture(tmp_path / "photos" / "0000.png", "red")
    for number in range(1, 2_000):
        os.link(first, first.with_name(f"{number:04d}.png"))
    room.index(first.parent)
    tracemalloc.start()
    counts = room.index(first.parent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts.unchanged == 2_000
    assert peak / 2_000 < 1_500
