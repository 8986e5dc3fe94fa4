"""What every test may use: a toy encoder, a private cache, real pictures, a user without rights."""

import os
import shutil
import sys
import tempfile

# Small matrices on several threads mostly wait for one another; the processes that tests start
# inherit this too.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

# Drawn alike in every run: a run that fails fails again, and a change is not blamed for what was
# there before it. `--hypothesis-profile=default` draws other examples (CONTRIBUTING.md).
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

NOBODY = 65534
PLUGIN = Path(__file__).parent / "plugin"
sys.path[:0] = [str(PLUGIN), str(Path(__file__).parent)]

from toy import COLOURS, ToyEncoder  # noqa: E402  (the path above makes it importable)


@pytest.fixture(autouse=True)
def _private_places(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test touches the user's library; the cache is shared within one run only."""
    root = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("XMODAL_CACHE", str(root / "cache"))
    monkeypatch.setenv("XMODAL_LIBRARY", str(root / "unused" / "library.db"))
    monkeypatch.setenv("XMODAL_OFFLINE", "1")
    # For the processes that tests start: the plug-in is found there as it is here.
    paths = [str(PLUGIN), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.fixture
def toy_encoder() -> ToyEncoder:
    return ToyEncoder()


def _save_picture(path: Path, colour: str, seed: int = 0, size: tuple[int, int] = (48, 40)) -> Path:
    """A picture of one colour with faint noise, in the format its suffix names."""
    rng = np.random.default_rng(seed)
    pixels = np.array(COLOURS[colour]) + rng.integers(-9, 10, (size[1], size[0], 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def save_picture() -> Callable[..., Path]:
    """``save_picture(path, colour, seed=0, size=(48, 40))``: see ``_save_picture``."""
    return _save_picture


def _save_video(path: Path, *scenes: tuple[str, float], **options: Any) -> Path:
    """A video of scenes, each of a colour of the toy encoder and a length in seconds."""
    pytest.importorskip("av")
    from videos import write_video

    return write_video(path, [(COLOURS[colour], length) for colour, length in scenes], **options)


@pytest.fixture
def save_video() -> Callable[..., Path]:
    """``save_video(path, ("red", 3), ("blue", 2.5), tags={…})``: see ``write_video``."""
    return _save_video


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Thirty pictures, three of each colour, in folders named by their number."""
    root = tmp_path / "photos"
    for number, colour in enumerate(COLOURS):
        for copy in range(3):
            suffix = ("jpg", "png", "webp")[copy]
            path = root / f"{copy}" / f"{number:02d}.{suffix}"
            _save_picture(path, colour, seed=10 * number + copy)
    return root


@pytest.fixture
def captions_file(photo_folder: Path) -> Path:
    """Captions and keywords of ``photo_folder``."""
    lines = ["file,caption,keywords"]
    for path in sorted(photo_folder.rglob("*.*")):
        colour = list(COLOURS)[int(path.stem)]
        warm = "warm" if colour in ("red", "orange", "yellow", "pink") else "cool"
        lines.append(
            f"{path.relative_to(photo_folder).as_posix()},a {colour} sheet,{colour};{warm}"
        )
    file = photo_folder / "captions.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """A folder of a user whom permissions bind, and the test as that user."""
    if os.name != "posix":
        pytest.skip("these permissions are POSIX's")
    folder = Path(tempfile.mkdtemp())  # tmp_path lies in a folder that is root's alone
    root = os.getuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield folder
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)
        shutil.rmtree(folder)
