"""Patterns: what a run reads, what it leaves out, and what becomes of that in the library."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_room import ToyRoom

from xmodal.errors import UsageError
from xmodal.ingest.patterns import IGNORE_FILE, Selection
from xmodal.ingest.report import IndexCounts
from xmodal.ingest.walk import walk
from xmodal.library import Library

Save = Callable[..., Path]
Opened = dict[str, int]

NAMES = (
    "a.jpg",
    "b.PNG",
    "raw/c.jpg",
    "raw/keep.jpg",
    "trip/d.jpg",
    "trip/raw/e.jpg",
    "trip/small/f_small.jpg",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``NAMES`` as files of a byte each: walking opens none of them."""
    for name in NAMES:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "tree"


def _found(root: Path, **options: object) -> set[str]:
    return {file.relative_path for file in walk(root, None, Selection(root, **options))}


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({"exclude": ["raw/"]}, {"raw/c.jpg", "raw/keep.jpg", "trip/raw/e.jpg"}),
        ({"exclude": ["/raw/"]}, {"raw/c.jpg", "raw/keep.jpg"}),
        ({"exclude": ["*_small.*", "a.jpg"]}, {"trip/small/f_small.jpg", "a.jpg"}),
        ({"exclude": ["raw/*", "!keep.jpg"]}, {"raw/c.jpg"}),
        ({"exclude": ["trip/**/*.jpg"]}, {n for n in NAMES if n.startswith("trip/")}),
        ({"include": ["*.png"]}, set(NAMES) - {"b.PNG"}),
        ({"include": ["trip/", "a.*"]}, {"b.PNG", "raw/c.jpg", "raw/keep.jpg"}),
        (
            {"include": ["raw/"], "exclude": ["trip/"]},
            set(NAMES) - {"raw/c.jpg", "raw/keep.jpg"},
        ),
    ],
)
def test_patterns_are_read_as_in_gitignore(
    tree: Path, options: dict[str, list[str]], left_out: set[str]
) -> None:
    assert _found(tree, **options) == set(NAMES) - left_out


def test_an_ignore_file_counts_for_its_folder_and_what_is_below(tree: Path) -> None:
    (tree / "trip" / IGNORE_FILE).write_text("raw/\n# a remark\n\n*_small.jpg\n")
    assert _found(tree) == set(NAMES) - {"trip/raw/e.jpg", "trip/small/f_small.jpg"}


def test_a_deeper_ignore_file_is_stronger_and_the_command_line_is_the_strongest(
    tree: Path,
) -> None:
    (tree / IGNORE_FILE).write_text("*.jpg\n")
    (tree / "trip" / IGNORE_FILE).write_text("!d.jpg\n")
    assert _found(tree) == {"b.PNG", "trip/d.jpg"}
    assert _found(tree, exclude=["!a.jpg", "d.jpg"]) == {"a.jpg", "b.PNG"}


def test_an_ignore_file_above_the_folder_counts_too(tree: Path) -> None:
    (tree / IGNORE_FILE).write_text("/trip/raw/\nd.jpg\n")
    assert _found(tree / "trip") == {"small/f_small.jpg"}


def test_an_ignore_file_as_windows_writes_it_is_understood(tree: Path) -> None:
    (tree / IGNORE_FILE).write_bytes(b"\xef\xbb\xbfraw/\r\na.jpg\r\n")
    assert _found(tree) == {"b.PNG", "trip/d.jpg", "trip/small/f_small.jpg"}


def test_a_lone_exclamation_mark_in_an_ignore_file_says_nothing_as_in_git(tree: Path) -> None:
    (tree / IGNORE_FILE).write_text("raw/\n!\n! \na.jpg\n")
    assert _found(tree) == {"b.PNG", "trip/d.jpg", "trip/small/f_small.jpg"}


def test_a_folder_whose_ignore_file_cannot_be_understood_is_not_read(tree: Path) -> None:
    (tree / "trip" / IGNORE_FILE).write_text("\\\n")
    errors: list[tuple[str, str]] = []
    found = walk(tree, lambda path, error: errors.append((path, str(error.strerror))))
    assert {file.relative_path for file in found} == {n for n in NAMES if "trip" not in n}
    assert [path for path, _ in errors] == ["trip"]
    assert IGNORE_FILE in errors[0][1]


@pytest.mark.parametrize("bad", ["!", "\\"])
def test_a_pattern_that_is_none_is_refused(tree: Path, bad: str) -> None:
    with pytest.raises(UsageError, match=r"gitignore"):
        Selection(tree, exclude=[bad])


