"""The standard sets by name: which files each is found in."""

from collections.abc import Callable
from pathlib import Path

from xmodal.errors import UsageError
from xmodal.evaluate.datasets import coco, nuswide, wiki
from xmodal.evaluate.datasets.dataset import Dataset
from xmodal.evaluate.datasets.folder import Folder
from xmodal.evaluate.datasets.layouts import read_layout

_MIRFLICKR = [
    ("mirflickr25k-iall-vgg.mat", "mirflickr25k-yall.mat", "mirflickr25k-lall.mat"),
    ("mirflickr25k-iall-vgg-rand.mat", "mirflickr25k-yall-rand.mat", "mirflickr25k-lall-rand.mat"),
    ("mir_cnn.mat",),
    ("MIRFLICKR.mat",),
    ("MIRFLICKR_deep.mat",),
    ("MIRFLICKR25K.mat",),
    ("FLICKR-25K.mat",),
    ("mirflickr25k-iall.mat", "mirflickr25k-yall.mat", "mirflickr25k-lall.mat"),
]


def _nuswide(concepts: int) -> list[tuple[str, ...]]:
    stem = f"nus-wide-tc{concepts}"
    return [
        (f"{stem}-xall-vgg.mat", f"{stem}-yall.mat", f"{stem}-lall.mat"),
        (f"{stem}-xall-vgg-clean.mat", f"{stem}-yall-clean.mat", f"{stem}-lall-clean.mat"),
        (f"NUSWIDE{concepts}.mat",),
        (f"NUSWIDE{concepts}_deep.mat",),
        (f"NUS-WIDE-TC{concepts}.mat",),
        ("nus_cnn.mat",),
        (f"{stem}-iall.mat", f"{stem}-yall.mat", f"{stem}-lall.mat"),
    ]


# For each set the files of published code, best first; several files hold one variable each.
FILES: dict[str, list[tuple[str, ...]]] = {
    "wiki": [("wiki.npz",), ("WIKI.mat",), ("wikiData.mat",), ("wiki.mat",)],
    "mirflickr25k": _MIRFLICKR,
    "nus-wide-tc10": _nuswide(10),
    "nus-wide-tc21": _nuswide(21),
    "coco": [
        ("MSCOCO_deep_doc2vec_data_rand.h5py",),
        ("MSCOCO_deep_doc2vec_data.h5py",),
        ("coco_cnn.mat",),
        ("MS-COCO.mat",),
    ],
    "iapr-tc12": [
        ("iapr-tc12-rand.mat",),
        ("iapr-tc12.mat",),
        ("IAPRTC-12.mat",),
        ("IAPR TC-12.mat",),
        ("IAPRTC-12_deep.mat",),
        ("iapr-tc12-iall-vgg.mat", "iapr-tc12-yall.mat", "iapr-tc12-lall.mat"),
        ("iapr-tc12-iall.mat", "iapr-tc12-yall.mat", "iapr-tc12-lall.mat"),
    ],
}
# The form in which the sets' own authors distribute them, where that has features.
_ORIGINAL: dict[str, tuple[Callable[[Folder], Dataset | None], tuple[str, ...]]] = {
    "wiki": (wiki.read_wiki, wiki.FILES),
    "nus-wide-tc10": (lambda folder: nuswide.read_nuswide(folder, 10), nuswide.FILES),
    "nus-wide-tc21": (lambda folder: nuswide.read_nuswide(folder, 21), nuswide.FILES),
    "coco": (coco.read_coco, coco.FILES),
}
OWN = "features"
NAMES = (*FILES, OWN)


def read_dataset(name: str, path: Path) -> Dataset:
    """A standard set, or features of one's own.

    Parameters
    ----------
    name: ``wiki``, ``mirflickr25k``, ``nus-wide-tc10``, ``nus-wide-tc21``, ``coco``, ``iapr-tc12``;
        or ``features`` for any file that holds ``image``, ``text`` and ``label``, or each of them
        as ``…_train`` and ``…_test``.
    path: the file, or a folder in which or below which the set's files lie under the names that
        published code gives them, whatever their case. docs/evaluation.md lists them.

    Raises
    ------
    UsageError: naming the files or variables that were expected and found; or the package that a
        format needs.
    """
    if name not in NAMES:
        raise UsageError(f"unknown data set {name!r}: there are {', '.join(NAMES)}")
    if path.is_file():
        return read_layout(name, [path])
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder")
    if name == OWN:
        raise UsageError(f"{path}: expected a file with image, text and label, found a folder")
    folder = Folder(path)
    for files in FILES[name]:
        paths = [place for file in files if (place := folder.find(file))]
        if len(paths) == len(files):
            return read_layout(name, paths)
    original, needed = _ORIGINAL.get(name, (None, ()))
    found = original(folder) if original else None
    if found is None:
        forms = [" + ".join(files) for files in (*FILES[name], needed) if files]
        present = sorted(file.name for file in path.iterdir())
        raise UsageError(
            f"{path}: found none of the forms of {name}; expected {'; or '.join(forms)}; found "
            + (", ".join(present[:10]) + (" …" if len(present) > 10 else "") or "nothing")
        )
    return found
