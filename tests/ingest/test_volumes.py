"""Libraries that travel, folders that move, drives that are away."""

import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from toy_room import ToyRoom

from xmodal.errors import UsageError
from xmodal.ingest.scope import Scope, open_scope, standings
from xmodal.library import Library
from xmodal.store.database import Database
from xmodal.store.models import File, Volume

Save = Callable[..., Path]
Opened = dict[str, int]


def _index(library: Path, *paths: Path):
    with Library.open(library) as opened:
        return opened.index(paths, encoder=None if library.exists() else "toy")


def _found(library: Path, k: int = 3) -> dict[Path, bool]:
    """The paths that "red" finds, and whether they are available."""
    with Library.open(library, create=False) as opened:
        return {found.path: found.available for found in opened.search("red", k=k)}


def _states(library: Path) -> dict[str, int]:
    with Library.open(library, create=False) as opened:
        return opened.info().files


def _volumes(library: Path) -> list[str]:
    database = Database.open(library, create=False)
    with database.session() as session:
        found = list(session.scalars(select(Volume.path).order_by(Volume.path)))
    database.close()
    return found


@pytest.fixture(params=["beside", "inside", "below", "elsewhere on the drive"])
def drive(request: pytest.FixtureRequest, tmp_path: Path, photo_folder: Path) -> tuple[Path, str]:
    """A drive with photos, and where on it the library is."""
    root = tmp_path / "mount" / "one"
    root.mkdir(parents=True)
    photo_folder.rename(root / "photos")
    place = {
        "beside": "library.db",
        "inside": "photos/library.db",
        "below": "photos/0/.xmodal/library.db",
        "elsewhere on the drive": "data/xmodal/library.db",
    }[request.param]
    return root, place


def test_a_library_that_moves_with_its_photos_finds_them_there(
    drive: tuple[Path, str], opened: Opened
) -> None:
    root, place = drive
    assert _index(root / place, root / "photos").indexed == 30
    moved = root.rename(root.with_name("two"))
    found = _found(moved / place)
    assert len(found) == 3
    assert all(path.is_relative_to(moved) and path.is_file() for path in found)
    report = _index(moved / place)
    assert (report.unchanged, report.removed, report.moved) == (30, 0, 0)
    assert any("moved here together with the library" in note for note in report.notes)
    assert opened == {"hashed": 30, "decoded": 30}
    assert _volumes(moved / place) == [str(moved / "photos")]
    assert _index(moved / place).notes == []
    with Library.open(moved / place) as library:
        assert library.info().volumes == [moved / "photos"]


def test_a_copy_of_the_drive_leads_to_its_own_photos(drive: tuple[Path, str]) -> None:
    root, place = drive
    _index(root / place, root / "photos")
    copy = shutil.copytree(root, root.with_name("copy"))
    assert all(path.is_relative_to(copy) for path in _found(copy / place))
    assert all(path.is_relative_to(root) for path in _found(root / place))


def test_a_library_that_moves_alone_still_finds_the_photos(
    tmp_path: Path, photo_folder: Path, save_picture: Save
) -> None:
    library = photo_folder / "library.db"
    _index(library, photo_folder)
    # Where it goes lie other pictures of some of the same names.
    save_picture(tmp_path / "other" / "0" / "00.jpg", "red", seed=500, size=(90, 90))
    alone = library.rename(tmp_path / "other" / "library.db")
    assert all(path.is_relative_to(photo_folder) for path in _found(alone))
    assert _index(alone).unchanged == 30
    assert _volumes(alone) == [str(photo_folder)]
    # From now on it knows the way from its new place.
    both = (tmp_path / "both").resolve()
    both.mkdir()
    (tmp_path / "other").rename(both / "other")
    photo_folder.rename(both / photo_folder.name)
    assert all(path.is_relative_to(both) for path in _found(both / "other" / "library.db"))


def test_a_library_moved_while_the_drive_is_away_finds_it_when_it_is_back_beside(
    tmp_path: Path, photo_folder: Path
) -> None:
    library = tmp_path / "library.db"
    _index(library, photo_folder)
    new = tmp_path / "new"
    new.mkdir()
    photo_folder.rename(tmp_path / "aside")
    library = library.rename(new / "library.db")
    assert "offline" in _index(library).notes[0]
    (tmp_path / "aside").rename(new / photo_folder.name)
    report = _index(library)
    assert report.unchanged == 30
    assert all(
        path.is_relative_to(new) and available for path, available in _found(library).items()
    )


