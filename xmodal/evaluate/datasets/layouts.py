"""Which variables hold images, texts and labels: the conventions of published code.

Whole sets, which their users split themselves, have one array of each; sets that come split have
one of each for training and test rows, and some a third for the rows that are searched.
"""

import hashlib
from collections.abc import Iterator, Mapping
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
    for number, kind in enumerate(("images", "texts")):
        dims = {part[number].shape[1:] for part in parts}
        if len(dims) > 1:
            raise UsageError(f"{source}: {kind}: expected equally many columns, found {dims}")
    training, query, *searched = parts
    learned, asked = len(training[0]), len(query[0])
    if not searched:
        rows = [training, query]
        taught = np.arange(learned)
        split = Split(np.arange(learned, learned + asked), taught, taught)
    else:
        # The training rows are usually among those that are searched: each item is kept once.
        place = _places(training, searched[0])
        apart = np.flatnonzero(place < 0)
        found = len(searched[0][0])
        place[apart] = found + np.arange(len(apart))
        rows = [query, searched[0], (training[0][apart], training[1][apart], training[2][apart])]
        database = np.arange(asked, asked + found)
        split = Split(np.arange(asked), np.unique(asked + place), database)
    images, texts, labels = (np.concatenate([part[number] for part in rows]) for number in range(3))
    matrix, classes = label_matrix(labels, names[0][2])
    return Dataset(
        name, features(images, f"{source}: {names[0][0]}"), features(texts, names[0][1]), matrix,
        source, classes, split=split,
    )  # fmt: skip


def _places(part: Three, whole: Three) -> NDArray[np.int64]:
    """For each row the first row of the whole with the same image and text; -1 if there is none."""
    first: dict[bytes, int] = {}
    for row, key in enumerate(_row_keys(whole)):
        first.setdefault(key, row)
    return np.array([first.get(key, -1) for key in _row_keys(part)], np.int64)


def _row_keys(part: Three) -> Iterator[bytes]:
    """A short key of each row's image and text: the rows themselves can be gigabytes."""
    for image, text in zip(part[0], part[1], strict=True):
        yield hashlib.blake2b(image.tobytes() + text.tobytes(), digest_size=16).digest()


def _listed(parts: tuple[Names, ...]) -> str:
    return ", ".join(variable for names in parts for variable in names)