def test_a_number_sign_begins_a_name_not_a_remark(tree: Path) -> None:
    (tree / "#1.jpg").write_bytes(b"x")
    assert "#1.jpg" in _found(tree)
    assert "#1.jpg" not in _found(tree, exclude=["#1.jpg"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_of_any_bytes_are_matched(tree: Path) -> None:
    odd = [os.fsdecode(b"caf\xe9\n.jpg"), "cafe\u0301.jpg", "line\nline/x\n.jpg"]
    for name in odd:
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"x")
    assert _found(tree) == {*NAMES, *odd}
    assert _found(tree, exclude=["*.jpg"]) == {"b.PNG"}
    assert _found(tree, exclude=["line*/"]) == {*NAMES, *odd[:2]}
    assert _found(tree, exclude=["caf\u00e9.jpg"]) == {*NAMES, odd[0], odd[2]}
    assert _found(tree, include=["line*/"]) == {odd[2]}


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "$RECYCLE.BIN/S-1-5/$R1.jpg",
        "System Volume Information/a.jpg",
        "lost+found/a.jpg",
        "__MACOSX/a.jpg",
        "#recycle/a.jpg",
        ".thumbnails/a.jpg",
        ".Trash-1000/files/a.jpg",
        ".trashed-1700000000-a.jpg",
        "._a.jpg",
    ],
)
def test_what_systems_keep_for_themselves_is_never_read(tree: Path, name: str) -> None:
    (tree / "sub" / name).parent.mkdir(parents=True)
    (tree / "sub" / name).write_bytes(b"x")
    assert _found(tree) == _found(tree, hidden=True) == set(NAMES)
    assert Selection(tree).leaves_out(f"sub/{name}")


def test_hidden_files_are_read_when_they_are_asked_for(tree: Path) -> None:
    (tree / ".private").mkdir()
    (tree / ".private" / ".a.jpg").write_bytes(b"x")
    assert _found(tree) == set(NAMES)
    assert _found(tree, hidden=True) == {*NAMES, ".private/.a.jpg"}


PARTS = st.sampled_from(["a", "B", "raw", ".x", "@eaDir", "c.jpg", ".d.jpg", "é.png"])
PATTERNS = st.sampled_from(
    ["a", "b/", "/raw", "*.jpg", "!c.jpg", "a/**", "**/c.jpg", "É.png", "!/a/", "*", "raw/*.jpg"]
)


