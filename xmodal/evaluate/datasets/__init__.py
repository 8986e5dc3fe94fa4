"""Readers of the standard sets, in the files that published code uses."""

from xmodal.evaluate.datasets.dataset import Dataset
from xmodal.evaluate.datasets.registry import NAMES, read_dataset

__all__ = ["NAMES", "Dataset", "read_dataset"]
