"""The Wiki set as its authors distribute it (Rasiwasia et al., ACM Multimedia 2010)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.datasets.containers import open_container
from xmodal.evaluate.datasets.dataset import Dataset, features, label_matrix
from xmodal.evaluate.datasets.folder import Folder
from xmodal.evaluate.splits import Split

FEATURES = "raw_features.mat"
LISTS = ("trainset_txt_img_cat.list", "testset_txt_img_cat.list")
CATEGORIES = "categories.list"
FILES = (FEATURES, *LISTS)


def read_wiki(folder: Folder) -> Dataset | None:
    """``raw_features.mat`` (SIFT histograms, topics) and the lists; None where they are not there.

    The lists name the text, the picture and the category, from 1 to 10, of each row.
    """
    paths = [folder.find(name) for name in FILES]
    if any(path is None for path in paths):
        return None
    stored, *lists = (path for path in paths if path is not None)
    container = open_container(stored)
    missing = [name for name in ("I_tr", "T_tr", "I_te", "T_te") if name not in container.names]
    if missing:
        raise UsageError(
            f"{stored}: expected the variables I_tr, T_tr, I_te, T_te, found "
            f"{', '.join(container.names) or '(none)'}"
        )
    images = [container.read("I_tr"), container.read("I_te")]
    texts = [container.read("T_tr"), container.read("T_te")]
    numbers = [_categories(path) for path in lists]
    for path, image, text, number in zip(lists, images, texts, numbers, strict=True):
        if not len(image) == len(text) == len(number):
            raise UsageError(
                f"{path}: expected a line for each of {len(image)} pictures and {len(text)} texts, "
                f"found {len(number)}"
            )
    labels, classes = label_matrix(np.concatenate(numbers), LISTS[0])
    training = np.arange(len(numbers[0]))
    query = np.arange(len(numbers[0]), len(labels))
    return Dataset(
        "wiki",
        features(np.concatenate(images), f"{stored}: I_tr"),
        features(np.concatenate(texts), f"{stored}: T_tr"),
        labels,
        ", ".join(FILES),
        _names(folder, len(labels[0])) or classes,
        split=Split(query, training, training),
    )


def _categories(path: Path) -> NDArray[np.int64]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    numbers = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        last = line.split()[-1]
        if not last.isdigit():
            raise UsageError(
                f"{path}, line {number}: expected text, picture and category number, found {line!r}"
            )
        numbers.append(int(last))
    return np.array(numbers, np.int64)


def _names(folder: Folder, classes: int) -> list[str] | None:
    path = folder.find(CATEGORIES)
    names = path.read_text(encoding="utf-8").split() if path else []
    return names if len(names) == classes else None
