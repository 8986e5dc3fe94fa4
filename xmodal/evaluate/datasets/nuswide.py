"""NUS-WIDE as its authors distribute it (Chua et al., CIVR 2009): text files of 269,648 rows."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError
from xmodal.evaluate.datasets.dataset import Dataset
from xmodal.evaluate.datasets.folder import Folder

IMAGES = "BoW_int.dat"
TAGS = "AllTags1k.txt"
LABELS = "Labels_*.txt"
FILES = (IMAGES, TAGS, LABELS)
# Beside the lists of all rows, the archive has those of its training and its test half.
HALF = re.compile(r"_(train|test)$", re.IGNORECASE)


def read_nuswide(folder: Folder, concepts: int) -> Dataset | None:
    """The rows that have one of the most frequent ``concepts`` and a tag; None without the files.

    ``Low_Level_Features/BoW_int.dat`` (500-d SIFT histograms), ``AllTags1k.txt`` (1,000 tags) and
    ``Groundtruth/AllLabels/Labels_NAME.txt``. Published tables on "NUS-WIDE, 10 (or 21) concepts"
    keep these rows.
    """
    images, tags = folder.find(IMAGES), folder.find(TAGS)
    lists = [path for path in folder.matching(LABELS) if not HALF.search(path.stem)]
    if images is None or tags is None or not lists:
        return None
    known = np.stack([_matrix(path)[:, 0] > 0 for path in lists], axis=1)
    frequent = np.sort(np.argsort(-known.sum(axis=0), kind="stable")[:concepts])
    labels = known[:, frequent]
    x, y = _matrix(images), _matrix(tags)
    if not len(x) == len(y) == len(labels):
        raise UsageError(
            f"{folder.path}: expected equally many lines, found {len(x)} in {images.name}, "
            f"{len(y)} in {tags.name}, {len(labels)} in {lists[0].name}"
        )
    kept = labels.any(axis=1) & y.any(axis=1)
    return Dataset(
        f"nus-wide-tc{concepts}", x[kept], y[kept], labels[kept].astype(np.float32),
        f"{images.name}, {tags.name}, {len(lists)} {LABELS}",
        [lists[number].stem.removeprefix("Labels_") for number in frequent],
    )  # fmt: skip


def _matrix(path: Path) -> NDArray[np.float32]:
    try:
        return np.loadtxt(path, dtype=np.float32, ndmin=2)
    except ValueError as error:
        raise UsageError(f"{path}: expected rows of numbers: {error}") from error
