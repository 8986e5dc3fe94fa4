"""Index a folder of captioned pictures and print how well the library answers, both ways.

    python benchmarks/library.py PHOTOS CAPTIONS.csv [--encoder bundled]

Recall@10 of the picture that a caption belongs to (text → image) and of a picture's own caption
among all captions of the library (image → text), for the same queries in the same run:
*float* ranks everything by the cosine of the float features, each modality centred by its own mean
over the folder; *codes* uses the stored codes alone (exact Hamming scan, asymmetric scores);
*mixed* is what `xmodal search` and `xmodal annotate` do. Times are of the first and of a second
index run on the same folder.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select

from xmodal.encoders.base import Features, normalise
from xmodal.library import Library
from xmodal.store.database import Database
from xmodal.store.features import read_features
from xmodal.store.models import Caption, EncoderRecord, File, Item, Volume

K = 10


@dataclass(frozen=True)
class Pairs:
    """Every caption with its picture: row i of each field belongs to pair i."""

    paths: list[Path]
    captions: list[str]
    image_features: Features
    text_features: Features


def read_pairs(library_file: Path) -> Pairs:
    """The (picture, caption) pairs of a library with their stored features."""
    database = Database.open(library_file, create=False)
    with database.session() as session:
        rows = session.execute(
            select(Volume.path, File.relative_path, Item.text, Caption.item_id, Item.id)
            .join(File, File.volume_id == Volume.id)
            .join(Caption, Caption.item_id == File.item_id)
            .join(Item, Item.id == Caption.text_item_id)
            .where(File.state == "present")
            .order_by(File.relative_path)
        ).all()
        encoder_id = session.scalar(select(EncoderRecord.id))
        pairs = Pairs(
            [Path(volume) / relative for volume, relative, *_ in rows],
            [text for _, _, text, _, _ in rows],
            read_features(session, encoder_id, np.array([row[3] for row in rows])),
            read_features(session, encoder_id, np.array([row[4] for row in rows])),
        )
    database.close()
    return pairs


def float_recall(pairs: Pairs) -> tuple[float, float]:
    """Recall@10 of the centred float features, text → image and image → text."""
    images, image_at = np.unique(pairs.paths, return_inverse=True)
    texts, text_at = np.unique(pairs.captions, return_inverse=True)
    x = np.stack([pairs.image_features[image_at == i][0] for i in range(len(images))])
    y = np.stack([pairs.text_features[text_at == i][0] for i in range(len(texts))])
    cosines = normalise(x - x.mean(0)) @ normalise(y - y.mean(0)).T
    own = cosines[image_at, text_at]
    among_images = (cosines[:, text_at] > own).sum(0)
    among_texts = (cosines[image_at] > own[:, None]).sum(1)
    return float((among_images < K).mean()), float((among_texts < K).mean())


def library_recall(library: Library, pairs: Pairs, use_features: bool) -> tuple[float, float]:
    """Recall@10 of what the library itself answers, text → image and image → text."""
    forward = [
        path
        in {
            found.path for found in library.search(text, k=K, use_features=use_features, plain=True)
        }
        for path, text in zip(pairs.paths, pairs.captions, strict=True)
    ]
    backward = [
        text
        in {
            found.text
            for found in library.annotate(
                path, k=K, sources=("caption",), use_features=use_features
            )
        }
        for path, text in zip(pairs.paths, pairs.captions, strict=True)
    ]
    return float(np.mean(forward)), float(np.mean(backward))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--encoder", default="bundled")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library.db"
        with Library.open(path, notify=print) as library:
            first = library.index(
                [arguments.photos], captions=arguments.captions, encoder=arguments.encoder
            )
            second = library.index([arguments.photos], captions=arguments.captions)
            print(
                f"\n{first.indexed} pictures indexed in {first.seconds:.1f} s, "
                f"{first.failed} failed"
            )
            share = second.seconds / first.seconds
            print(
                f"second run: {second.seconds:.2f} s ({share:.3f} of the first), "
                f"{second.indexed} decoded"
            )
            pairs = read_pairs(path)
            rows = {
                "float": float_recall(pairs),
                "codes": library_recall(library, pairs, use_features=False),
                "mixed": library_recall(library, pairs, use_features=True),
            }
    print(f"\nrecall@{K}      text→image  image→text   share of float")
    for name, (forward, backward) in rows.items():
        shares = (forward / rows["float"][0], backward / rows["float"][1])
        print(f"{name:12} {forward:10.3f}  {backward:10.3f}   {shares[0]:.3f}  {shares[1]:.3f}")


if __name__ == "__main__":
    main()
