"""The standard sets, from small files of exactly the formats that published code reads."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix

from xmodal.errors import UsageError
from xmodal.evaluate.datasets import read_dataset
from xmodal.evaluate.datasets.folder import Folder

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 8)).astype(np.float32), RNG.normal(size=(30, 5)).astype(np.float32)
L = np.eye(4, dtype=np.float32)[np.arange(30) % 4]
# Row 0 has two labels: a matrix that is not one class a row stays what it is.
L[0, 3] = 1


def write_hdf5(path, matlab=False, **arrays):
    """HDF5 as Python writes it, or with the header and the reversed axes of MATLAB 7.3."""
    with h5py.File(path, "w", userblock_size=512 if matlab else 0) as file:
        for name, values in arrays.items():
            file[name] = values.T if matlab else values
    if matlab:
        with path.open("r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file")


def same(found, images=X, texts=Y, labels=L):
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.texts, texts)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.images.dtype == found.texts.dtype == found.labels.dtype == np.float32


@pytest.mark.parametrize("matlab", [False, True])
def test_three_variables_of_one_hdf5_file_whoever_wrote_it(tmp_path, matlab):
    write_hdf5(tmp_path / "FLICKR-25K.mat", matlab, images=X, YAll=Y, LAll=L)
    found = read_dataset("mirflickr25k", tmp_path)
    same(found)
    assert found.split is None
    assert "FLICKR-25K.mat: images, YAll, LAll" in str(found)


def test_one_variable_a_file_of_either_version_in_any_folder_and_case(tmp_path):
    (tmp_path / "a" / "IAll").mkdir(parents=True)
    savemat(tmp_path / "a" / "IAll" / "NUS-WIDE-TC10-xall-vgg.mat", {"XAll": X})
    write_hdf5(tmp_path / "a" / "nus-wide-tc10-yall.mat", matlab=True, YAll=Y)
    savemat(tmp_path / "a" / "nus-wide-tc10-lall.mat", {"LAll": L.astype(np.uint8)})
    same(read_dataset("nus-wide-tc10", tmp_path))


def test_features_are_taken_before_pixels(tmp_path):
    for name, variable, values in (
        ("iall-vgg", "XAll", X),
        ("iall", "IAll", np.zeros((30, 3, 6, 6), np.uint8)),
        ("yall", "YAll", Y),
        ("lall", "LAll", L),
    ):
        savemat(tmp_path / f"mirflickr25k-{name}.mat", {variable: values})
    same(read_dataset("mirflickr25k", tmp_path))


def test_pixels_are_refused_with_what_to_do_instead(tmp_path):
    pixels = np.zeros((30, 3, 6, 6), np.uint8)
    write_hdf5(tmp_path / "FLICKR-25K.mat", images=pixels, YAll=Y, LAll=L)
    with pytest.raises(
        UsageError, match=r"found \(30, 3, 6, 6\), which are pixels; use a file with"
    ):
        read_dataset("mirflickr25k", tmp_path / "FLICKR-25K.mat")


@pytest.mark.parametrize("kind", ["v5", "v7.3"])
def test_training_and_test_rows_are_the_published_split(tmp_path, kind):
    parts = {
        "I_tr": X[:20], "T_tr": Y[:20], "L_tr": L[:20], "I_te": X[20:], "T_te": Y[20:],
        "L_te": L[20:], "V_tr": X[:20] + 1,
    }  # fmt: skip
    path = tmp_path / "mirflickr.mat"
    savemat(path, parts) if kind == "v5" else write_hdf5(path, matlab=True, **parts)
    found = read_dataset("mirflickr25k", tmp_path)
    same(found)
    np.testing.assert_array_equal(found.split.query, np.arange(20, 30))
    np.testing.assert_array_equal(found.split.training, np.arange(20))
    np.testing.assert_array_equal(found.split.database, np.arange(20))


def test_training_rows_within_the_searched_ones_are_kept_once(tmp_path):
    savemat(
        tmp_path / "mir_cnn.mat",
        {"I_tr": X[[9, 12]], "T_tr": Y[[9, 12]], "L_tr": L[[9, 12]], "I_te": X[:6], "T_te": Y[:6],
         "L_te": L[:6], "I_db": X[6:], "T_db": Y[6:], "L_db": L[6:]},
    )  # fmt: skip
    found = read_dataset("mirflickr25k", tmp_path)
    same(found)
    np.testing.assert_array_equal(found.split.query, np.arange(6))
    np.testing.assert_array_equal(found.split.training, [9, 12])
    np.testing.assert_array_equal(found.split.database, np.arange(6, 30))


def test_training_rows_beside_the_searched_ones_are_kept_too(tmp_path):
    savemat(
        tmp_path / "nus_cnn.mat",
        {"I_tr": X[[9, 20]], "T_tr": Y[[9, 20]], "L_tr": L[[9, 20]], "I_te": X[:6], "T_te": Y[:6],
         "L_te": L[:6], "I_db": X[6:20], "T_db": Y[6:20], "L_db": L[6:20]},
    )  # fmt: skip
    found = read_dataset("nus-wide-tc10", tmp_path)
    same(found, X[:21], Y[:21], L[:21])
    np.testing.assert_array_equal(found.split.training, [9, 20])
    np.testing.assert_array_equal(found.split.database, np.arange(6, 20))


def test_iapr_takes_its_deep_features_where_it_has_both(tmp_path):
    savemat(
        tmp_path / "iapr-tc12-rand.mat",
        {"XDatabase": X[:20] * 2, "VDatabase": X[:20], "YDatabase": Y[:20], "databaseL": L[:20],
         "XTest": X[20:] * 2, "VTest": X[20:], "YTest": Y[20:], "testL": L[20:]},
    )  # fmt: skip
    found = read_dataset("iapr-tc12", tmp_path)
    same(found)
    assert "VDatabase" in found.source


def test_sparse_labels_of_both_versions(tmp_path):
    savemat(tmp_path / "v5.mat", {"XAll": X, "YAll": Y, "LAll": csc_matrix(L)})
    same(read_dataset("features", tmp_path / "v5.mat"))
    write_hdf5(tmp_path / "v73.mat", matlab=True, XAll=X, YAll=Y)
    sparse = csc_matrix(L)
    with h5py.File(tmp_path / "v73.mat", "r+") as file:
        group = file.create_group("LAll")
        group.attrs["MATLAB_sparse"] = np.uint64(len(L))
        group["data"], group["ir"], group["jc"] = sparse.data, sparse.indices, sparse.indptr
    same(read_dataset("features", tmp_path / "v73.mat"))


def test_a_column_of_class_numbers_becomes_a_matrix(tmp_path):
    numbers = np.array([[3], [1], [3], [7]])
    savemat(
        tmp_path / "WIKI.mat",
        {"I_tr": X[:3], "T_tr": Y[:3], "L_tr": numbers[:3],
         "I_te": X[3:4], "T_te": Y[3:4], "L_te": numbers[3:]},
    )  # fmt: skip
    found = read_dataset("wiki", tmp_path)
    np.testing.assert_array_equal(found.labels, [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert found.classes == ["1", "3", "7"]


def test_wiki_as_its_authors_distribute_it(tmp_path):
    savemat(
        tmp_path / "raw_features.mat",
        {"I_tr": X[:20], "T_tr": Y[:20], "I_te": X[20:], "T_te": Y[20:]},
    )
    categories = np.arange(30) % 3 + 1
    for name, rows in (("trainset", range(20)), ("testset", range(20, 30))):
        lines = [f"text-{row}\tpicture-{row}\t{categories[row]}\n" for row in rows]
        (tmp_path / f"{name}_txt_img_cat.list").write_text("".join(lines))
    (tmp_path / "categories.list").write_text("art\nbiology\nsport\n")
    found = read_dataset("wiki", tmp_path)
    same(found, labels=np.eye(3)[categories - 1])
    assert found.classes == ["art", "biology", "sport"]
    np.testing.assert_array_equal(found.split.query, np.arange(20, 30))


def test_nus_wide_as_its_authors_distribute_it(tmp_path):
    rng = np.random.default_rng(1)
    words, tags = rng.integers(0, 9, (40, 500)), rng.integers(0, 2, (40, 1000))
    tags[5] = 0
    concepts = {f"concept{number:02}": (np.arange(40) % (number + 2) == 0) for number in range(12)}
    for folder in ("Low_Level_Features", "NUS_WID_Tags", "Groundtruth/AllLabels"):
        (tmp_path / folder).mkdir(parents=True)
    np.savetxt(tmp_path / "Low_Level_Features" / "BoW_int.dat", words, fmt="%d")
    np.savetxt(tmp_path / "NUS_WID_Tags" / "AllTags1k.txt", tags, fmt="%d", delimiter="\t")
    for name, has in concepts.items():
        path = tmp_path / "Groundtruth" / "AllLabels" / f"Labels_{name}.txt"
        np.savetxt(path, has, fmt="%d")
    half = tmp_path / "Groundtruth" / "Labels_concept00_Train.txt"
    half.write_text("1\n0\n")
    found = read_dataset("nus-wide-tc10", tmp_path)
    assert found.classes == sorted(concepts)[:10]  # the most frequent
    labels = np.stack([concepts[name] for name in found.classes], axis=1)
    kept = labels.any(axis=1) & tags.any(axis=1)
    assert 0 < kept.sum() < 40
    same(found, words[kept], tags[kept], labels[kept])


@pytest.fixture
def coco(tmp_path):
    """Four pictures, one without an object, one without a caption."""
    captions = [(11, 1, "A dog runs."), (12, 1, "A brown dog"), (21, 2, "A cat"), (31, 3, "A bus")]
    objects = [(1, 18), (1, 1), (2, 17), (4, 18)]
    categories = [(17, "cat"), (18, "dog"), (1, "person")]
    (tmp_path / "captions_val2017.json").write_text(
        json.dumps(
            {"annotations": [{"id": i, "image_id": p, "caption": c} for i, p, c in captions]}
        )
    )
    (tmp_path / "instances_val2017.json").write_text(
        json.dumps(
            {
                "annotations": [{"image_id": p, "category_id": c} for p, c in objects],
                "categories": [{"id": i, "name": n} for i, n in categories],
            }
        )
    )
    return tmp_path


def test_coco_annotations_with_image_features(coco):
    np.savez(coco / "resnet.npz", ids=[4, 2, 1, 3], image=X[:4])
    found = read_dataset("coco", coco)
    np.testing.assert_array_equal(found.images, X[[1, 2]])
    np.testing.assert_array_equal(found.labels, [[0, 1, 0], [1, 0, 1]])
    assert found.classes == ["person", "cat", "dog"]
    # brown, cat, dog, runs; "a", which both have, says nothing.
    np.testing.assert_array_equal(found.texts, [[0, 1, 0, 0], [1, 0, 1, 1]])
    assert found.text_of is None


def test_coco_bag_of_words_leaves_out_what_most_of_the_pictures_say(coco):
    captions = json.loads((coco / "captions_val2017.json").read_text())
    notes = [{"id": 100 + i, "image_id": 10 + i, "caption": f"A w{'abc'[i]}"} for i in range(3)]
    captions["annotations"] += notes
    (coco / "captions_val2017.json").write_text(json.dumps(captions))
    instances = json.loads((coco / "instances_val2017.json").read_text())
    instances["annotations"] += [{"image_id": 10 + i, "category_id": 17} for i in range(3)]
    (coco / "instances_val2017.json").write_text(json.dumps(instances))
    np.savez(coco / "resnet.npz", ids=[1, 2, 10, 11, 12], image=X[:5])
    found = read_dataset("coco", coco)
    # brown, cat, dog, runs, wa, wb, wc; not "a".
    assert found.texts.shape == (5, 7)
    np.testing.assert_array_equal(found.texts.sum(axis=1), [3, 1, 1, 1, 1])


def test_coco_captions_with_features_are_texts_of_their_own(coco):
    np.savez(coco / "clip.npz", ids=[1, 2, 3], image=X[:3], text_ids=[12, 31, 21, 11], text=Y[:4])
    found = read_dataset("coco", coco)
    np.testing.assert_array_equal(found.texts, Y[[0, 2, 3]])
    np.testing.assert_array_equal(found.text_of, [0, 1, 0])


def test_coco_as_published_code_stores_it(tmp_path):
    write_hdf5(
        tmp_path / "MSCOCO_deep_doc2vec_data.h5py",
        train_imgs_deep=X[:20], train_text=Y[:20], train_imgs_labels=L[:20],
        test_imgs_deep=X[20:], test_text=Y[20:], test_imgs_labels=L[20:],
    )  # fmt: skip
    same(read_dataset("coco", tmp_path))


def test_features_of_ones_own_soft_labels_and_missing_rows_too(tmp_path):
    labels, texts = L * 0.5, Y.copy()
    labels[3], texts[4] = np.nan, np.nan
    np.savez(
        tmp_path / "mine.npz",
        image=X.astype(np.float16),
        text=texts,
        label=labels,
        classes=["sea", "dog", "car", "sky"],
    )
    found = read_dataset("features", tmp_path / "mine.npz")
    same(found, X.astype(np.float16), texts, labels)
    assert found.classes == ["sea", "dog", "car", "sky"]
    np.savez(tmp_path / "plus.npz", image=X, text=Y, label=L * 2 - 1)
    same(read_dataset("features", tmp_path / "plus.npz"))


def _npz(**arrays):
    return lambda folder: np.savez(folder / "set.npz", **arrays)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_npz(image=X, words=Y), "found the variables image, words; expected one of: image, text"),
        (
            _npz(image=X, text=Y[1:], label=L),
            r"expected equally many rows, .* \(30, 8\), \(29, 5\)",
        ),
        (_npz(image=X, text=Y, label=L * 9), "expected labels from 0 to 1 .* found 0 to 9"),
        (_npz(image=X, text=Y.astype(str), label=L), "expected numbers of shape"),
        (lambda folder: (folder / "set.npz").write_text("no"), "expected .npz, .mat or HDF5"),
        (lambda folder: None, "set.npz: no such file or folder"),
    ],
)
def test_unusable_files_are_named_with_what_was_found(tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(UsageError, match=message):
        read_dataset("features", tmp_path / "set.npz")


def test_a_folder_without_the_set_names_the_files_that_were_expected(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(
        UsageError, match=r"none of the forms of wiki; expected wiki.npz; or .*found notes"
    ):
        read_dataset("wiki", tmp_path)
    with pytest.raises(UsageError, match="unknown data set 'wikis': there are wiki, mirflickr25k"):
        read_dataset("wikis", tmp_path)


def test_a_missing_package_is_named_with_how_to_install_it(tmp_path, monkeypatch):
    write_hdf5(tmp_path / "FLICKR-25K.mat", images=X, YAll=Y, LAll=L)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError, match=r"needs h5py: pip install 'xmodal\[datasets\]'"):
        read_dataset("mirflickr25k", tmp_path)


def test_reading_is_imported_only_where_it_is_needed():
    code = (
        "import sys, xmodal.evaluate.table, xmodal.evaluate.datasets;"
        "print({'scipy', 'h5py', 'sklearn', 'torch'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_folder_lists_its_files_once_and_prefers_those_on_top(tmp_path):
    (tmp_path / "old").mkdir()
    for name in ("old/Wiki.NPZ", "wiki.npz", "old/captions_a.json", "Captions_b.json"):
        (tmp_path / name).write_text("")
    folder = Folder(tmp_path)
    assert folder.find("WIKI.npz") == tmp_path / "wiki.npz"
    assert folder.find("wikis.npz") is None
    assert [path.name for path in folder.matching("captions_*.json")] == [
        "Captions_b.json", "captions_a.json",
    ]  # fmt: skip


def test_several_texts_an_item_name_the_item(tmp_path):
    text_of = np.repeat(np.arange(10), 3)
    np.savez(tmp_path / "five.npz", image=X[:10], text=Y, label=L[:10], text_of=text_of)
    found = read_dataset("features", tmp_path / "five.npz")
    same(found, X[:10], Y, L[:10])
    np.testing.assert_array_equal(found.text_of, text_of)
    assert "10 items, 30 texts" in str(found)


def test_validation_rows_are_left_out(tmp_path):
    parts = (("train", slice(0, 15)), ("val", slice(15, 20)), ("test", slice(20, 30)))
    arrays = {}
    for part, rows in parts:
        arrays |= {f"img_{part}": X[rows], f"txt_{part}": Y[rows], f"{part}_labs": L[rows]}
    savemat(tmp_path / "nus-wide-tc21.mat", arrays)
    found = read_dataset("nus-wide-tc21", tmp_path)
    kept = np.r_[0:15, 20:30]
    same(found, X[kept], Y[kept], L[kept])
    np.testing.assert_array_equal(found.split.query, np.arange(15, 25))
