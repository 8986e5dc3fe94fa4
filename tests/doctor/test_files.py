"""The picture files themselves: damage that leaves no trace, and pictures encoded on the side."""

import io
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toy import ToyEncoder

from xmodal.ingest.decode import decode_picture, upright_size
from xmodal.library import Library

Changing = Callable[[Path], Any]


@pytest.fixture
def folder(photos: Path, tmp_path: Path) -> Path:
    """Pictures that may be changed, and one that its camera stored on the side."""
    folder = tmp_path / "changing"
    shutil.copytree(photos, folder)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = (220, 30, 30)
    pixels[:, 30:] = (40, 60, 210)
    Image.fromarray(pixels).save(folder / "sideways.jpg", exif=exif, quality=95)
    return folder


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A library of ``folder``."""
    file = tmp_path / "files.db"
    with Library.open(file) as library:
        library.index([folder], encoder="toy")
        assert library.doctor(files=True).findings == []
    return file


def _as_an_older_version_left_it(sql: sqlite3.Connection, folder: Path) -> bytes:
    """Make the record what it is if EXIF orientation is ignored; returns the right feature."""
    with Image.open(folder / "sideways.jpg") as image:
        (feature,) = ToyEncoder().encode_images([image.convert("RGB")])
    (item,) = sql.execute(
        "SELECT item_id FROM file WHERE relative_path = 'sideways.jpg'"
    ).fetchone()
    (right,) = sql.execute("SELECT vector FROM feature WHERE item_id = ?", (item,)).fetchone()
    vector = feature.astype("<f2").tobytes()
    assert vector != right
    sql.execute("UPDATE feature SET vector = ? WHERE item_id = ?", (vector, item))
    sql.execute("UPDATE item SET width = height, height = width WHERE id = ?", (item,))
    return right


def test_a_picture_encoded_on_the_side_is_found_and_encoded_upright_again(
    own: Path, folder: Path, changing: Changing
) -> None:
    with changing(own) as sql:
        right = _as_an_older_version_left_it(sql, folder)
    with Library.open(own) as library:
        assert library.doctor().findings == []  # only the file tells
        (finding,) = library.doctor(files=True).findings
        assert (finding.kind, finding.count, finding.state) == ("sideways picture", 1, "found")
        (finding,) = library.doctor(repair=True, files=True).findings
        assert finding.state == "repaired"
        assert library.doctor(files=True).findings == []
        assert len(library.search("red", k=40)) == 30
        assert library.index([folder]).indexed == 1
        assert len(library.search("red", k=40)) == 31
        assert library.doctor(files=True).findings == []
    with changing(own) as sql:
        row = "SELECT vector, width, height FROM feature JOIN item ON item.id = item_id {}"
        rows = sql.execute(row.format("WHERE (width, height) = (40, 60)")).fetchall()
    assert rows == [(right, 40, 60)]


def test_a_file_that_changed_unnoticed_is_named_and_its_record_is_kept(
    own: Path, folder: Path
) -> None:
    rotten = folder / "1" / "04.png"
    before = rotten.stat()
    content = bytearray(rotten.read_bytes())
    content[len(content) // 2] ^= 16
    rotten.write_bytes(content)
    os.utime(rotten, ns=(before.st_atime_ns, before.st_mtime_ns))
    with Library.open(own) as library:
        assert library.doctor().healthy
        for repair in (False, True, False):
            report = library.doctor(repair=repair, files=True)
            (finding,) = report.findings
            assert (finding.kind, finding.state) == ("changed file", "remains")
            assert str(rotten) in finding.message
            assert report.backup is None


def test_files_that_indexing_will_notice_are_no_damage(own: Path, folder: Path) -> None:
    (folder / "0" / "00.jpg").unlink()
    shutil.copy(folder / "0" / "01.jpg", folder / "0" / "02.jpg")
    with Library.open(own) as library:
        report = library.doctor(files=True)
        assert report.findings == []
        assert len(report.notes) == 2
        folder.rename(folder.with_name("elsewhere"))
        report = library.doctor(files=True)
        assert report.findings == []
        assert report.notes == [f"{folder}: not there now, so its files were not looked at"]


def test_progress_counts_every_file(own: Path) -> None:
    seen: list[tuple[int, int]] = []
    with Library.open(own) as library:
        library.doctor(files=True, progress=lambda step: seen.append((step.done, step.total)))
    assert seen == [(n, 31) for n in range(1, 32)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "GIF", "BMP"])
def test_the_header_tells_the_size_that_decoding_gives(suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", (60, 40)).save(file, suffix, exif=exif)
    picture = decode_picture(file, 16)
    file.seek(0)
    found = upright_size(file)
    assert found == (picture.width, picture.height) or (suffix == "TIFF" and found is None)


def test_the_header_of_a_broken_file_tells_nothing() -> None:
    assert upright_size(io.BytesIO(b"")) is None
    assert upright_size(io.BytesIO(b"\xff\xd8\xff\xe0 not a picture")) is None
