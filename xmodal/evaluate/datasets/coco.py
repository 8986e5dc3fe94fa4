"""MS COCO from its own annotations (Lin et al., ECCV 2014) and image features of the user's.

Captions become a bag of words, as in published tables on COCO, unless the file of image features
brings features of the captions too.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.datasets.containers import Container, open_container
from xmodal.evaluate.datasets.dataset import Dataset, features
from xmodal.evaluate.datasets.folder import Folder

CAPTIONS, INSTANCES, FEATURES = "captions_*.json", "instances_*.json", "*.npz"
FILES = (CAPTIONS, INSTANCES, f"one {FEATURES} with ids and image")
WORDS = 2_000
_WORD = re.compile(r"[a-z]+")


def read_coco(folder: Folder) -> Dataset | None:
    """Annotations of one or several years and parts, and a ``.npz``; None without the files.

    The ``.npz`` holds ``ids`` int ``(n,)``, COCO's image ids, and ``image`` float ``(n, dim)``; and
    perhaps ``text_ids`` int ``(m,)``, the ids of captions, and ``text`` float ``(m, dim)``: then
    each caption is a text of its own. Pictures without a caption or an object are left out.
    """
    captions, instances = folder.matching(CAPTIONS), folder.matching(INSTANCES)
    stored = folder.matching(FEATURES)
    if not captions or not instances or not stored:
        return None
    if len(stored) > 1:
        raise UsageError(
            f"{folder.path}: expected one {FEATURES} of image features, found "
            f"{', '.join(path.name for path in stored)}"
        )
    container = open_container(stored[0])
    ids, images = _keyed(container, "ids", "image")
    said = [
        (int(note["id"]), int(note["image_id"]), str(note["caption"]))
        for path in captions
        for note in _read(path)["annotations"]
    ]
    objects = [(path, _read(path)) for path in instances]
    categories = {int(c["id"]): str(c["name"]) for _, file in objects for c in file["categories"]}
    columns = {category: column for column, category in enumerate(sorted(categories))}
    place = {int(number): row for row, number in enumerate(ids)}
    labels = np.zeros((len(ids), len(columns)), np.float32)
    for _, file in objects:
        for note in file["annotations"]:
            row = place.get(int(note["image_id"]))
            if row is not None:
                labels[row, columns[int(note["category_id"])]] = 1
    described = {image for _, image, _ in said}
    spoken = np.array([int(number) in described for number in ids])
    kept = np.flatnonzero(labels.any(axis=1) & spoken)
    if not len(kept):
        raise UsageError(
            f"{stored[0]}: ids: none of the {len(ids)} images has a caption and an object in "
            f"{', '.join(path.name for path in (*captions, *instances))}"
        )
    row_of = {int(ids[row]): new for new, row in enumerate(kept)}
    source = ", ".join(path.name for path in (*captions, *instances, *stored))
    names = [categories[category] for category in sorted(categories)]
    if "text" in container.names:
        texts, text_of = _caption_features(container, said, row_of)
    else:
        texts, text_of = _bag_of_words(said, row_of), None
    return Dataset("coco", images[kept], texts, labels[kept], source, names, text_of)


def _caption_features(
    container: Container, said: list[tuple[int, int, str]], row_of: dict[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    ids, texts = _keyed(container, "text_ids", "text")
    image_of = {caption: image for caption, image, _ in said}
    owners = np.array([row_of.get(image_of.get(int(number), -1), -1) for number in ids], np.int64)
    return texts[owners >= 0], owners[owners >= 0]


def _bag_of_words(said: list[tuple[int, int, str]], row_of: dict[int, int]) -> NDArray[np.float32]:
    """0/1 of the most frequent words that at most half of the pictures have."""
    words: list[set[str]] = [set() for _ in row_of]
    for _, image, sentence in said:
        if image in row_of:
            words[row_of[image]].update(_WORD.findall(sentence.lower()))
    counts = Counter(word for each in words for word in each)
    telling = [(-count, word) for word, count in counts.items() if 2 * count <= len(words)]
    columns = {word: column for column, (_, word) in enumerate(sorted(telling)[:WORDS])}
    if not columns:
        raise UsageError("captions: expected words that differ from picture to picture, found none")
    bag = np.zeros((len(words), len(columns)), np.float32)
    for row, each in enumerate(words):
        bag[row, [columns[word] for word in each if word in columns]] = 1
    return bag


def _keyed(
    container: Container, key: str, name: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    for wanted in (key, name):
        if wanted not in container.names:
            raise UsageError(
                f"{container.path}: expected the arrays {key} and {name}, found "
                f"{', '.join(container.names)}"
            )
    ids, values = container.read(key), features(container.read(name), f"{container.path}: {name}")
    if ids.shape != (len(values),):
        raise UsageError(
            f"{container.path}: {key}: expected {len(values)} ids, one a row of {name}, found "
            f"shape {ids.shape}"
        )
    return ids.astype(np.int64), values


def _read(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict) or "annotations" not in content:
        raise UsageError(f"{path}: expected COCO's annotations, found none")
    return content