def test_a_folder_that_moved_is_recognised_by_its_files(
    tmp_path: Path, photo_folder: Path, captions_file: Path, opened: Opened
) -> None:
    library = tmp_path / "data" / "library.db"
    with Library.open(library) as made:
        made.index([photo_folder], captions=captions_file, encoder="toy")
    database = Database.open(library)
    with database.session() as session:
        before = dict(session.execute(select(File.id, File.relative_path)).all())
    moved = photo_folder.rename(tmp_path / "pictures of 2019")
    (moved / "0" / "00.jpg").unlink()
    report = _index(library, moved)
    assert (report.unchanged, report.removed, report.indexed, report.moved) == (29, 1, 0, 0)
    assert any("the library follows them" in note for note in report.notes)
    assert opened == {"hashed": 30, "decoded": 30}
    assert _volumes(library) == [str(moved)]
    with database.session() as session:
        assert dict(session.execute(select(File.id, File.relative_path)).all()) == before
    database.close()
    with Library.open(library) as made:
        assert made.annotate(moved / "1" / "00.png", k=2, sources=["caption"])


def test_a_copied_folder_is_a_second_one(
    tmp_path: Path, photo_folder: Path, opened: Opened
) -> None:
    library = tmp_path / "data" / "library.db"
    _index(library, photo_folder)
    copy = shutil.copytree(photo_folder, tmp_path / "copy")
    report = _index(library, copy)
    assert (report.moved, report.indexed) == (30, 0)
    assert opened["decoded"] == 30
    assert _volumes(library) == sorted([str(photo_folder), str(copy)])
    # Gone at last, the first is away, and the second is shown.
    shutil.rmtree(photo_folder)
    assert "offline" in _index(library).notes[0]
    assert all(p.is_relative_to(copy) and there for p, there in _found(library).items())


def test_other_pictures_of_the_same_names_and_sizes_are_no_moved_folder(
    tmp_path: Path, save_picture: Save
) -> None:
    """Memory cards of one camera: names start again, and raw pictures have one size."""
    library = tmp_path / "data" / "library.db"
    for card, day in (("a", 1), ("b", 40)):
        for number in range(4):
            path = save_picture(tmp_path / card / f"IMG_{number}.bmp", "red", seed=day + number)
            os.utime(path, (86_400 * day + number * 37, 86_400 * day + number * 37))
    _index(library, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "away")
    assert _index(library, tmp_path / "b").indexed == 4
    assert len(_volumes(library)) == 2
    assert _states(library) == {"present": 8}


@pytest.mark.parametrize("hours", [0, 1, -7])
def test_times_of_a_fat_drive_in_another_zone_are_the_same(
    tmp_path: Path, photo_folder: Path, hours: int, opened: Opened
) -> None:
    library = tmp_path / "data" / "library.db"
    _index(library, photo_folder)
    moved = photo_folder.rename(tmp_path / "moved")
    for path in moved.rglob("*.*"):
        seconds = path.stat().st_mtime_ns // 2_000_000_000 * 2 + 3600 * hours
        os.utime(path, (seconds, seconds))
    report = _index(library, moved)
    assert (report.indexed, report.moved, report.removed) == (0, 0, 0)
    assert opened["decoded"] == 30
    assert _volumes(library) == [str(moved)]


def test_the_innermost_of_nested_volumes_is_meant(room: ToyRoom, tmp_path: Path) -> None:
    with room.database.transaction() as session:
        outer, inner = Volume(path=str(tmp_path)), Volume(path=str(tmp_path / "a" / "b"))
        session.add_all([outer, inner])
        session.flush()
        scope = open_scope(session, tmp_path / "a" / "b" / "c", [])
        assert (scope.volume_id, scope.prefix) == (inner.id, "c/")
        scope = open_scope(session, tmp_path / "a", [])
        assert (scope.volume_id, scope.prefix) == (outer.id, "a/")


