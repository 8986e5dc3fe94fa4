"""`xmodal benchmark`: a data set's files in, the standard table out."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def features(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    label = np.eye(3)[rng.integers(3, size=120)]
    image = label @ rng.normal(size=(3, 16)) + rng.normal(size=(120, 16))
    parts = {"image": image, "text": image + 0.1, "label": label}
    path = tmp_path / "features.npz"
    np.savez(
        path,
        **{f"{name}_train": values[:80] for name, values in parts.items()},
        **{f"{name}_test": values[80:] for name, values in parts.items()},
    )
    return path


def test_one_line_a_code_with_both_directions_and_their_intervals(run: Run, features: Path) -> None:
    result = run(
        "benchmark", "features", features, "--hashers", "itq", "--bits", "8", "--splits", 2
    )
    assert result.exit_code == 0
    table = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[:3] for row in table] == [
        ["float, centred", "–", "cosine"],
        ["lsh", "8", "hamming"],
        ["classifier signs", "8", "hamming"],
        ["itq", "8", "hamming"],
    ]
    assert {len(row) for row in table} == {8}
    assert all("±" in cell for cell in table[3][3:7])
    assert "120 items, 16-d images, 16-d texts, 3 classes" in result.stderr
    assert "2 random splits" in result.stderr


def test_json_has_exactly_the_documented_fields(run: Run, features: Path) -> None:
    options = ("--hashers", "itq", "--bits", "8", "--ranking", "both", "--published", "--json")
    result = run("benchmark", "features", features, *options, "--measures", "map@20,ndcg@10")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["ranking"] for record in records[-2:]] == ["hamming", "asymmetric"]
    for record in records:
        assert list(record) == [
            "dataset", "hasher", "bits", "ranking", "fit_seconds", "measures", "note",
        ]  # fmt: skip
        assert list(record["measures"]) == ["map@20", "ndcg@10"]
    assert "40 queries, 80 training items, 80 searched, training items among them" in result.stderr


def test_what_a_hasher_lacks_is_said_in_its_line(run: Run, features: Path) -> None:
    result = run("benchmark", "features", features, "--hashers", "lemon", "--bits", "8,96")
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1].split("\t")
    assert last[:4] == ["lemon", "96", "hamming", "–"]
    assert "more labelled rows than the 96 bits" in last[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("wiki", "nowhere"), "nowhere: no such file or folder"),
        (("pictures", "."), "unknown data set 'pictures': there are wiki, "),
        (("features", "FILE", "--bits", "9"), "bits: expected multiples of 8"),
        (("features", "FILE", "--hashers", "itqq"), "did you mean 'itq'?"),
        (("features", "FILE", "--held-out", "7"), "features has no class '7'"),
        (("features", "FILE", "--ranking", "random"), "ranking: expected hamming, asymmetric"),
        (("features", "FILE", "--measures", "mapp"), "there is no 'mapp'"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(
    run: Run, features: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = run("benchmark", *(str(features) if part == "FILE" else part for part in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
