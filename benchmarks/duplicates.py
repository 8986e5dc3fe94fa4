"""Measure what tells near duplicates from other pictures, on a folder of different photographs.

    python benchmarks/duplicates.py PHOTOS [--encoder bundled]

Each photograph is changed as copies are: resized, encoded again, cropped a little, brighter, and so
on. Printed is, for each threshold of Fisher's z of the centred cosine and for each Hamming radius,
which share of the copies it takes for their original, and how many pairs of different photographs.
The code is the one that a new library of these photographs has (``itq``, 128 bits).
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from xmodal.encoders import load_encoder
from xmodal.encoders.background import load_background
from xmodal.encoders.base import Encoder, Features, normalise
from xmodal.hashing import create_hasher
from xmodal.ingest.decode import decode_image
from xmodal.query.confidence import likeness

Z = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0)
RADII = (8, 12, 16, 20, 24, 28, 32, 36, 40)
BATCH = 32


def _cropped(share: float) -> Callable[[Image.Image], Image.Image]:
    def crop(picture: Image.Image) -> Image.Image:
        x, y = (round(share * side) for side in picture.size)
        return picture.crop((x, y, picture.width - x, picture.height - y))

    return crop


def _brighter(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: ImageEnhance.Brightness(picture).enhance(factor)


def _unchanged(picture: Image.Image) -> Image.Image:
    return picture


# What is done to a picture, its file's suffix, and how that is written.
VERSIONS: dict[str, tuple[Callable[[Image.Image], Image.Image], str, dict[str, int]]] = {
    "half the size": (lambda p: p.resize((p.width // 2, p.height // 2)), "jpg", {"quality": 90}),
    "256 pixels": (lambda p: ImageOps.contain(p, (256, 256)), "jpg", {"quality": 90}),
    "JPEG, quality 30": (_unchanged, "jpg", {"quality": 30}),
    "WebP, quality 50": (_unchanged, "webp", {"quality": 50}),
    "2 % cropped off each side": (_cropped(0.02), "jpg", {"quality": 90}),
    "5 % cropped off each side": (_cropped(0.05), "jpg", {"quality": 90}),
    "10 % cropped off each side": (_cropped(0.10), "jpg", {"quality": 90}),
    "darker by 30 %": (_brighter(0.7), "jpg", {"quality": 90}),
    "brighter by 30 %": (_brighter(1.3), "jpg", {"quality": 90}),
    "in grey": (lambda p: p.convert("L"), "jpg", {"quality": 90}),
    "turned by 3°": (lambda p: _cropped(0.04)(p.rotate(3, Image.Resampling.BICUBIC)), "jpg", {}),
    "mirrored": (ImageOps.mirror, "jpg", {"quality": 90}),
}


def encoded(encoder: Encoder, paths: list[Path]) -> Features:
    """Features of files, decoded as an index run decodes them."""
    parts = []
    for start in range(0, len(paths), BATCH):
        pictures = [decode_image(p, encoder.image_size) for p in paths[start : start + BATCH]]
        parts.append(encoder.encode_images([picture.convert("RGB") for picture in pictures]))
    return np.concatenate(parts)


def version_features(encoder: Encoder, paths: list[Path], name: str) -> Features:
    """Features of one version of each picture, each written to a file and read again."""
    change, suffix, options = VERSIONS[name]
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, path in enumerate(paths):
            with Image.open(path) as picture:
                changed = change(picture.convert("RGB"))
            files.append(Path(folder) / f"{number}.{suffix}")
            changed.save(files[-1], **options)
        return encoded(encoder, files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--encoder", default="bundled")
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.encoder)
    background = load_background(encoder)
    paths = sorted(p for p in arguments.photos.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    originals = encoded(encoder, paths)
    hasher = create_hasher("itq", bits=128).fit(
        np.concatenate([background.picture_features, originals]), background.word_features
    )

    def seen(features: Features) -> tuple[Features, np.ndarray]:
        return (
            normalise(features - hasher.image_mean_),
            np.unpackbits(hasher.encode_images(features), axis=1),
        )

    def line(name: str, values: list[float], form: str) -> None:
        print(f"{name:28}" + "".join(f"{value:>7{form}}" for value in values))

    centred, codes = seen(originals)
    above = np.triu_indices(len(paths), 1)
    others = likeness(centred, centred)[above]
    apart = (codes[:, None] != codes).sum(2)[above]
    found = {name: seen(version_features(encoder, paths, name)) for name in VERSIONS}
    print(f"\n{len(paths)} photographs, {len(others):,} pairs of different ones")
    print(f"{'Fisher z at least':28}" + "".join(f"{z:>7}" for z in Z))
    for name, (features, _) in found.items():
        own = np.arctanh(np.minimum((features * centred).sum(1), 0.99999))
        line(name, [float((own >= z).mean()) for z in Z], ".3f")
    line("pairs of different ones", [float((others >= z).sum()) for z in Z], ".0f")
    print(f"\n{'bits apart at most':28}" + "".join(f"{radius:>7}" for radius in RADII))
    for name, (_, bits) in found.items():
        own = (bits != codes).sum(1)
        line(name, [float((own <= radius).mean()) for radius in RADII], ".3f")
    line("pairs of different ones", [float((apart <= radius).sum()) for radius in RADII], ".0f")
    print("\nthe most similar pairs of different photographs")
    for place in np.argsort(-others)[:8]:
        names = (paths[above[0][place]].name, paths[above[1][place]].name)
        print(f"  z {others[place]:.2f}, {apart[place]} bits: {' '.join(names)}")


if __name__ == "__main__":
    main()
