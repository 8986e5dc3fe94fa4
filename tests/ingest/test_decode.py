"""Decoding: upright RGB from every format and colour mode, or a reason in plain words."""

import io
import struct
import threading
import time
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from every_format import deep_tiff
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from xmodal.errors import MediaError
from xmodal.ingest.decode import (
    decode_image,
    decode_picture,
    decoder_versions,
    picture_suffixes,
    quiet_decoders,
)

UPRIGHT = (64, 40)
FIRST_SUFFIX = {"HEIF": "heic"}
# What a camera stores for each EXIF orientation, made from the upright picture.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _corners() -> Image.Image:
    """A picture whose four quarters differ, so that no turn or flip goes unseen."""
    pixels = np.zeros((UPRIGHT[1], UPRIGHT[0], 3), np.uint8)
    pixels[:20, :32], pixels[:20, 32:] = (200, 30, 30), (30, 200, 30)
    pixels[20:, :32], pixels[20:, 32:] = (30, 30, 200), (200, 200, 200)
    return Image.fromarray(pixels)


def _file(image: Image.Image, format: str, **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file


def _same(one: Image.Image, other: Image.Image, tolerance: float = 4) -> bool:
    a, b = (np.asarray(image, np.float32) for image in (one, other))
    return a.shape == b.shape and float(np.abs(a - b).mean()) < tolerance


def _grey(image: Image.Image) -> list[int]:
    return np.asarray(image)[0, :, 0].tolist()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", STORED)
def test_all_eight_orientations_come_out_upright(format: str, orientation: int) -> None:
    if FIRST_SUFFIX.get(format, format.lower()) not in picture_suffixes():
        pytest.skip(f"no decoder for {format} here")
    upright = _corners()
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = _file(stored, format, exif=exif.tobytes(), quality=95)
    picture = decode_picture(file, 1000)
    assert _same(picture.image, upright, tolerance=8)
    assert (picture.width, picture.height) == UPRIGHT


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_all_orientations_of_a_picture_give_the_same_pixels(format: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (201, 307, 3), np.uint8)
    upright = Image.fromarray(pixels)
    decoded = []
    for orientation, turn in STORED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = upright if turn is None else upright.transpose(turn)
        file = _file(stored, format, exif=exif.tobytes(), lossless=True, quality=20, method=0)
        decoded.append(decode_image(file, 60))
    assert all(np.array_equal(image, decoded[0]) for image in decoded)


def test_broken_exif_is_no_reason_to_refuse_a_picture() -> None:
    file = _file(_corners(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\xff" * 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = decode_image(file, 1000)
    assert image.size == UPRIGHT


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (300, 100), (999, 101)])
def test_the_smaller_side_keeps_what_was_asked_for(format: str, size: tuple[int, int]) -> None:
    picture = decode_picture(_file(Image.new("RGB", size, "teal"), format), 50)
    assert 50 <= min(picture.image.size) < 100
    assert (picture.width, picture.height) == size
    assert picture.image.width / picture.image.height == pytest.approx(size[0] / size[1], rel=0.03)


def test_a_small_picture_keeps_its_size() -> None:
    assert decode_image(_file(Image.new("RGB", (30, 20)), "JPEG"), 224).size == (30, 20)


def test_a_reduced_picture_looks_like_the_whole() -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8)).resize((1600, 1200))
    for format in ("JPEG", "PNG"):
        reduced = decode_image(_file(smooth, format), 150)
        assert _same(reduced, smooth.resize(reduced.size, Image.Resampling.BOX), tolerance=3)


def test_strips_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 255, (331, 207, 3), np.uint8))
    monkeypatch.setattr("xmodal.ingest.decode._STRIP_PIXELS", 4000)
    assert _same(decode_image(_file(image, "PNG"), 60), image.reduce(3), tolerance=0.01)


def test_transparent_parts_become_white() -> None:
    for mode in ("RGBA", "LA"):
        image = Image.new(mode, (2, 1), (0,) * len(mode))
        image.putpixel((1, 0), (*(0,) * (len(mode) - 1), 255))
        assert _grey(decode_image(_file(image, "PNG"), 1)) == [255, 0]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    image = decode_image(_file(palette, "PNG", transparency=0), 1)
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 100, 50)]


def test_palette_bilevel_and_cmyk_pictures_become_rgb() -> None:
    upright = _corners()
    assert _same(decode_image(_file(upright.quantize(8), "GIF"), 100), upright)
    assert _same(decode_image(_file(upright.convert("CMYK"), "JPEG"), 100), upright, 8)
    assert _grey(decode_image(_file(Image.new("1", (2, 1), 1), "TIFF"), 1)) == [255, 255]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_greys_keep_their_tones(format: str) -> None:
    tones = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    assert _grey(decode_image(_file(Image.fromarray(tones), format), 1)) == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, 100, 255]], np.float32), [0, 100, 255]),
        (np.array([[-1, 0, 1]], np.float32), [0, 128, 255]),
        (np.array([[0, np.nan, 1]], np.float32), [0, 0, 255]),
        (np.array([[0, 128 * 257, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 499_000, 1_000_000]], np.int32), [0, 127, 255]),
        (np.array([[7, 7, 7]], np.int32), [7, 7, 7]),
    ],
)
def test_thirty_two_bit_greys_are_read_in_their_range(
    values: np.ndarray, expected: list[int]
) -> None:
    assert _grey(decode_image(_file(Image.fromarray(values), "TIFF"), 1)) == expected


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(format: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    file = _file(frames[0], format, save_all=True, append_images=frames[1:])
    assert _same(decode_image(file, 20), frames[0])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>", 'not an image (starts with "<!DOCTYPE html><"'),
        (bytes(100), "not an image (starts with 00 00 00 00"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "broken PNG file"),
        (b"\xff\xd8\xff", "broken JPEG file"),
        (b"GIF89a", "broken GIF file"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MediaError) as caught:
        decode_image(io.BytesIO(data), 100)
    assert reason in str(caught.value)


def _noise(format: str) -> bytes:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(1, 255, (300, 300, 3), np.uint8))
    return _file(image, format).getvalue()


