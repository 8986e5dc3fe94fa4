"""Trials that never ask what was learned from."""

import numpy as np
import pytest

from xmodal.errors import UsageError
from xmodal.evaluate import (
    Split,
    average_precision,
    evaluate_features,
    evaluate_hasher,
    expected_average_precision,
    in_ranked_order,
    ndcg_at,
    precision_at,
    precision_within,
    rank_items,
    recall_at,
    recall_within,
    split_rows,
)
from xmodal.hamming.packing import unpack_signs
from xmodal.hashing import create_hasher


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.eye(4, dtype=np.float32)[rng.integers(4, size=180)]
    item = labels @ rng.normal(size=(4, 24)) + rng.normal(size=(180, 24))
    images, texts = item + 0.4 * rng.normal(size=(2, 180, 24)) + [[[3]], [[-3]]]
    return images.astype(np.float32), texts.astype(np.float32), labels


def _fit(name, **parameters):
    return lambda x, y, z: create_hasher(name, **parameters).fit(x, y, z)


def test_hasher_learns_from_training_rows_alone(data):
    images, texts, labels = data
    seen = []

    def fit(x, y, z):
        seen.append((x, y, z))
        return create_hasher("itq", bits=8).fit(x, y)

    evaluate_hasher(fit, images, texts, labels, splits=2, seed=5)
    for number, (x, y, z) in enumerate(seen):
        rows = split_rows(len(images), seed=5 + number).training
        np.testing.assert_array_equal(x, images[rows])
        np.testing.assert_array_equal(y, texts[rows])
        np.testing.assert_array_equal(z, labels[rows])


def test_labels_help_the_labels_and_the_plain_code_its_own_text(data):
    lemon = evaluate_hasher(_fit("lemon", bits=16), *data)
    itq = evaluate_hasher(_fit("itq", bits=16), *data)
    for direction in ("text_to_image", "image_to_text"):
        gain = lemon.label_map[direction].minus(itq.label_map[direction])
        assert gain.mean > gain.half_width > 0
        assert itq.own_recall[direction].mean > lemon.own_recall[direction].mean


def test_centred_features_find_their_own_partner(data):
    features = evaluate_features(*data)
    assert features.own_recall["text_to_image"].mean > 0.9
    assert features.label_map["image_to_text"].mean > 0.4


def test_asymmetric_ranking_finds_more_than_hamming_distance(data):
    own = [
        evaluate_hasher(_fit("itq", bits=16), *data, asymmetric=asymmetric, k=3).own_recall
        for asymmetric in (True, False)
    ]
    assert own[0]["text_to_image"].mean > own[1]["text_to_image"].mean


def test_measures_of_a_direction_by_hand():
    # Own features, one class each: no database row is relevant, the partner comes first.
    images = np.eye(12, dtype=np.float32)
    found = evaluate_features(images, images, np.eye(12), splits=1)
    assert np.isnan(found.label_map["text_to_image"].values).all()
    assert np.isnan(found.label_map["text_to_image"].mean)
    np.testing.assert_array_equal(found.own_recall["image_to_text"].values, [[1, 1]])


def test_missing_halves_and_unlabelled_rows_are_no_queries(data):
    images, texts, labels = (part.copy() for part in data)
    texts[::3], images[1::5], labels[::4] = np.nan, np.nan, np.nan
    found = evaluate_hasher(_fit("itq", bits=8), images, texts, labels, splits=1)
    query = split_rows(len(images)).query
    asked = ~np.isnan(texts[query, 0])
    both = asked & ~np.isnan(images[query, 0])
    defined = ~np.isnan(found.label_map["text_to_image"].values[0])
    np.testing.assert_array_equal(defined, asked & ~np.isnan(labels[query, 0]))
    np.testing.assert_array_equal(~np.isnan(found.own_recall["image_to_text"].values[0]), both)


def test_no_rows_are_refused(data):
    images, texts, labels = data
    with pytest.raises(UsageError, match="texts: expected rows, found none"):
        evaluate_features(images, texts[:0], labels, text_of=[])


def test_row_counts_must_match(data):
    images, texts, labels = data
    with pytest.raises(UsageError, match="expected equally many rows, found 180, 179, 180"):
        evaluate_features(images, texts[1:], labels)


def test_every_named_measure_equals_its_function_on_the_ranking(data):
    images, texts, labels = data
    split = split_rows(len(images))
    names = [
        "map@20", "precision@5", "recall@5", "ndcg@5", "expected_map", "precision_within@3",
        "recall_within",
    ]  # fmt: skip
    hasher = create_hasher("itq", bits=16)
    found = evaluate_hasher(
        lambda x, y, _: hasher.fit(x, y), *data, splits=1, asymmetric=False, measures=names
    )
    assert list(found.measures) == names
    query = unpack_signs(hasher.encode_texts(texts[split.query])).astype(int)
    item = unpack_signs(hasher.encode_images(images[split.database])).astype(int)
    distances = (16 - query @ item.T) // 2
    shared = labels[split.query] @ labels[split.database].T
    ranked = in_ranked_order(shared, rank_items(distances))
    expected = [
        average_precision(ranked, 20),
        precision_at(ranked, 5),
        recall_at(ranked, 5),
        ndcg_at(ranked, 5),
        expected_average_precision(distances, shared),
        precision_within(distances, shared, 3),
        recall_within(distances, shared, 2),
    ]
    for name, values in zip(names, expected, strict=True):
        np.testing.assert_allclose(found.measures[name]["text_to_image"].values[0], values)