@given(
    st.sets(st.lists(PARTS, min_size=1, max_size=3).map("/".join), max_size=8),
    st.lists(PATTERNS, max_size=3),
    st.dictionaries(st.sampled_from(["", "a", "raw"]), st.lists(PATTERNS, max_size=3)),
    st.booleans(),
)
def test_a_path_is_left_out_just_when_the_walk_does_not_come_to_it(
    tmp_path_factory: pytest.TempPathFactory,
    paths: set[str],
    exclude: list[str],
    rules: dict[str, list[str]],
    hidden: bool,
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for folder, lines in rules.items():
        (root / folder).mkdir(exist_ok=True)
        (root / folder / IGNORE_FILE).write_text("\n".join(lines), encoding="utf-8")
    written = set()
    for path in paths:
        file = root / path
        if not any(parent.is_file() for parent in file.parents) and not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
            written.add(path)
    selection = Selection(root, (), exclude, hidden)
    found = {file.relative_path for file in walk(root, None, selection)}
    pictures = {path for path in written if path.endswith((".jpg", ".png"))}
    assert found == {path for path in pictures if not selection.leaves_out(path)}


def _counts(counts: IndexCounts) -> tuple[int, int, int, int, int]:
    return counts.indexed, counts.unchanged, counts.moved, counts.removed, counts.failed


def _index(room: ToyRoom, root: Path, **options: object) -> IndexCounts:
    return room.index(root, selection=Selection(root, **options))


def test_excluded_pictures_leave_the_library_and_come_back_without_decoding(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    codes = room.coded()
    counts = _index(room, photo_folder, exclude=["1/"])
    assert _counts(counts) == (0, 20, 0, 10, 0)
    assert "10 pictures that were in the library are left out now" in counts.notes[0]
    assert len(room.coded()) == 20
    assert room.coded() == room.live()
    again = _index(room, photo_folder, exclude=["1/"])
    assert (_counts(again), again.notes) == ((0, 20, 0, 0, 0), [])
    assert _counts(room.index(photo_folder)) == (0, 20, 10, 0, 0)
    assert opened["decoded"] == 30
    assert room.coded() == codes


def test_an_ignore_file_written_later_takes_its_pictures_out(
    room: ToyRoom, photo_folder: Path
) -> None:
    room.index(photo_folder)
    (photo_folder / "1" / IGNORE_FILE).write_text("*\n")
    assert _counts(room.index(photo_folder)) == (0, 20, 0, 10, 0)
    (photo_folder / "1" / IGNORE_FILE).unlink()
    assert _counts(room.index(photo_folder)) == (0, 20, 10, 0, 0)


def test_include_changes_nothing_about_the_other_pictures(
    room: ToyRoom, photo_folder: Path, save_picture: Save
) -> None:
    room.index(photo_folder)
    (photo_folder / "0" / "00.jpg").unlink()
    (photo_folder / "1" / "00.png").unlink()
    save_picture(photo_folder / "new.jpg", "red", seed=91)
    counts = _index(room, photo_folder, include=["*.png"])
    assert _counts(counts) == (0, 9, 0, 1, 0)
    assert room.files()["0/00.jpg"] == "present"
    assert room.files()["1/00.png"] == "missing"
    assert _counts(room.index(photo_folder)) == (1, 28, 0, 1, 0)


def test_patterns_that_leave_nothing_change_nothing(room: ToyRoom, photo_folder: Path) -> None:
    room.index(photo_folder)
    for options in ({"exclude": ["*"]}, {"include": ["*.tiff"]}):
        with pytest.raises(UsageError, match="no pictures that the patterns leave;"):
            _index(room, photo_folder, **options)
    (photo_folder / IGNORE_FILE).write_text("*\n")
    with pytest.raises(UsageError, match="no pictures that the patterns leave;"):
        room.index(photo_folder)
    assert len(room.coded()) == 30


@pytest.mark.parametrize("options", [{"include": ["*.png"]}, {"exclude": ["1/"]}])
def test_a_drive_that_is_not_mounted_is_not_emptied_under_patterns(
    room: ToyRoom, photo_folder: Path, save_picture: Save, options: dict[str, list[str]]
) -> None:
    room.index(photo_folder)
    photo_folder.rename(photo_folder.with_name("elsewhere"))
    save_picture(photo_folder / "new.png", "red", seed=77)
    if "include" in options:
        removed, away, left = 0, "none of the 10 pictures", 31
    else:
        removed, away, left = 10, "none of the 20 pictures", 21  # 1/ goes, as the user says
    counts = _index(room, photo_folder, **options)
    assert (counts.indexed, counts.removed) == (1, removed)
    assert away in counts.notes[0]
    assert len(room.coded()) == left


def test_hidden_pictures_stay_as_long_as_they_are_asked_for(
    room: ToyRoom, photo_folder: Path
) -> None:
    (photo_folder / "0").rename(photo_folder / ".0")
    assert _index(room, photo_folder, hidden=True).indexed == 30
    assert _counts(_index(room, photo_folder, hidden=True)) == (0, 30, 0, 0, 0)
    assert _counts(room.index(photo_folder)) == (0, 20, 0, 10, 0)
    assert _counts(_index(room, photo_folder, hidden=True)) == (0, 20, 10, 0, 0)


def test_pictures_that_are_named_are_read_whatever_the_patterns_say(
    photo_folder: Path, tmp_path: Path
) -> None:
    folder = photo_folder / "0"
    (folder / "00.jpg").rename(folder / ".00.jpg")
    (folder / IGNORE_FILE).write_text("*")
    with Library.open(tmp_path / "library.db") as library:
        report = library.index(
            [folder / ".00.jpg"], encoder="toy", exclude=["*"], include=["*.png"]
        )
    assert report.indexed == 1


def test_a_walk_that_begins_further_down_finds_what_the_whole_walk_finds_there(tree: Path) -> None:
    (tree / IGNORE_FILE).write_text("small/\n")
    (tree / "trip" / IGNORE_FILE).write_text("d.jpg\n")
    for start in ("trip", "trip/raw", "trip/small", "raw"):
        for options in (
            {},
            {"exclude": ["/raw/c.*"]},
            {"include": ["e.jpg"]},
            {"exclude": ["trip/"]},
        ):
            found = {f.relative_path for f in walk(tree, None, Selection(tree, **options), start)}
            assert found == {n for n in _found(tree, **options) if n.startswith(f"{start}/")}


def test_of_named_pictures_a_selection_leaves_out_what_it_leaves_out_of_folders(
    room: ToyRoom, photo_folder: Path
) -> None:
    """As when changes are followed: the system names what changed, not the user."""
    (photo_folder / "1" / IGNORE_FILE).write_text("05.*\n")
    thumbnails = photo_folder / "0" / "@eaDir"
    thumbnails.mkdir()
    (photo_folder / "0" / "01.jpg").rename(thumbnails / "01.jpg")
    named = ("0/00.jpg", "1/00.png", "1/05.png", "0/@eaDir", "2")
    paths = [photo_folder / name for name in named]
    selection = Selection(photo_folder, exclude=["2/"])
    counts = room.index(photo_folder, only=paths, selection=selection)
    assert _counts(counts) == (2, 0, 0, 0, 0)
    assert set(room.files()) == {"0/00.jpg", "1/00.png"}