def test_a_truncated_jpeg_says_how_far_it_got() -> None:
    data = _noise("JPEG")
    with pytest.raises(MediaError, match=r"^truncated after (4|5)\d %$"):
        decode_image(io.BytesIO(data[: len(data) // 2]), 300)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_truncated_pictures_of_every_format_are_refused(format: str) -> None:
    if format.lower() not in picture_suffixes():
        pytest.skip(f"this Pillow has no {format}")
    data = _noise(format)
    for part in (0.1, 0.5, 0.9):
        with pytest.raises(MediaError):
            decode_image(io.BytesIO(data[: int(len(data) * part)]), 300)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"]))
def test_flipped_bytes_give_a_picture_or_a_reason(data: st.DataObject, format: str) -> None:
    broken = bytearray(_file(_corners(), format).getvalue())
    places = st.integers(0, len(broken) - 1)
    for place in data.draw(st.lists(places, min_size=1, max_size=8)):
        broken[place] = data.draw(st.integers(0, 255))
    with suppress(MediaError):
        assert decode_image(io.BytesIO(bytes(broken)), 32).mode == "RGB"


def _png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    check = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + check + b"\0\0\0\x64IDAT"
    )


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    started = time.monotonic()
    with pytest.raises(
        MediaError, match="too large to decode: 2,500 megapixels, the limit is 1,000"
    ):
        decode_image(io.BytesIO(_png_header(50_000, 50_000) + bytes(100)), 224)
    assert time.monotonic() - started < 1


def test_a_picture_within_the_limit_is_not_taken_for_a_bomb() -> None:
    # 200 megapixels: Pillow's own limit would refuse it.
    image = decode_image(_file(Image.new("1", (20_000, 10_000)), "PNG"), 224)
    assert min(image.size) >= 224


def test_a_huge_jpeg_is_decoded_at_a_reduced_scale() -> None:
    file = _file(Image.new("L", (30_000, 10_000), 99), "JPEG", quality=30)
    picture = decode_picture(file, 224)
    assert (picture.width, picture.height) == (30_000, 10_000)
    assert min(picture.image.size) >= 224


def test_a_missing_file_is_a_media_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read: No such file"):
        decode_image(tmp_path / "nowhere.jpg", 224)


def test_warning_filters_are_restored_after_many_threads() -> None:
    before = list(warnings.filters)

    def enter() -> None:
        for _ in range(50):
            with quiet_decoders:
                time.sleep(0)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


def test_the_versions_of_the_decoders_are_told() -> None:
    assert decoder_versions().startswith("xmodal ")
    assert "Pillow" in decoder_versions()


def test_lab_pictures_become_rgb() -> None:
    lab = ImageCms.applyTransform(
        _corners(),
        ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        ),
    )
    assert _same(decode_image(_file(lab, "TIFF"), 1000), _corners())


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colours_keep_their_tones(channels: int, separate: bool) -> None:
    pixels = np.array([[[65535, 128 * 257, 0, 65535], [0, 0, 0, 0]]], "<u2")[:, :, :channels]
    image = decode_image(io.BytesIO(deep_tiff(pixels, separate=separate)), 1)
    assert image.getpixel((0, 0)) == (255, 128, 0)
    assert image.getpixel((1, 0)) == ((0, 0, 0) if channels == 3 else (255, 255, 255))


@pytest.mark.parametrize("kind", ["<u2", "<f4"])
def test_greys_that_count_from_white_are_no_negatives(kind: str) -> None:
    pixels = np.array([[[0], [127 * 257], [65535]]], kind)
    assert _grey(decode_image(io.BytesIO(deep_tiff(pixels, 0)), 1)) == [255, 128, 0]


def test_a_single_plane_of_sixteen_bits_is_read() -> None:
    pixels = np.array([[[0], [128 * 257], [65535]]], "<u2")
    assert _grey(decode_image(io.BytesIO(deep_tiff(pixels, 1, separate=True)), 1)) == [0, 128, 255]


def test_thirty_two_bit_greys_without_a_sign_do_not_turn_negative() -> None:
    pixels = np.array([[[0], [2**30], [2**32 - 1]]], "<u4")
    assert _grey(decode_image(io.BytesIO(deep_tiff(pixels, 1)), 1)) == [0, 64, 255]


def test_colours_that_are_not_read_are_not_called_broken() -> None:
    with pytest.raises(MediaError, match="a kind of TIFF that is not read"):
        decode_image(io.BytesIO(deep_tiff(np.zeros((2, 2, 3), "<f4"))), 1)
