"""Rows that do not fit in memory, and any number of threads."""

import json
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from xmodal.hashing import create_hasher, list_hashers

BITS = 16
NAMES = [info.name for info in list_hashers()]
# Few steps are enough to tell what is asked here.
PARAMETERS = {"mlp": {"rounds": 1, "width": 16}, "triplet": {"steps": 40}}

DIGESTS = """
import hashlib, json, sys
import numpy as np
import xmodal.hashing.chunks
from xmodal.hashing import create_hasher

xmodal.hashing.chunks.CHUNK = 300  # several chunks for several threads
pairs = np.load(sys.argv[1])
found = {}
for name, parameters in json.loads(sys.argv[2]).items():
    hasher = create_hasher(name, bits=16, **parameters)
    hasher.fit(pairs["images"], pairs["texts"], pairs["labels"])
    digest = hashlib.sha256(hasher.encode_images(pairs["images"]))
    digest.update(hasher.project_texts(pairs["texts"]))
    digest.update(hasher.query_images(pairs["images"][:3]))
    found[name] = digest.hexdigest()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def digests(pairs_of, tmp_path_factory):
    """Digest of every hasher's codes and reals, with one BLAS thread and with two."""
    pairs = pairs_of(rows=700, dim=128, classes=6)
    file = tmp_path_factory.mktemp("digests") / "pairs.npz"
    np.savez(file, images=pairs.images, texts=pairs.texts, labels=pairs.labels)
    wanted = json.dumps({name: PARAMETERS.get(name, {}) for name in NAMES})
    running = [
        subprocess.Popen(
            [sys.executable, "-c", DIGESTS, str(file), wanted],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            stdout=subprocess.PIPE,
            text=True,
        )
        for threads in ("1", "2")
    ]
    return [json.loads(process.communicate()[0]) for process in running]


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_the_same_bit_for_bit_on_one_thread_and_on_two(name, digests):
    one, two = digests
    assert one[name] == two[name]


@pytest.fixture
def small_parts(monkeypatch):
    """Chunks and samples so small that a few thousand rows are many."""
    for place, rows in {
        "chunks.CHUNK": 256,
        "supervised.CHUNK": 500,
        "supervised.CHOICE_ROWS": 500,
        "fused.BALANCE_ROWS": 300,
        "fused_choice.CHOICE_ROWS": 300,
        "itq.ROTATION_ROWS": 300,
        "pair_itq.ROTATION_ROWS": 300,
        "posterior_itq.SAMPLE_ROWS": 300,
        "cca_itq.ROTATION_ROWS": 300,
        "sh.RANGE_ROWS": 300,
        "agh.GRAPH_ROWS": 300,
        "scm.RESIDUAL_ROWS": 300,
        "scm.ScmSeq.sample_rows": 300,
        "triplet.TRIPLE_ROWS": 300,
        "anchors.WIDTH_ROWS": 300,
        "quantised.SAMPLE": 300,
    }.items():
        monkeypatch.setattr(f"xmodal.hashing.{place}", rows)


def _in_files(pairs, folder, dtype):
    arrays = []
    for part in ("images", "texts", "labels"):
        np.save(folder / f"{part}.npy", getattr(pairs, part).astype(dtype))
        arrays.append(np.load(folder / f"{part}.npy", mmap_mode="r"))
    return arrays


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mlp"])  # PyTorch's is not seen
def test_memory_does_not_grow_by_a_copy_of_the_features(name, pairs_of, tmp_path, small_parts):
    few, many, dim = 500, 1500, 256
    images, texts, labels = _in_files(pairs_of(rows=many, dim=dim), tmp_path, "float16")
    held = []
    for rows in (few, few, many):  # once to warm up
        hasher = create_hasher(name, bits=BITS, **PARAMETERS.get(name, {}))
        tracemalloc.start()
        hasher.fit(images[:rows], texts[:rows], labels[:rows])
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # A copy of one modality takes 512 bytes a row as float16, 1,024 as float32; codes take 16.
    assert (held[2] - held[1]) / (many - few) < 100


@pytest.mark.parametrize("name", NAMES)
def test_arrays_in_files_of_any_precision_give_the_same_codes(name, pairs, tmp_path):
    half = type(pairs)(*(a.astype(np.float16) for a in (pairs.images, pairs.texts, pairs.labels)))
    codes = []
    for dtype in ("float16", "float32", "float64"):
        arrays = _in_files(half, tmp_path, dtype)
        hasher = create_hasher(name, bits=BITS, **PARAMETERS.get(name, {})).fit(*arrays)
        codes.append(hasher.encode_images(arrays[0]))
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(codes[0], codes[2])
