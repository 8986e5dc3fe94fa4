"""Camera raw files: upright by their preview, else by their pixels, else with a reason."""

from pathlib import Path

import numpy as np
import pytest
from every_format import raw_file
from PIL import Image

from xmodal.errors import MediaError
from xmodal.ingest import raw
from xmodal.ingest.decode import decode_picture, picture_suffixes

STORED = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90,
          8: Image.Transpose.ROTATE_270}  # fmt: skip


def _picture() -> Image.Image:
    """A white corner at the upper left of black, so that the sensor's colours do not matter."""
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[:40, :60] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("preview", "min_side"), [(None, 40), (0, 40), (20, 40), (20, 13)])
def test_raw_files_come_out_upright(
    orientation: int, preview: int | None, min_side: int, tmp_path: Path
) -> None:
    pytest.importorskip("rawpy")
    turn = STORED[orientation]
    stored = _picture() if turn is None else _picture().transpose(turn)
    path = tmp_path / "photo.DNG"
    path.write_bytes(raw_file(stored, orientation, preview))
    picture = decode_picture(path, min_side)
    assert (picture.width, picture.height) == (120, 80)
    assert min(picture.image.size) >= min_side
    seen = np.asarray(picture.image.convert("L").resize((4, 4), Image.Resampling.BOX))
    bright = seen > 128
    assert bright[:2, :2].all()
    assert bright.sum() == 4


def test_a_raw_file_whose_sensor_data_is_broken_is_shown_by_its_small_preview(
    tmp_path: Path,
) -> None:
    pytest.importorskip("rawpy")
    data = raw_file(_picture(), preview=20)
    path = tmp_path / "photo.dng"
    path.write_bytes(data[: len(data) - 120 * 80 * 2])
    assert decode_picture(path, 100).image.width == 20


def test_a_broken_raw_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    path = tmp_path / "photo.nef"
    path.write_bytes(b"II*\0" + bytes(100))
    with pytest.raises(MediaError, match="broken camera raw file"):
        decode_picture(path, 100)


def test_a_jpeg_that_is_called_raw_is_a_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "photo.cr2"
    _picture().save(path, "JPEG")
    assert decode_picture(path, 100).image.size == (120, 80)


def test_without_rawpy_a_raw_file_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "raw_version", lambda: None)
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_file(_picture()))
    assert "dng" in picture_suffixes()
    with pytest.raises(MediaError, match=r"need rawpy: pip install \"xmodal\[raw\]\""):
        decode_picture(path, 100)
