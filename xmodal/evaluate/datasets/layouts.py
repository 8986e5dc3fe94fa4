"""Which variables hold images, texts and labels: the conventions of published code.

Whole sets, which their users split themselves, have one array of each; sets that come split have
one of each for training and test rows, and some a third for the rows that are searched.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.datasets.containers import Container, open_container
from xmodal.evaluate.datasets.dataset import Dataset, features, label_matrix, refuse_pixels
from xmodal.evaluate.splits import Split

# Names of the images, the texts and the labels. Features go before pixels, deep ones before others.
WHOLE = (
    ("image", "text", "label"),
    ("XAll", "YAll", "LAll"),
    ("IAll", "YAll", "LAll"),
    ("IAll", "TAll", "LAll"),
    ("images", "YAll", "LAll"),
    ("images", "tags", "labels"),
    ("images", "texts", "labels"),
    ("X", "Y", "L"),
)
# The same for training rows, test rows and, where there are three, the rows that are searched.
SPLIT = (
    (
        ("image_train", "text_train", "label_train"),
        ("image_test", "text_test", "label_test"),
    ),
    (("I_tr", "T_tr", "L_tr"), ("I_te", "T_te", "L_te"), ("I_db", "T_db", "L_db")),
    (("I_tr", "T_tr", "L_tr"), ("I_te", "T_te", "L_te")),
    (("VDatabase", "YDatabase", "databaseL"), ("VTest", "YTest", "testL")),
    (("XDatabase", "YDatabase", "databaseL"), ("XTest", "YTest", "testL")),
    (("XTrain", "YTrain", "LTrain"), ("XTest", "YTest", "LTest")),
    (
        ("train_imgs_deep", "train_text", "train_imgs_labels"),
        ("test_imgs_deep", "test_text", "test_imgs_labels"),
    ),
    (
        ("train_imgs_deep", "train_texts_doc", "train_imgs_labels"),
        ("test_imgs_deep", "test_texts_doc", "test_imgs_labels"),
    ),
    # Its validation rows, img_val and so on, are left out.
    (("img_train", "txt_train", "train_labs"), ("img_test", "txt_test", "test_labs")),
)

# What whole sets may have beside them: the item of each text, and the names of the label columns.
OWNERS, CLASSES = "text_of", "classes"

Three = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
Names = tuple[str, str, str]


def read_layout(name: str, paths: list[Path]) -> Dataset:
    """The data set in one file, or in several that hold one variable each.

    Raises UsageError, naming the variables that were expected and found.
    """
    holders: dict[str, Container] = {}
    for path in paths:
        container = open_container(path)
        holders |= dict.fromkeys(container.names, container)
    files = ", ".join(path.name for path in paths)
    for parts in SPLIT:
        if all(variable in holders for names in parts for variable in names):
            arrays = [_read_three(holders, names) for names in parts]
            return _from_parts(name, arrays, f"{files}: {_listed(parts)}", parts)
    for names in WHOLE:
        if all(variable in holders for variable in names):
            owned = OWNERS in holders
            images, texts, labels = _read_three(holders, names, owned)
            text_of = holders[OWNERS].read(OWNERS).reshape(-1) if owned else None
            matrix, classes = label_matrix(labels, names[2])
            if CLASSES in holders and holders[CLASSES].shape(CLASSES) == matrix.shape[1:]:
                classes = [str(title) for title in holders[CLASSES].read(CLASSES)]
            return Dataset(
                name, features(images, f"{files}: {names[0]}"), features(texts, names[1]), matrix,
                f"{files}: {_listed((names,))}", classes, text_of,
            )  # fmt: skip
    known = "; ".join(_listed(parts) for parts in (*((names,) for names in WHOLE), *SPLIT))
    raise UsageError(
        f"{files}: found the variables {', '.join(sorted(holders)) or '(none)'}; expected one of: "
        f"{known}"
    )


def _read_three(holders: Mapping[str, Container], names: Names, owned: bool = False) -> Three:
    """Images, texts and labels with the items along the first axis; ``owned`` texts are more."""
    shapes = [holders[name].shape(name) for name in names]
    # Said before gigabytes of them are read.
    refuse_pixels(shapes[0], f"{holders[names[0]].path.name}: {names[0]}")
    if any(not shape for shape in shapes):
        raise UsageError(f"{', '.join(names)}: expected arrays, found shapes {shapes}")
    mixed = not owned and any(holders[name].transposed for name in names)
    last = _items_last(shapes) if mixed else None
    images, texts, labels = (
        values.T if last is not None and last[number] else values
        for number, values in enumerate(holders[name].read(name) for name in names)
    )
    if len({len(images), len(images if owned else texts), len(labels)}) > 1:
        raise UsageError(
            f"{', '.join(names)}: expected equally many rows, found shapes "
            f"{images.shape}, {texts.shape}, {labels.shape}"
        )
    return images, texts, labels


def _items_last(shapes: list[tuple[int, ...]]) -> list[bool]:
    """Which arrays have the items along their last axis, the others along their first.

    HDF5 written by MATLAB reverses the axes, HDF5 written by Python does not, and the published
    files are of both kinds; three arrays that must agree on the number of items tell which.

    >>> _items_last([(512, 100), (100, 64), (10, 100)])
    [True, False, True]
    """
    if len({shape[0] for shape in shapes}) == 1:
        return [False] * len(shapes)
    common = set.intersection(*({shape[0], shape[-1]} for shape in shapes))
    if not common:
        return [False] * len(shapes)  # the row counts are compared, and named, by the caller
    items = max(common)
    return [shape[0] != items for shape in shapes]


def _from_parts(name: str, parts: list[Three], source: str, names: tuple[Names, ...]) -> Dataset:
    """Training, test and perhaps searched rows as one set with its published split."""
    images, texts, labels = ([part[number] for part in parts] for number in range(3))
    for kind, arrays in (("images", images), ("texts", texts)):
        dims = {array.shape[1:] for array in arrays}
        if len(dims) > 1:
            raise UsageError(f"{source}: {kind}: expected equally many columns, found {dims}")
    sizes = [len(part[0]) for part in parts]
    x = features(np.concatenate(images), f"{source}: {names[0][0]}")
    y = features(np.concatenate(texts), f"{source}: {names[0][1]}")
    matrix, classes = label_matrix(np.concatenate(labels), names[0][2])
    starts = np.cumsum([0, *sizes])
    training, query, *searched = (np.arange(start, end) for start, end in pairwise(starts))
    if not searched:
        return Dataset(name, x, y, matrix, source, classes, split=Split(query, training, training))
    # The training rows are usually among those that are searched: each item is kept once.
    database = searched[0]
    training = _same_rows(np.hstack([x, y]), training, database)
    kept = np.unique(np.concatenate([query, training, database]))
    new = np.full(len(x), -1)
    new[kept] = np.arange(len(kept))
    split = Split(new[query], np.unique(new[training]), new[database])
    return Dataset(name, x[kept], y[kept], matrix[kept], source, classes, split=split)


def _same_rows(
    rows: NDArray[np.float32], part: NDArray[np.int64], whole: NDArray[np.int64]
) -> NDArray[np.int64]:
    """For each row of a part the first equal row of the whole; itself where there is none."""
    place: dict[bytes, int] = {}
    for row in whole:
        place.setdefault(rows[row].tobytes(), int(row))
    return np.array([place.get(rows[row].tobytes(), row) for row in part], np.int64)


def _listed(parts: tuple[Names, ...]) -> str:
    return ", ".join(variable for names in parts for variable in names)
