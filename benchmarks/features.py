"""Features, labels and own texts of real collections, as the other benchmarks read them.

    python benchmarks/features.py flickr8k FEATURES.npz CAPTIONS.json OUT.npz
    python benchmarks/features.py openclipart ROOT OUT.npz
    python benchmarks/features.py stamps ROOT OUT.npz
    python benchmarks/features.py photos FOLDER CAPTIONS.csv OUT.npz

``ROOT`` is the folder that holds ``usr``: ``/`` where Debian's packages ``openclipart-png``,
``openclipart-svg`` and ``tuxpaint-stamps-default`` are installed, else where they were unpacked.

A file holds ``image`` and ``text`` float32 ``(n, dim)`` and ``label`` 0/1 ``(n, classes)`` with the
names of its ``classes``; row i of each is item i. Pictures and texts are the bundled encoder's, but
for Flickr8k, whose pictures come as CLIP's: its texts are sentence embeddings of the first
caption, mapped into CLIP's space by a ridge from 1,000 photographs that are then left out.
"""

import argparse
import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from xmodal.encoders import load_encoder
from xmodal.encoders.bundled import SentenceEncoder
from xmodal.errors import XmodalError
from xmodal.hashing.ridge import RidgeSums
from xmodal.hashing.rotation import unit_rows
from xmodal.ingest.decode import decode_image

MAPPED_BY = 1_000
FLICKR_NOUNS = 30
# A keyword with fewer pictures than this leaves too few of them for each part of a split.
MIN_PICTURES = 60
BATCH = 32
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
# Nouns that name what a photograph shows; the most frequent of them are Flickr8k's keywords.
NOUNS = """
    man dog people woman boy girl child person water group beach street grass snow field ball
    mountain rock bike player crowd building car park air shirt hat pool ocean tree wall road hill
    lake soccer bench football baby horse bird swing boat sand river skateboard face
"""


def flickr8k(features: Path, captions: Path) -> dict[str, np.ndarray]:
    """CLIP's pictures and mapped sentences of all photographs but those the map is made from."""
    with np.load(features) as stored:
        images, ids = stored["image"].astype(np.float32), stored["ids"]
    said = {row["id"]: row["captions"] for row in json.loads(captions.read_text("utf-8"))}
    sentences = SentenceEncoder()([said[str(i)][0] for i in ids])
    fitting = np.zeros(len(images), bool)
    fitting[np.random.default_rng(0).choice(len(images), MAPPED_BY, replace=False)] = True
    sums = RidgeSums(sentences.shape[1], images.shape[1])
    sums.add(sentences[fitting].astype(np.float64), unit_rows(images[fitting]))
    ((matrix, offset),) = sums.solve(100.0)
    centre = unit_rows(images[fitting]).mean(axis=0)
    texts = (sentences @ matrix + offset + centre).astype(np.float32)
    words = [set(re.findall("[a-z]+", " ".join(said[str(i)]).lower())) for i in ids]
    nouns = NOUNS.split()
    has = [{noun for noun in nouns if {noun, noun + "s"} & found} for found in words]
    kept = np.flatnonzero(~fitting)
    labels, classes = label_matrix([has[row] for row in kept], most=FLICKR_NOUNS)
    return {"image": images[kept], "text": texts[kept], "label": labels, "classes": classes}


def openclipart(root: Path) -> dict[str, np.ndarray]:
    """Drawings whose SVG names a title; keywords are the subjects of its RDF."""
    folder = root / "usr/share/openclipart"
    rows = []
    for path in sorted((folder / "png").rglob("*.png")):
        source = folder / "svg" / path.relative_to(folder / "png").with_suffix(".svg")
        title, subjects = described(source) if source.is_file() else ("", set())
        if title and subjects:
            rows.append((path, title, subjects))
    return collection(rows, MIN_PICTURES)


def described(svg: Path) -> tuple[str, set[str]]:
    """Title, with the description behind it, and subjects of a drawing; empty if it has none."""
    try:
        tree = ElementTree.parse(svg)
    except ElementTree.ParseError:
        return "", set()
    texts = [tree.findtext(f".//{DC}{field}") or "" for field in ("title", "description")]
    listed = (li.text or "" for li in tree.iterfind(f".//{DC}subject//{RDF}li"))
    subjects = {text.strip().lower() for text in listed}
    return " ".join(text.strip() for text in texts if text.strip()), subjects - {"unsorted", ""}


def stamps(root: Path) -> dict[str, np.ndarray]:
    """Stamps with their English caption; keywords are the folders they lie in."""
    folder = root / "usr/share/tuxpaint/stamps"
    rows = []
    for path in sorted(folder.rglob("*.png")):
        caption = path.with_suffix(".txt")
        if not caption.is_file() or path.stem.endswith(("_mirror", "_flip")):
            continue
        lines = caption.read_text("utf-8", errors="replace").splitlines()
        if lines and lines[0].strip():
            rows.append((path, lines[0].strip(), set(path.relative_to(folder).parts[:-1])))
    return collection(rows, 15)


def photos(folder: Path, captions: Path) -> dict[str, np.ndarray]:
    """Any folder with a CSV file of the columns file, caption and keywords."""
    with captions.open(newline="", encoding="utf-8") as file:
        rows = [
            (folder / row["file"], row["caption"], {k for k in row["keywords"].split(";") if k})
            for row in csv.DictReader(file)
        ]
    return collection(rows, 5)


def collection(rows: list[tuple[Path, str, set[str]]], least: int) -> dict[str, np.ndarray]:
    """Bundled features of pictures and their captions; keywords that ``least`` pictures have."""
    encoder = load_encoder("bundled", offline=True)
    images, kept = [], []
    for start in range(0, len(rows), BATCH):
        pictures = []
        for row in rows[start : start + BATCH]:
            try:
                pictures.append(decode_image(row[0], encoder.image_size).convert("RGB"))
                kept.append(row)
            except XmodalError as error:
                print(f"left out: {error}")
        images.append(encoder.encode_images(pictures))
    texts = encoder.encode_texts([caption for _, caption, _ in kept])
    labels, classes = label_matrix([keywords for *_, keywords in kept], least=least)
    known = labels.any(axis=1)
    return {
        "image": np.concatenate(images)[known],
        "text": texts[known],
        "label": labels[known],
        "classes": classes,
    }


def label_matrix(
    rows: Sequence[Iterable[str]], least: int = 1, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """0/1 labels, and the names: the ``most`` frequent ones that at least ``least`` rows have."""
    counts = Counter(name for row in rows for name in set(row))
    ordered = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
    names = [name for name, count in ordered if count >= least][:most]
    column = {name: place for place, name in enumerate(names)}
    labels = np.zeros((len(rows), len(names)), np.float32)
    for place, row in enumerate(rows):
        labels[place, [column[name] for name in set(row) if name in column]] = 1
    return labels, np.array(names)


READERS = {"flickr8k": flickr8k, "openclipart": openclipart, "stamps": stamps, "photos": photos}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("collection", choices=READERS)
    parser.add_argument("paths", type=Path, nargs="+", help="what the collection is read from, OUT")
    options = parser.parse_args()
    *sources, out = options.paths
    found = READERS[options.collection](*sources)
    np.savez(out, **found)
    print(f"{out}: {len(found['image']):,} items, {len(found['classes'])} classes")


if __name__ == "__main__":
    main()
