"""Attaching captions: which picture is meant, and what a second reading changes."""

import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import select
from toy import ToyEncoder, other_toy
from toy_room import ToyRoom, open_room

from xmodal.encoders.base import Features
from xmodal.ingest.attach import encode_waiting_texts
from xmodal.ingest.report import CaptionCounts
from xmodal.store.models import Caption, Item, ItemKeyword, Keyword

Save = Callable[..., Path]


class CountingToy(ToyEncoder):
    """Remembers every text that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode_texts(self, texts: Sequence[str]) -> Features:
        self.texts += texts
        return super().encode_texts(texts)


def _attach(room: ToyRoom, folder: Path, text: str, root: Path | None = None) -> CaptionCounts:
    path = folder / "captions.csv"
    path.write_text("file,caption,keywords\n" + text, encoding="utf-8")
    return room.attach(path, root)


def _said(room: ToyRoom) -> tuple[list[str], list[str]]:
    """The captions and the keywords of the library, once for each picture that has them."""
    with room.database.session() as session:
        captions = session.scalars(
            select(Item.text).join(Caption, Caption.text_item_id == Item.id)
        ).all()
        words = session.scalars(
            select(Keyword.name).join(ItemKeyword, ItemKeyword.keyword_id == Keyword.id)
        ).all()
    return sorted(c or "" for c in captions), sorted(words)


def _live_texts(room: ToyRoom) -> list[int]:
    with room.database.session() as session:
        used = select(Caption.text_item_id).union(select(Keyword.text_item_id))
        return sorted(session.scalars(used))


def test_captions_and_keywords_get_codes_once_however_often_they_are_used(
    room: ToyRoom, photo_folder: Path, captions_file: Path
) -> None:
    room.index(photo_folder)
    counts = room.attach(captions_file, photo_folder)
    assert (counts.rows, counts.pictures, counts.unmatched) == (30, 30, [])
    assert (counts.added, counts.removed) == (90, 0)
    assert counts.encoded == 10 + 10 + 2  # captions, colours, warm and cool
    assert room.coded("text") == _live_texts(room)
    assert len(room.coded("text")) == 22
    assert room.coded("image") == room.live()


def test_the_same_file_again_changes_nothing_and_encodes_nothing(
    tmp_path: Path, photo_folder: Path, captions_file: Path
) -> None:
    encoder = CountingToy()
    room = open_room(tmp_path / "library.db", encoder)
    room.index(photo_folder)
    room.attach(captions_file)
    texts, said, codes = list(encoder.texts), _said(room), room.coded("text")
    counts = room.attach(captions_file)
    assert (counts.added, counts.removed, counts.encoded) == (0, 0, 0)
    assert (encoder.texts, _said(room), room.coded("text")) == (texts, said, codes)
    room.database.close()


def test_a_new_file_replaces_what_it_says_of_its_pictures_and_leaves_the_others(
    room: ToyRoom, photo_folder: Path
) -> None:
    room.index(photo_folder)
    _attach(room, photo_folder, "0/00.jpg,old,a;b\n0/01.jpg,other,b;c\n")
    counts = _attach(room, photo_folder, "0/00.jpg,new,b;d\n0/00.jpg,newer,d\n")
    assert (counts.added, counts.removed) == (3, 2)
    assert _said(room) == (["new", "newer", "other"], ["b", "b", "c", "d"])
    assert room.coded("text") == _live_texts(room)
    with room.database.session() as session:
        assert sorted(session.scalars(select(Keyword.name))) == ["b", "c", "d"]
    _attach(room, photo_folder, "0/00.jpg,old,a\n")  # back again: its feature was kept
    assert room.coded("text") == _live_texts(room)


def test_a_word_that_is_caption_and_keyword_is_one_text(room: ToyRoom, photo_folder: Path) -> None:
    room.index(photo_folder)
    counts = _attach(room, photo_folder, "0/00.jpg,Caf\u00e9,Cafe\u0301\n")
    assert (counts.added, counts.encoded) == (2, 1)
    _attach(room, photo_folder, "0/00.jpg,,Caf\u00e9\n")
    assert len(room.coded("text")) == 1


def test_files_are_found_from_the_csv_the_root_or_by_a_name_that_is_unique(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    root = tmp_path / "photos"
    for number, name in enumerate(("a/1.png", "b/1.png", "b/2.png", "c/3.png")):
        save_picture(root / name, "red", seed=number)
    room.index(root)
    rows = "1.png,x,\nb/1.png,x,\n2.png,x,\n/old/disk/3.png,x,\n"
    rows += f"..\\b\\1.png,x,\n{root}/c/3.png,x,\n"
    counts = _attach(room, root / "a", rows, root)
    assert (counts.rows, counts.pictures, counts.unmatched) == (6, 4, [])
    elsewhere = tmp_path / "texts"
    elsewhere.mkdir()
    counts = _attach(room, elsewhere, "1.png,x,\nnowhere.png,x,\n", root)
    assert counts.rows == 0
    assert counts.unmatched == [
        "line 2: 1.png: 2 pictures have this name; write the folder too",
        "line 3: nowhere.png: no such picture in the library",
    ]


def test_copies_of_one_picture_count_as_one_name(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    original = save_picture(tmp_path / "photos" / "a" / "1.png", "red")
    (tmp_path / "photos" / "b").mkdir()
    shutil.copy(original, tmp_path / "photos" / "b" / "1.png")
    room.index(tmp_path / "photos")
    assert _attach(room, tmp_path, "1.png,x,\n", tmp_path / "photos").rows == 1


def test_names_in_another_unicode_form_are_the_same(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    save_picture(tmp_path / "photos" / unicodedata.normalize("NFD", "café.png"), "red")
    room.index(tmp_path / "photos")
    assert _attach(room, tmp_path / "photos", "café.png,x,\n").rows == 1


def test_names_in_other_volumes_are_not_guessed(
    room: ToyRoom, tmp_path: Path, save_picture: Save
) -> None:
    save_picture(tmp_path / "one" / "a.png", "red")
    save_picture(tmp_path / "two" / "b.png", "blue")
    room.index(tmp_path / "one")
    room.index(tmp_path / "two")
    assert len(_attach(room, tmp_path, "b.png,x,\n", tmp_path / "one").unmatched) == 1
    assert _attach(room, tmp_path, "b.png,x,\n").rows == 1


def test_an_interrupt_while_texts_are_encoded_is_made_good_by_the_next_run(
    tmp_path: Path, photo_folder: Path, captions_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(CountingToy):
        def encode_texts(self, texts: Sequence[str]) -> Features:
            if len(self.texts) == 10:
                raise KeyboardInterrupt
            return super().encode_texts(texts)

    monkeypatch.setattr("xmodal.ingest.attach.TEXT_BATCH", 5)
    room = open_room(tmp_path / "library.db", Interrupted())
    room.index(photo_folder)
    with pytest.raises(KeyboardInterrupt):
        room.attach(captions_file)
    assert len(room.coded("text")) == 10
    room.database.close()
    room = open_room(tmp_path / "library.db")
    assert room.attach(captions_file).encoded == 12
    assert room.coded("text") == _live_texts(room)
    room.database.close()


def test_a_second_space_gets_the_texts_without_their_file(
    tmp_path: Path, photo_folder: Path, captions_file: Path
) -> None:
    first = open_room(tmp_path / "library.db")
    first.index(photo_folder)
    first.attach(captions_file)
    second = open_room(tmp_path / "library.db", other_toy())
    with second.database.writer():
        arguments = (second.database, second.encoder, second.encoder_id, second.coder)
        assert encode_waiting_texts(*arguments) == 22
        assert encode_waiting_texts(*arguments) == 0
    assert second.coded("text") == first.coded("text")
    first.database.close()
    second.database.close()
