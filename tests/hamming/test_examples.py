"""The examples in the docstrings run."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["packing", "index", "asymmetric"])
def test_examples_print_what_they_say(module: str) -> None:
    result = doctest.testmod(import_module(f"xmodal.hamming.{module}"))
    assert result.attempted
    assert not result.failed