def test_a_drive_that_is_away_is_offline_and_comes_back_for_one_stat_a_file(
    tmp_path: Path, photo_folder: Path, opened: Opened
) -> None:
    library = tmp_path / "data" / "library.db"
    _index(library, photo_folder)
    expected = _found(library)
    assert all(expected.values())
    away = photo_folder.rename(tmp_path / "away")
    for mount_point in (False, True):
        if mount_point:
            photo_folder.mkdir()
        report = _index(library, photo_folder)
        assert "the 30 pictures known there are offline" in report.notes[0]
        assert (report.removed, report.failed) == (0, 0)
        assert _states(library) == {"offline": 30}
        assert _found(library) == dict.fromkeys(expected, False)
    photo_folder.rmdir()
    away.rename(photo_folder)
    report = _index(library)
    assert (report.unchanged, report.notes) == (30, [])
    assert opened == {"hashed": 30, "decoded": 30}
    assert _states(library) == {"present": 30}
    assert _found(library) == expected


def test_what_was_deleted_on_a_drive_while_it_was_away_is_missing_when_it_is_back(
    room: ToyRoom, photo_folder: Path, tmp_path: Path, save_picture: Save
) -> None:
    room.index(photo_folder)
    away = photo_folder.rename(tmp_path / "away")
    save_picture(photo_folder / "stray.png", "blue", seed=4)
    room.index(photo_folder)
    assert sorted(set(room.files().values())) == ["offline", "present"]
    assert len(room.coded()) == 31
    (photo_folder / "stray.png").rename(away / "stray.png")
    photo_folder.rmdir()
    away.rename(photo_folder)
    (photo_folder / "0" / "00.jpg").unlink()
    save_picture(photo_folder / "0" / "01.jpg", "green", seed=99)
    counts = room.index(photo_folder)
    assert (counts.indexed, counts.unchanged, counts.removed) == (1, 29, 1)
    assert room.files()["0/00.jpg"] == "missing"
    assert "offline" not in room.files().values()
    assert room.coded() == room.live()


def test_a_run_over_another_folder_leaves_what_is_offline_alone(
    tmp_path: Path, photo_folder: Path
) -> None:
    library = tmp_path / "data" / "library.db"
    _index(library, photo_folder / "0", photo_folder / "1")
    shutil.rmtree(photo_folder / "0")
    _index(library, photo_folder / "0")
    assert _index(library, photo_folder / "1").notes == []
    assert _states(library) == {"offline": 10, "present": 10}


def test_no_path_means_every_known_folder(
    tmp_path: Path, photo_folder: Path, save_picture: Save
) -> None:
    library = tmp_path / "data" / "library.db"
    _index(library, photo_folder / "0", photo_folder / "1")
    save_picture(photo_folder / "0" / "new.png", "red", seed=70)
    (photo_folder / "1" / "00.png").unlink()
    report = _index(library)
    assert (report.indexed, report.removed, report.unchanged) == (1, 1, 19)


def test_no_path_and_no_library_is_a_mistake(tmp_path: Path) -> None:
    library = tmp_path / "library.db"
    with pytest.raises(UsageError, match="name at least one folder"):
        _index(library)
    assert not library.exists()


@pytest.mark.parametrize("place", ["nowhere", "photos/typo", "photos/0/typo.jpg"])
def test_a_path_that_never_was_is_a_mistake(tmp_path: Path, photo_folder: Path, place: str) -> None:
    library = tmp_path / "data" / "library.db"
    _index(library, photo_folder)
    with pytest.raises(UsageError, match=r"no such (file or )?folder"):
        _index(library, tmp_path / place)
    assert _states(library) == {"present": 30}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_volume_whose_name_is_no_utf8_travels_too(tmp_path: Path, photo_folder: Path) -> None:
    odd = tmp_path / "one" / os.fsdecode(b"f\xfcr")
    odd.parent.mkdir()
    photo_folder.rename(odd)
    _index(tmp_path / "one" / "library.db", odd)
    moved = (tmp_path / "one").rename(tmp_path / "two")
    assert all(path.is_file() for path in _found(moved / "library.db"))


