"""Walking: which files are pictures, in which order, and what it does not stumble over."""

import os
import sys
from pathlib import Path

import pytest

from xmodal.ingest.walk import walk


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def _names(root: Path) -> list[str]:
    return [file.relative_path for file in walk(root)]


def test_only_picture_suffixes_are_found_whatever_their_case(tmp_path: Path) -> None:
    for name in (
        "a.jpg",
        "b.JPEG",
        "c.PnG",
        "notes.txt",
        "jpg",
        "song.mp3",
        "sub/d.webp",
        "sub/e.MOV",
    ):
        _touch(tmp_path / name)
    assert _names(tmp_path) == ["a.jpg", "b.JPEG", "c.PnG", "sub/d.webp", "sub/e.MOV"]


def test_order_depends_on_names_alone(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/3.png", "c.png", "a/1.png", "B.png"):
        _touch(tmp_path / name)
    assert _names(tmp_path) == ["B.png", "c.png", "a/1.png", "a/3.png", "b/2.png"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    for name in (".hidden.jpg", ".thumbnails/a.jpg", "._a.jpg", "a.jpg"):
        _touch(tmp_path / name)
    assert _names(tmp_path) == ["a.jpg"]


def test_size_and_time_come_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"12345")
    os.utime(tmp_path / "a.jpg", ns=(7, 1_700_000_000_123_456_789))
    (file,) = walk(tmp_path)
    assert (file.size, file.mtime_ns) == (5, 1_700_000_000_123_456_789)


def test_loops_of_links_end_and_nothing_is_found_twice(tmp_path: Path) -> None:
    _touch(tmp_path / "z" / "a.jpg")
    (tmp_path / "z" / "up").symlink_to(tmp_path)
    (tmp_path / "a_link_that_sorts_first").symlink_to(tmp_path / "z")
    assert _names(tmp_path) == ["z/a.jpg"]


def test_linked_folders_elsewhere_are_entered(tmp_path: Path) -> None:
    _touch(tmp_path / "elsewhere" / "b.jpg")
    root = tmp_path / "photos"
    _touch(root / "a.jpg")
    (root / "more").symlink_to(tmp_path / "elsewhere")
    assert _names(root) == ["a.jpg", "more/b.jpg"]


def test_a_broken_link_is_reported_and_the_walk_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "nowhere.jpg")
    _touch(tmp_path / "b.jpg")
    errors: list[tuple[str, OSError]] = []
    found = list(walk(tmp_path, lambda *error: errors.append(error)))
    assert [file.relative_path for file in found] == ["b.jpg"]
    assert errors[0][0] == "a.jpg"
    assert isinstance(errors[0][1], FileNotFoundError)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads anything")
def test_an_unreadable_folder_is_reported_and_the_walk_goes_on(tmp_path: Path) -> None:
    _touch(tmp_path / "locked" / "a.jpg")
    _touch(tmp_path / "open" / "b.jpg")
    (tmp_path / "locked").chmod(0)
    errors: list[str] = []
    found = list(walk(tmp_path, lambda path, error: errors.append(path)))
    (tmp_path / "locked").chmod(0o700)
    assert [file.relative_path for file in found] == ["open/b.jpg"]
    assert errors == ["locked"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    _touch(tmp_path / name)
    assert _names(tmp_path) == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_regular_file_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    _touch(tmp_path / "folder.jpg" / "a.jpg")
    assert _names(tmp_path) == ["folder.jpg/a.jpg"]