def test_a_table_of_all_measures_is_printed(data):
    found = evaluate_features(*data, splits=2, measures=["map", "ndcg@10", "own_recall@1"])
    lines = str(found).splitlines()
    assert lines[0].split() == ["text", "to", "image", "image", "to", "text"]
    assert [line.split()[0] for line in lines[1:]] == ["map", "ndcg@10", "own_recall@1"]
    assert found.own_recall is found.measures["own_recall@1"]
    only = evaluate_features(*data, splits=1, measures=["ndcg"])
    with pytest.raises(UsageError, match="map was not measured, only ndcg"):
        _ = only.label_map


def test_a_given_split_is_used_as_it_is(data):
    split = Split(np.arange(40, 10, -1), np.arange(41, 120), np.arange(41, 180))
    found = evaluate_features(*data, splits=[split])
    images, texts, labels = data
    order = split.query
    reordered = Split(np.sort(order), split.training, split.database)
    same = evaluate_features(images, texts, labels, splits=[reordered])
    np.testing.assert_allclose(
        found.label_map["text_to_image"].values[:, ::-1], same.label_map["text_to_image"].values
    )
    assert found.label_map["image_to_text"].values.shape == (1, 30)


def test_only_codes_have_a_radius(data):
    found = evaluate_features(*data, splits=1, measures=["precision_within@2"])
    assert np.isnan(found.measures["precision_within@2"]["text_to_image"].mean)


def test_held_out_classes_neither_train_nor_leave_other_labels_to_judge(data):
    seen = []

    def fit(x, y, z):
        seen.append(z)
        return create_hasher("lemon", bits=8).fit(x, y, z)

    images, _, labels = data
    found = evaluate_hasher(fit, *data, splits=1, held_out=[1])
    split = split_rows(len(images))
    of_class = labels[:, 1] == 1
    np.testing.assert_array_equal(
        seen[0], labels[split.training][~of_class[split.training]][:, [0, 2, 3]]
    )
    judged = ~np.isnan(found.label_map["text_to_image"].values[0])
    np.testing.assert_array_equal(judged, of_class[split.query])


def test_codes_answer_worse_for_classes_they_were_not_taught(data):
    known = evaluate_hasher(_fit("lemon", bits=16), *data).label_map["text_to_image"]
    unseen = evaluate_hasher(_fit("lemon", bits=16), *data, held_out=[0, 2])
    difference = known.minus(unseen.label_map["text_to_image"])
    assert difference.mean > difference.half_width > 0


def test_any_of_several_texts_is_a_pictures_own(data):
    images, texts, labels = data
    # Each picture's own text, and a second one that says nothing of it.
    noise = np.random.default_rng(1).normal(-3, 0.1, texts.shape)
    both, text_of = np.concatenate([noise, texts]), np.tile(np.arange(180), 2)
    one = evaluate_features(*data, k=1)
    two = evaluate_features(images, both, labels, k=1, text_of=text_of)
    assert two.own_recall["image_to_text"].mean >= 0.95
    # Half of the texts ask in vain, and count half of their item.
    halves = two.own_recall["text_to_image"].values
    assert set(np.unique(halves)) <= {0, 0.5, 1}
    assert halves.mean() == pytest.approx(one.own_recall["text_to_image"].mean / 2, abs=0.03)


def test_a_text_each_is_the_same_as_no_owners(data):
    order = np.random.default_rng(0).permutation(180)
    images, texts, labels = data
    plain = evaluate_features(*data)
    owned = evaluate_features(images, texts[order], labels, text_of=order)
    for direction in ("text_to_image", "image_to_text"):
        np.testing.assert_allclose(
            plain.label_map[direction].values, owned.label_map[direction].values
        )
        np.testing.assert_array_equal(
            plain.own_recall[direction].values, owned.own_recall[direction].values
        )


def test_batches_do_not_change_the_answers(data, monkeypatch):
    whole = evaluate_features(*data)
    monkeypatch.setattr("xmodal.evaluate.protocol.CELLS", 300)
    parts = evaluate_features(*data)
    for name, found in whole.measures.items():
        for direction, measure in found.items():
            np.testing.assert_allclose(measure.values, parts.measures[name][direction].values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measures": ["mapp"]}, "there is no 'mapp'; there are map, precision, recall"),
        ({"splits": 0}, "splits: expected at least 1, found 0"),
        ({"splits": []}, "splits: expected at least 1, found 0"),
        ({"measures": ["map@0"]}, "expected a cut-off from 1, found 'map@0'"),
        ({"held_out": [7]}, r"held_out: expected some .* columns 0 to 3, found \[7\]"),
        ({"held_out": [0, 1, 2, 3]}, "held_out: expected some but not all"),
        ({"text_of": np.arange(179)}, r"text_of: expected an image row .* found shape \(179,\)"),
        ({"text_of": np.full(180, 180)}, "text_of: expected an image row from 0 to 179"),
    ],
)
def test_wrong_options_are_named(data, options, message):
    with pytest.raises(UsageError, match=message):
        evaluate_features(*data, **options)
