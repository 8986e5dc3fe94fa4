"""Asymmetric scores: the query keeps its real values, the codes stay bits.

Gordo, Perronnin, Gong and Lazebnik, "Asymmetric distances for binary embeddings", PAMI 2014: most
of what binarisation costs is lost on the query's side, where keeping the values is free.
"""

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import CodesError
from xmodal.hamming.packing import check_codes, unpack_signs

# Signs of the eight bits of every byte value, float32 (8, 256).
_BYTE_SIGNS = unpack_signs(np.arange(256, dtype=np.uint8)[:, None]).T.astype(np.float32)

# Codes at a time: their bytes as indices stay in cache while all queries look them up.
_BLOCK = 4096


def byte_tables(query: NDArray[np.float32], code_bytes: int | None = None) -> NDArray[np.float32]:
    """What each value of each byte of a code adds to its score, float32 ``(q, bytes, 256)``.

    Raises CodesError for queries that are not float ``(bits,)`` or ``(q, bits)``, of ``code_bytes``
    where given, or not finite.
    """
    query = np.asarray(query)
    if query.dtype.kind != "f":
        raise CodesError(f"expected a query of dtype float32, found {query.dtype}")
    bits = "bits" if code_bytes is None else str(8 * code_bytes)
    right = query.ndim in (1, 2) and query.shape[-1] % 8 == 0
    if not right or code_bytes not in (None, query.shape[-1] // 8):
        raise CodesError(f"expected a query of shape ({bits},) or (q, {bits}), found {query.shape}")
    queries = np.atleast_2d(query).astype(np.float32, copy=False)
    if not np.isfinite(queries).all():
        raise CodesError("expected finite values in a query, found NaN or infinity")
    return queries.reshape(len(queries), -1, 8) @ _BYTE_SIGNS


def asymmetric_scores(query: NDArray[np.float32], codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Inner products of real queries with codes read as signs: ``sum_j query_j * b_j``.

    Each byte of a code looks its part of the sum up in a table of 256 entries that is made once a
    query; codes are never unpacked.

    Parameters
    ----------
    query: float32 ``(bits,)``, or ``(q, bits)`` for a batch: projections or weights, higher is 1.
    codes: uint8 ``(n, bits // 8)``.

    Returns
    -------
    float32 ``(n,)``, or ``(q, n)`` for a batch; higher is nearer.

    Raises
    ------
    CodesError: naming the shape or dtype that was expected and the one that was found.

    >>> asymmetric_scores(
    ...     np.array([3, 1, 1, 1, 1, 1, 1, 1], dtype=np.float32),
    ...     np.array([[0b11111111], [0b01111111]], dtype=np.uint8),
    ... )
    array([10.,  4.], dtype=float32)
    """
    query = np.asarray(query)
    tables = byte_tables(query)
    codes = check_codes(codes, tables.shape[1])
    scores = np.zeros((len(tables), len(codes)), dtype=np.float32)
    for start in range(0, len(codes), _BLOCK):
        # Widened once for all queries: NumPy would widen byte indices at every look-up.
        columns = codes[start : start + _BLOCK].T.astype(np.intp, order="C")
        for row, table in zip(scores, tables, strict=True):
            part = row[start : start + _BLOCK]
            for column, entries in zip(columns, table, strict=True):
                part += entries[column]
    return scores[0] if query.ndim == 1 else scores
