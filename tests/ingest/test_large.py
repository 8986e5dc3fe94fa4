"""Large pictures: little memory whatever their size, or a reason that names it."""

import io
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from xmodal.errors import MediaError
from xmodal.ingest import decode, memory
from xmodal.ingest.decode import decode_image
from xmodal.ingest.memory import MemoryBudget, Need

SIZE = (53, 37)


@pytest.fixture(autouse=True)
def _in_small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_PNG_WHOLE_PIXELS", 0)
    monkeypatch.setattr(decode, "_STRIP_PIXELS", 300)


def _pixels(channels: int) -> np.ndarray:
    """Smooth and rough parts, so that a PNG writer chooses different filters."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (SIZE[1], SIZE[0], channels), np.uint8)
    pixels[5:20] = np.sort(pixels[5:20], axis=1)
    pixels[20:30] = np.sort(pixels[20:30], axis=0)
    return pixels


def _pictures() -> dict[str, Image.Image]:
    rgba = Image.fromarray(_pixels(4))
    return {
        "RGBA": rgba,
        "RGB": rgba.convert("RGB"),
        "LA": rgba.convert("LA"),
        "L": rgba.convert("L"),
        "1": rgba.convert("1"),
        "P": rgba.convert("RGB").quantize(200),
        "P2": rgba.convert("RGB").quantize(3),
        "I;16": Image.fromarray(_pixels(2).view(np.uint16)[..., 0]),
    }


@pytest.mark.parametrize("name", list(_pictures()))
@pytest.mark.parametrize("min_side", [1000, 9])
def test_strips_of_every_png_show_what_the_whole_shows(
    name: str, min_side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    options = {"transparency": 1} if name == "P2" else {}
    _pictures()[name].save(file, "PNG", **options)
    striped = decode_image(file, min_side)
    monkeypatch.setattr(decode, "_PNG_WHOLE_PIXELS", 10**9)
    assert np.array_equal(striped, decode_image(file, min_side))


def test_a_png_in_strips_is_never_loaded_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, turned = io.BytesIO(), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    _pictures()["RGB"].save(plain, "PNG")
    _pictures()["RGB"].transpose(Image.Transpose.ROTATE_90).save(turned, "PNG", exif=exif)
    monkeypatch.setattr(decode, "_load", lambda image: pytest.fail("loaded"))
    monkeypatch.setattr(PngImageFile, "load_prepare", _only_small)
    assert np.array_equal(decode_image(plain, 1000), decode_image(turned, 1000))


def _only_small(image: PngImageFile) -> None:
    if image.height >= SIZE[1]:
        pytest.fail("loaded as a whole")
    ORIGINAL(image)


ORIGINAL = PngImageFile.load_prepare


def _deep_png(channels: int) -> bytes:
    """16 bits a channel and each of the five filters; what they undo to is Pillow's to say."""
    rows = np.random.default_rng(1).integers(
        0, 256, (SIZE[1], 1 + 2 * channels * SIZE[0]), np.uint8
    )
    rows[:, 0] = np.arange(SIZE[1]) % 5
    header = struct.pack(">IIBBBBB", *SIZE, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize("channels", [3, 4])
def test_strips_of_sixteen_bit_colours_show_what_the_whole_shows(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = io.BytesIO(_deep_png(channels))
    striped = decode_image(data, 1000)
    monkeypatch.setattr(decode, "_PNG_WHOLE_PIXELS", 10**9)
    assert np.array_equal(striped, decode_image(data, 1000))


def test_a_truncated_png_in_strips_says_how_far_it_got() -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)).save(
        file, "PNG"
    )
    with pytest.raises(MediaError, match=r"^truncated after (4|5)\d %$"):
        decode_image(io.BytesIO(file.getvalue()[: len(file.getvalue()) // 2]), 300)


def test_a_png_with_a_broken_stream_is_refused() -> None:
    file = io.BytesIO()
    _pictures()["RGB"].save(file, "PNG")
    data = bytearray(file.getvalue())
    data[50:60] = b"\xff" * 10
    with pytest.raises(MediaError, match="broken PNG file"):
        decode_image(io.BytesIO(bytes(data)), 300)


def test_what_does_not_fit_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2000, 1000)).save(file, "BMP")
    monkeypatch.setattr(memory, "BUDGET", 5_000_000)
    with pytest.raises(MediaError, match="too large to decode: 2 megapixels need 9 MB"):
        decode_image(file, 224)


def test_a_long_thin_picture_is_bounded_too() -> None:
    file = io.BytesIO()
    Image.new("1", (60_000, 600)).save(file, "TIFF", compression="group4")
    image = decode_image(file, 600)
    assert image.width * image.height < 5_000_000
    assert image.width / image.height == pytest.approx(100, rel=0.03)


def test_pictures_wait_until_they_fit_together() -> None:
    budget = MemoryBudget(100_000_000)
    entered = threading.Event()

    def second() -> None:
        with budget.admit(Need(60_000_000, 1)):
            entered.set()

    thread = threading.Thread(target=second)
    with budget.admit(Need(60_000_000, 1)):
        thread.start()
        assert not entered.wait(0.1)
        with budget.admit(Need(1, 1)):  # a small one does not wait
            pass
    assert entered.wait(5)
    thread.join()
    with budget.admit(Need(10**12, 1)):  # one alone always may
        assert budget.used == 10**12
    assert budget.used == 0
