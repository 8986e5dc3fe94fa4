"""Which items answer a query, and how well: relevance from labels."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import UsageError

Grading = Literal["shared", "cosine"]


def graded_relevance(
    query_labels: ArrayLike, item_labels: ArrayLike, grading: Grading = "shared"
) -> NDArray[np.float32]:
    """Gains ``(q, n)`` of items for queries; an item is relevant where its gain is above 0.

    Parameters
    ----------
    query_labels, item_labels: bool or 0/1 ``(q, c)`` and ``(n, c)``.
    grading: ``shared``, the number of labels that both have; ``cosine``, that of their label
        vectors, which counts what they do not share against them.

    >>> graded_relevance([[1, 1, 0]], [[1, 0, 0], [1, 1, 1], [0, 0, 1]])
    array([[1., 2., 0.]], dtype=float32)
    >>> graded_relevance([[1, 1, 0]], [[1, 1, 0], [0, 0, 1]], "cosine")
    array([[1., 0.]], dtype=float32)
    """
    queries, items = _labels(query_labels, "query_labels"), _labels(item_labels, "item_labels")
    if queries.shape[1] != items.shape[1]:
        raise UsageError(
            f"item_labels: expected {queries.shape[1]} columns, as query_labels has, "
            f"found {items.shape[1]}"
        )
    shared = queries @ items.T
    if grading == "shared":
        return shared
    if grading != "cosine":
        raise UsageError(f"grading: expected shared or cosine, found {grading!r}")
    lengths = np.sqrt(queries.sum(axis=1)[:, None] * items.sum(axis=1))
    return np.divide(shared, lengths, out=np.zeros_like(shared), where=lengths > 0)


def _labels(values: ArrayLike, name: str) -> NDArray[np.float32]:
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 2:
        raise UsageError(f"{name}: expected shape (rows, classes), found shape {array.shape}")
    return (array > 0).astype(np.float32)
