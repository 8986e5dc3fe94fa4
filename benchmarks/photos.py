"""Makes photographs of 12 megapixels from the sample library: ``make_photos(folder, count, seed)``.

Each is a part of a sample picture enlarged to 4000 × 3000, with the noise of a sensor, as a JPEG of
quality 90: 3 to 5 MB, as cameras write them. Half of them lie on their side in the file, as EXIF
says. No two are alike; the same seed gives the same files.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from xmodal.encoders.background import sample_pictures

WIDTH, HEIGHT = 4000, 3000
_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = (1, 6, 1, 8, 1, 3)
_NOISE = 9.0  # standard deviation, of 255
_TILE = (HEIGHT // 4, 1, WIDTH // 4, 1)  # noise is drawn once and repeated: drawing is what is slow


def make_photos(folder: Path, count: int, seed: int = 0) -> None:
    """Write ``count`` photographs ``00000.jpg``, … into ``folder``; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_make, folder, seed), range(count), chunksize=4))


def _make(folder: Path, seed: int, number: int) -> None:
    path = folder / f"{number:05d}.jpg"
    if path.exists():
        return
    rng = np.random.default_rng([seed, number])
    samples = sample_pictures()
    with Image.open(samples[number % len(samples)]) as sample:
        # The largest 4 : 3 part, or a smaller one, somewhere.
        width = min(sample.width, sample.height * WIDTH / HEIGHT) * rng.uniform(0.6, 1)
        height = width * HEIGHT / WIDTH
        left, top = rng.uniform(0, sample.width - width), rng.uniform(0, sample.height - height)
        enlarged = sample.convert("RGB").resize(
            (WIDTH, HEIGHT), Image.Resampling.BICUBIC, box=(left, top, left + width, top + height)
        )
    noise = rng.normal(0, _NOISE, _TILE).astype(np.float32)
    tiles = np.asarray(enlarged, np.float32).reshape(4, HEIGHT // 4, 4, WIDTH // 4, 3)
    pixels = (tiles + noise).reshape(HEIGHT, WIDTH, 3).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = _ORIENTATIONS[number % len(_ORIENTATIONS)]
    Image.fromarray(pixels).save(path, quality=90, exif=exif)
