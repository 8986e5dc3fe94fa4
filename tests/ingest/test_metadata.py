"""What the index run keeps of metadata, and when it reads it again."""

import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from PIL.ExifTags import Base
from sqlalchemy import select, update
from toy_room import ToyRoom

sys.path.insert(0, str(Path(__file__).parents[1] / "metadata"))

from written import alternatives, bag, exif_bytes, write_picture, xmp_bytes

from xmodal.ingest import reading
from xmodal.ingest.attach import encode_waiting_texts
from xmodal.store.models import Caption, Capture, File, Item, ItemKeyword, Keyword

Opened = dict[str, int]
Said = set[tuple[str, str, str]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose metadata was read, in order."""
    names: list[str] = []
    real = reading.read_embedded

    def noting(stream: BinaryIO) -> Any:
        names.append(Path(stream.name).name)
        return real(stream)

    monkeypatch.setattr(reading, "read_embedded", noting)
    return names


def _said(room: ToyRoom) -> Said:
    """Each caption and keyword with its kind and its source, whatever picture has it."""
    with room.database.session() as session:
        captions = session.execute(
            select(Item.text, Caption.source).join(Caption, Caption.text_item_id == Item.id)
        )
        keywords = session.execute(
            select(Keyword.name, ItemKeyword.kind, ItemKeyword.source).join(
                ItemKeyword, ItemKeyword.keyword_id == Keyword.id
            )
        )
        found = {(text or "", "caption", source) for text, source in captions}
        return found | {(name, kind, source) for name, kind, source in keywords}


def _encode(room: ToyRoom) -> int:
    with room.database.writer():
        return encode_waiting_texts(room.database, room.encoder, room.encoder_id, room.coder)


def _sidecar(path: Path, *keywords: str) -> None:
    path.write_bytes(xmp_bytes(bag("dc:subject", *keywords)))


def test_words_are_kept_with_their_kind_and_source(room: ToyRoom, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    path = write_picture(
        root / "a.jpg",
        [(2, 25, b"harbour")],
        exif=exif_bytes({Base.ImageDescription: "A red boat"}),
        xmp=xmp_bytes(
            bag("dc:subject", "boat", "Oslo", "Ada") + bag("Iptc4xmpExt:PersonInImage", "Ada"),
            'photoshop:City="Oslo"',
        ),
    )
    path.with_suffix(".txt").write_text("The boat of Ada")
    counts = room.index(root)
    assert (counts.indexed, counts.words, counts.unclear) == (1, 6, [])
    assert _said(room) == {
        ("A red boat", "caption", "exif"),
        ("The boat of Ada", "caption", "sidecar"),
        ("boat", "keyword", "xmp"),
        ("harbour", "keyword", "iptc"),
        ("Ada", "person", "xmp"),
        ("Oslo", "place", "xmp"),
    }
    assert _encode(room) == 6
    assert len(room.coded("text")) == 6


def test_time_place_camera_and_rating_are_kept(room: ToyRoom, tmp_path: Path) -> None:
    shot = {Base.DateTimeOriginal: "2019:07:14 12:34:56", Base.OffsetTimeOriginal: "+02:00"}
    exif = exif_bytes({Base.Make: "ACME", Base.Model: "1"}, {**shot, Base.LensModel: "50mm"})
    packet = xmp_bytes("", 'xmp:Rating="5" exif:GPSLatitude="35,0.6N" exif:GPSLongitude="135,0E"')
    write_picture(tmp_path / "photos" / "a.jpg", exif=exif, xmp=packet)
    write_picture(tmp_path / "photos" / "b.jpg", color="blue")
    room.index(tmp_path / "photos")
    with room.database.session() as session:
        (found,) = session.scalars(select(Capture)).all()
    assert (found.taken_at, found.taken_offset) == (datetime(2019, 7, 14, 12, 34, 56), 120)
    assert (found.latitude, found.longitude) == (pytest.approx(35.01), 135.0)
    assert (found.rating, found.camera, found.lens) == (5, "ACME 1", "50mm")


def test_a_second_run_reads_neither_pictures_nor_sidecars(
    room: ToyRoom, photo_folder: Path, opened: Opened, read: list[str]
) -> None:
    _sidecar(photo_folder / "0" / "00.jpg.xmp", "dog")
    room.index(photo_folder)
    assert (len(read), opened["hashed"]) == (30, 30)
    counts = room.index(photo_folder)
    assert (counts.unchanged, counts.words, len(read), opened["hashed"]) == (30, 0, 30, 30)


@pytest.mark.parametrize("single", [False, True])
def test_a_changed_sidecar_is_read_again_and_replaces_only_its_own_words(
    room: ToyRoom, photo_folder: Path, opened: Opened, read: list[str], single: bool
) -> None:
    path = photo_folder / "0" / "00.jpg"
    _sidecar(path.with_name("00.jpg.xmp"), "dog", "sea")
    _sidecar(path.with_name("01.xmp"), "cat")
    room.index(photo_folder)
    (photo_folder / "words.csv").write_text("file,keywords\n0/00.jpg,sea;csv\n")
    room.attach(photo_folder / "words.csv")
    _sidecar(path.with_name("00.jpg.xmp"), "sea", "horse")
    read.clear()
    counts = room.index(photo_folder, only=[path] if single else None)
    assert (counts.unchanged, counts.words) == (1 if single else 30, 1)
    assert (read, opened) == (["00.jpg"], {"hashed": 30, "decoded": 30})
    expected = {("horse", "sidecar"), ("sea", "sidecar"), ("sea", "csv"), ("csv", "csv")}
    assert {(word, source) for word, _, source in _said(room)} == expected | {("cat", "sidecar")}
    _encode(room)
    assert len(room.coded("text")) == 4
    path.with_name("00.jpg.xmp").unlink()
    assert room.index(photo_folder).unchanged == 30
    assert {word for word, _, _ in _said(room)} == {"sea", "csv", "cat"}
    assert len(room.coded("text")) == 3
    assert room.coded("image") == room.live()


def test_a_sidecar_that_appears_later_is_read(
    room: ToyRoom, photo_folder: Path, opened: Opened
) -> None:
    room.index(photo_folder)
    (photo_folder / "0" / "00.txt").write_text("A dog on the beach")
    counts = room.index(photo_folder)
    assert (counts.unchanged, counts.words, opened["hashed"]) == (30, 1, 30)
    assert _said(room) == {("A dog on the beach", "caption", "sidecar")}


def test_a_library_of_an_older_reader_is_read_without_hashing(
    room: ToyRoom, tmp_path: Path, opened: Opened
) -> None:
    write_picture(tmp_path / "photos" / "a.jpg", xmp=xmp_bytes(bag("dc:subject", "dog")))
    room.index(tmp_path / "photos")
    said = _said(room)
    with room.database.transaction() as session:
        session.execute(update(File).values(metadata_reader=None))
        session.query(ItemKeyword).delete()
        session.query(Keyword).delete()
    counts = room.index(tmp_path / "photos")
    assert (counts.unchanged, counts.words, opened["hashed"]) == (1, 1, 1)
    assert _said(room) == said


def test_a_moved_picture_keeps_its_words_without_being_decoded(
    room: ToyRoom, tmp_path: Path, opened: Opened
) -> None:
    root = tmp_path / "photos"
    _sidecar(write_picture(root / "a.jpg").with_suffix(".xmp"), "dog")
    room.index(root)
    (root / "holiday").mkdir()
    for name in ("a.jpg", "a.xmp"):
        (root / name).rename(root / "holiday" / name)
    counts = room.index(root)
    assert (counts.moved, counts.words, opened["decoded"]) == (1, 0, 1)
    assert _said(room) == {("dog", "keyword", "sidecar")}


def test_copies_share_the_words_of_all_their_sidecars(room: ToyRoom, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    first = write_picture(root / "a" / "1.jpg", xmp=xmp_bytes(bag("dc:subject", "inside")))
    _sidecar(first.with_suffix(".xmp"), "one")
    room.index(root)
    for name in ("b", "c"):
        (root / name).mkdir()
        shutil.copy(first, root / name)
    _sidecar(root / "b" / "1.xmp", "two")
    room.index(root)
    assert {word for word, _, _ in _said(room)} == {"inside", "one", "two"}
    _sidecar(root / "b" / "1.xmp", "three")
    room.index(root)
    assert {word for word, _, _ in _said(room)} == {"inside", "one", "three"}
    shutil.rmtree(root / "b")
    room.index(root)
    room.index(root)  # the run that misses a file leaves its copies to the next
    assert {word for word, _, _ in _said(room)} == {"inside", "one"}


def test_words_of_a_drive_that_is_away_come_back_with_it(room: ToyRoom, tmp_path: Path) -> None:
    first = write_picture(tmp_path / "drive" / "a" / "1.jpg")
    _sidecar(first.with_suffix(".xmp"), "one")
    room.index(tmp_path / "drive")
    (tmp_path / "home").mkdir()
    shutil.copy(first, tmp_path / "home")
    (tmp_path / "drive").rename(tmp_path / "unmounted")
    _sidecar(tmp_path / "home" / "1.xmp", "two")
    room.index(tmp_path / "home")
    assert {word for word, _, _ in _said(room)} == {"two"}
    (tmp_path / "unmounted").rename(tmp_path / "drive")
    room.index(tmp_path / "drive")
    assert {word for word, _, _ in _said(room)} == {"one", "two"}


def test_an_edited_picture_takes_the_words_that_it_has_now(room: ToyRoom, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "a.jpg"
    write_picture(path, exif=exif_bytes({Base.ImageDescription: "A red boat"}))
    room.index(path.parent)
    old = room.live()
    write_picture(path, exif=exif_bytes({Base.ImageDescription: "A blue boat"}), color="blue")
    room.index(path.parent)
    with room.database.session() as session:
        texts = session.scalars(
            select(Item.text)
            .join(Caption, Caption.text_item_id == Item.id)
            .where(Caption.item_id.in_(room.live()))
        ).all()
    assert room.live() != old
    assert texts == ["A blue boat"]


def test_broken_metadata_is_noted_and_the_picture_is_indexed(room: ToyRoom, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "photos" / "a.jpg", xmp=b"<x:xmpmeta")
    path.with_suffix(".xmp").write_bytes(b"\xff\xfe\x00")
    path.with_suffix(".txt").write_text("A dog")
    counts = room.index(path.parent)
    assert (counts.indexed, counts.failed, counts.words) == (1, 0, 1)
    assert [note.split(" cannot be read: ")[0] for note in counts.unclear] == [
        f"{path}: XMP", f"{path}: a.xmp",
    ]  # fmt: skip
    assert room.index(path.parent).unclear == []


def test_a_file_that_is_no_picture_gives_no_words(room: ToyRoom, photo_folder: Path) -> None:
    (photo_folder / "bad.jpg").write_bytes(b"not a picture")
    _sidecar(photo_folder / "bad.xmp", "dog")
    counts = room.index(photo_folder)
    assert (counts.failed, counts.words, _said(room)) == (1, 0, set())
    assert room.index(photo_folder).failed == 1


def test_sidecars_whose_names_are_not_utf8_are_remembered(
    room: ToyRoom, tmp_path: Path, read: list[str]
) -> None:
    root = tmp_path / "photos"
    picture = write_picture(root / "a.jpg")
    name = b"z\xfcrich"
    try:
        picture.rename(root / (name + b".jpg").decode("utf-8", "surrogateescape"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    _sidecar(root / (name + b".xmp").decode("utf-8", "surrogateescape"), "dog")
    assert room.index(root).words == 1
    room.index(root)
    assert len(read) == 1


def test_captions_in_two_languages_both_belong_to_the_picture(
    room: ToyRoom, tmp_path: Path
) -> None:
    texts = alternatives("dc:description", x_default="Two dogs", de_DE="Zwei Hunde")
    write_picture(tmp_path / "photos" / "a.jpg", xmp=xmp_bytes(texts))
    assert room.index(tmp_path / "photos").words == 2
