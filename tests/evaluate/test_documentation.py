"""docs/evaluation.md names what there is, and its example runs."""

import re
from pathlib import Path

import numpy as np
import pytest

from xmodal.evaluate.datasets import NAMES
from xmodal.evaluate.datasets.registry import FILES
from xmodal.evaluate.named import MEASURES

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*MEASURES, *NAMES])
def test_every_measure_and_data_set_is_named(name):
    assert re.search(rf"`{name}(@\w+)?`", PAGE)


@pytest.mark.parametrize("name", FILES)
def test_every_single_file_is_named(name):
    for files in FILES[name]:
        if len(files) == 1:
            assert f"`{files[0].replace('21', '10')}`" in PAGE


def test_the_example_runs(capsys):
    rng = np.random.default_rng(0)
    labels = np.eye(3)[rng.integers(3, size=200)]
    images = labels @ rng.normal(size=(3, 8)) + rng.normal(size=(200, 8))
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(example, {"images": images, "texts": images + 1, "labels": labels})
    assert "ndcg@50" in capsys.readouterr().out