def test_records_at_and_below_any_names_are_found_and_no_others(room: ToyRoom) -> None:
    chance = random.Random(0)
    names = [
        "/".join(
            chance.choice(["a", "A", "a0", "a.", "a/b", "_", "%", "ä", "\udcff"]) for _ in range(n)
        )
        for n in (1, 1, 2, 2, 3, 3) * 30
    ]
    with room.database.transaction() as session:
        volume = Volume(path="/photos")
        session.add(volume)
        session.flush()
        for name in set(names):
            session.add(File(volume_id=volume.id, relative_path=name, size=1, mtime_ns=1))
        session.flush()
        scope = Scope(volume.id, Path("/photos"), "")
        for count in (1, 2, 150):
            only = chance.sample(names, count)
            expected = {n for n in names for o in only if n == o or n.startswith(o + "/")}
            assert set(standings(session, scope, 1, only)) == expected
        inner = Scope(volume.id, Path("/photos"), "a/")
        found = set(session.scalars(select(File.relative_path).where(inner.files())))
        assert found == {name for name in names if name.startswith("a/")}


def test_named_files_and_folders_that_are_gone_or_new_are_all_that_is_looked_at(
    room: ToyRoom, photo_folder: Path, tmp_path: Path, save_picture: Save, opened: Opened
) -> None:
    room.index(photo_folder)
    (photo_folder / "0" / "00.jpg").rename(photo_folder / "0" / "x.jpg")
    (photo_folder / "1").rename(photo_folder / "moved")
    (photo_folder / "2" / "00.webp").unlink()
    save_picture(photo_folder / "2" / "unseen.png", "red", seed=40)
    only = [photo_folder / name for name in ("0/00.jpg", "0/x.jpg", "1", "moved", "2/00.webp")]
    counts = room.index(photo_folder, only=only)
    assert (counts.indexed, counts.moved, counts.removed, counts.unchanged) == (0, 11, 1, 0)
    assert opened["decoded"] == 30
    files = room.files()
    assert files["2/00.webp"] == "missing"
    assert "2/unseen.png" not in files
    assert files["moved/00.png"] == files["0/x.jpg"] == "present"
    assert room.coded() == room.live()


def test_named_files_of_a_folder_with_nothing_left_are_offline(
    room: ToyRoom, photo_folder: Path
) -> None:
    room.index(photo_folder)
    only = list(photo_folder.iterdir())
    for folder in only:
        shutil.rmtree(folder)
    counts = room.index(photo_folder, only=only)
    assert counts.removed == 0
    assert set(room.files().values()) == {"offline"}


def test_a_drive_below_the_folder_that_was_indexed_on_its_own_goes_offline_alone(
    room: ToyRoom, photo_folder: Path, tmp_path: Path
) -> None:
    room.index(photo_folder / "0")
    room.index(photo_folder / "1")
    (photo_folder / "0").rename(tmp_path / "away")
    counts = room.index(photo_folder)
    assert "is the drive mounted?" in counts.notes[0]
    assert sorted(room.files().values()).count("offline") == 10
    assert room.coded() == room.live()
    # … and stays so: the place is remembered, until there is something else in it.
    room.index(photo_folder)
    assert sorted(room.files().values()).count("offline") == 10
    (photo_folder / "0").mkdir()
    shutil.copy(next((photo_folder / "1").iterdir()), photo_folder / "0")
    room.index(photo_folder)
    room.index(photo_folder)
    assert sorted(room.files().values()).count("missing") == 10


@pytest.mark.parametrize("emptied", [True, False])
def test_named_files_where_a_drive_was_are_offline_if_nothing_is_left_there(
    room: ToyRoom, photo_folder: Path, emptied: bool
) -> None:
    room.index(photo_folder)
    with room.database.transaction() as session:
        session.scalars(select(Volume)).one().drives = ["0/"]
    gone = sorted((photo_folder / "0").iterdir())[0 if emptied else 1 :]
    for picture in gone:
        picture.unlink()
    counts = room.index(photo_folder, only=gone)
    files = room.files()
    assert {files[f"0/{picture.name}"] for picture in gone} == {"offline" if emptied else "missing"}
    assert counts.removed == (0 if emptied else 9)
