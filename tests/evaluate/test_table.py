"""The standard table: every hasher beside its baselines, on the same splits."""

import dataclasses
import json

import numpy as np
import pytest

from xmodal.errors import HasherError, UsageError
from xmodal.evaluate import evaluate_hasher
from xmodal.evaluate.baselines import classifier_signs
from xmodal.evaluate.datasets import Dataset
from xmodal.evaluate.protocol import evaluate_models
from xmodal.evaluate.splits import Split, split_rows
from xmodal.evaluate.table import (
    CLASSIFIER,
    FLOAT,
    chosen_rankings,
    chosen_splits,
    class_columns,
    parse_bits,
    parse_hasher,
    table_rows,
)
from xmodal.hashing import create_hasher


def make(text_dim=24, rows=180, split=None):
    rng = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.float32)[rng.integers(4, size=rows)]
    item = labels @ rng.normal(size=(4, 24)) + rng.normal(size=(rows, 24))
    images, texts = item + 0.4 * rng.normal(size=(2, rows, 24))
    arrays = images.astype(np.float32), texts[:, :text_dim].astype(np.float32), labels
    return Dataset("toy", *arrays, source="made", split=split)


def test_baselines_first_then_every_length_of_every_hasher():
    rows = list(table_rows(make(), ["itq", "lemon:ridge=10"], [8, 16], splits=2))
    assert [(row.hasher, row.bits) for row in rows] == [
        (FLOAT, None), ("lsh", 8), ("lsh", 16), (CLASSIFIER, 8), (CLASSIFIER, 16),
        ("itq", 8), ("itq", 16), ("lemon:ridge=10", 8), ("lemon:ridge=10", 16),
    ]  # fmt: skip
    assert all(row.fit_seconds >= 0 and not row.note for row in rows)


def test_a_row_is_what_the_protocol_measures_on_the_same_splits():
    data = make()
    rows = table_rows(data, ["itq"], [16], splits=2, seed=3, rankings=("hamming", "asymmetric"))
    found = {row.ranking: row.evaluation for row in rows if row.hasher == "itq"}
    for ranking, evaluation in found.items():
        alone = evaluate_hasher(
            lambda x, y, z: create_hasher("itq", bits=16, seed=3).fit(x, y),
            data.images, data.texts, data.labels,
            splits=2, seed=3, asymmetric=ranking == "asymmetric",
        )  # fmt: skip
        np.testing.assert_array_equal(
            evaluation.label_map["text_to_image"].values, alone.label_map["text_to_image"].values
        )


def test_what_cannot_be_fitted_is_a_row_with_the_reason():
    rows = list(table_rows(make(text_dim=10), ["itq", "scm-orth", "cca-itq"], [16], splits=1))
    assert rows[0].hasher == "lsh"
    assert rows[0].note == "needs one feature space; images have 24 dimensions, texts 10"
    found = {row.hasher: row for row in rows}
    assert found["itq"].evaluation is None
    assert "expected at most 10" in found["scm-orth"].note
    assert found["cca-itq"].evaluation is not None
    unlabelled = make()
    unlabelled.labels[:] = np.nan
    found = {row.hasher: row for row in table_rows(unlabelled, ["lemon", "itq"], [8], splits=1)}
    assert found["lemon"].note == "needs labels; no row has any"
    assert found[CLASSIFIER].note == "labels: expected labelled rows, found none"
    assert found["itq"].record()["measures"]["map"]["text_to_image"]["mean"] is None


def test_an_unexpected_failure_is_a_row_too(monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr("xmodal.hashing.itq.ITQ.fit", fail)
    rows = list(table_rows(make(), ["itq", "pcah"], [8], splits=1))
    assert [row.note for row in rows][-2:] == ["MemoryError: no room", ""]


def test_wrong_options_are_errors_and_no_rows():
    with pytest.raises(UsageError, match="there is no 'mapp'"):
        list(table_rows(make(), ["itq"], [8], splits=1, measures=["mapp"]))
    with pytest.raises(HasherError, match="unknown hasher 'itqq': did you mean 'itq'"):
        next(table_rows(make(), ["itqq"], [8]))
    with pytest.raises(UsageError, match="expected NAME:PARAMETER=VALUE, found 'rbf'"):
        parse_hasher("lemon:rbf")
    with pytest.raises(
        UsageError, match="bits: expected multiples of 8 from 8 to 1024, found '12'"
    ):
        parse_bits(["16", "12"])
    with pytest.raises(UsageError, match="ranking: expected hamming, asymmetric or both"):
        chosen_rankings("cosine")


def test_the_published_split_is_measured_where_there_is_one():
    split = Split(np.arange(30), np.arange(30, 180), np.arange(30, 180))
    data = make(split=split)
    chosen = chosen_splits(data, 5, published=True)
    assert (
        str(chosen[0]) == "30 queries, 150 training items, 150 searched, training items among them"
    )
    (*_, row) = table_rows(data, ["itq"], [8], splits=chosen)
    assert row.measures["map"]["text_to_image"].values.shape == (1, 30)
    assert chosen_splits(data, 5, published=False) == 5
    with pytest.raises(UsageError, match="toy: these files come without a split"):
        chosen_splits(make(), 5, published=True)


def test_held_out_classes_are_named_and_measured_alone():
    data = make()
    assert class_columns(data, ["0", "2"]) == [0, 2]
    named = dataclasses.replace(data, classes=["dog", "cat", "sea", "sky"])
    assert class_columns(named, ["sea"]) == [2]
    with pytest.raises(UsageError, match="toy has no class 'see': did you mean 'sea'"):
        class_columns(named, ["see"])
    (*_, row) = table_rows(data, ["itq"], [8], splits=1, held_out=[2])
    asked = ~np.isnan(row.measures["map"]["text_to_image"].values[0])
    of_class = data.labels[split_rows(180).query, 2] == 1
    np.testing.assert_array_equal(asked, of_class)


def test_a_record_is_plain_json():
    (*_, row) = table_rows(make(), ["itq"], [8], splits=1, measures=["map", "precision_within@2"])
    record = json.loads(json.dumps(row.record()))
    assert list(record) == ["hasher", "bits", "ranking", "fit_seconds", "measures", "note"]
    assert list(record["measures"]) == ["map", "precision_within@2"]
    mean = record["measures"]["map"]["image_to_text"]["mean"]
    assert mean == pytest.approx(row.evaluation.label_map["image_to_text"].mean, abs=1e-4)


def test_random_projections_of_classifier_scores_beat_random_projections():
    data = make()
    found = {row.hasher: row.measures["map"] for row in table_rows(data, ["lsh"], [32], splits=2)}
    for direction in ("text_to_image", "image_to_text"):
        gain = found[CLASSIFIER][direction].minus(found["lsh"][direction])
        assert gain.mean > gain.half_width > 0


def test_classifier_codes_learn_each_modality_from_the_rows_that_have_it():
    data = make()
    images, texts, labels = (a.copy() for a in (data.images, data.texts, data.labels))
    texts[:60], images[60:90], labels[90:100] = np.nan, np.nan, np.nan
    found = evaluate_models(
        lambda x, y, z: {
            "": classifier_signs(x, y, z, bits=16, seed=0, asymmetric=True)
        },
        images, texts, labels, splits=2, measures=["map"],
    )[""]  # fmt: skip
    assert found.label_map["text_to_image"].mean > 0.5
