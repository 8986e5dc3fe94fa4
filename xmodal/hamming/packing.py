"""Bits to bytes to word planes, and back: the three layouts in which a code exists.

* signs or reals, ``(n, bits)``: what a hasher computes;
* bytes, ``uint8 (n, bits // 8)``: what is handed around, in the order of :func:`numpy.packbits`;
* planes, ``uint64 (words, n)``: what is stored and scanned, all first words, then all second ones.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xmodal.errors import CodesError

MIN_BITS, MAX_BITS = 8, 1024
WORD_BYTES = 8
LINE_WORDS = 8  # words of a cache line, and of the widest vector register

_WORD = np.dtype("<u8")  # little-endian on every machine: planes are written to files


def check_bits(bits: int) -> int:
    """Return ``bits`` if codes of that length exist; raise :class:`CodesError` otherwise."""
    if bits % 8 or not MIN_BITS <= bits <= MAX_BITS:
        raise CodesError(
            f"bits must be a multiple of 8 from {MIN_BITS} to {MAX_BITS}, not {bits!r}"
        )
    return bits


def word_count(code_bytes: int) -> int:
    """How many 64-bit words (planes) hold a code of ``code_bytes`` bytes."""
    return -(-code_bytes // WORD_BYTES)


def pack_bits(values: ArrayLike) -> NDArray[np.uint8]:
    """Pack values into codes, one bit a value: 1 where the value is greater than zero.

    Parameters
    ----------
    values: float, int or bool ``(n, bits)``; ``bits`` a multiple of 8. A NaN gives 0.

    Returns
    -------
    ``uint8 (n, bits // 8)``, most significant bit first.

    >>> pack_bits([[0.5, -1, 2, 0, 0, 0, 0, 3]])
    array([[161]], dtype=uint8)
    """
    array = np.asarray(values)
    if array.ndim != 2:
        raise CodesError(f"expected values of shape (n, bits), found shape {array.shape}")
    check_bits(array.shape[1])
    return np.packbits(array > 0, axis=1)


def unpack_signs(codes: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Expand codes ``uint8 (n, bytes)`` into signs ``int8 (n, 8 * bytes)``: +1 for 1, -1 for 0.

    >>> unpack_signs(np.array([[161]], dtype=np.uint8))
    array([[ 1, -1,  1, -1, -1, -1, -1,  1]], dtype=int8)
    """
    bits = np.unpackbits(check_codes(codes), axis=1).view(np.int8)
    bits *= 2
    bits -= 1
    return bits


def check_codes(codes: object, code_bytes: int | None = None) -> NDArray[np.uint8]:
    """Return ``codes`` if they are ``uint8 (n, code_bytes)``, contiguous or not.

    Raises
    ------
    CodesError: naming the dtype or shape that was expected and the one that was found. Nothing
        is cast: float values passed for codes are a mistake that a cast would hide.
    """
    if not isinstance(codes, np.ndarray):
        raise CodesError(f"expected codes as a NumPy array, found {type(codes).__name__}")
    if codes.dtype != np.uint8:
        raise CodesError(
            f"expected codes of dtype uint8, found {codes.dtype}; pack_bits() makes codes of values"
        )
    width = "bytes" if code_bytes is None else str(code_bytes)
    if codes.ndim != 2 or (code_bytes is not None and codes.shape[1] != code_bytes):
        of_bits = "" if code_bytes is None else f" ({code_bytes * 8} bits)"
        raise CodesError(f"expected codes of shape (n, {width}){of_bits}, found {codes.shape}")
    return codes


def to_planes(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Transpose codes into word planes.

    Parameters
    ----------
    codes: ``uint8 (n, bytes)``.

    Returns
    -------
    ``uint64 (words, n)``, ``words = ceil(bytes / 8)``. Word ``w`` of code ``i`` is the eight bytes
    ``codes[i, 8 * w : 8 * w + 8]`` read little-endian; bytes past the end of the code are zero.

    >>> to_planes(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.uint8))
    array([[  1, 256]], dtype=uint64)
    """
    codes = check_codes(codes)
    n, code_bytes = codes.shape
    padded = np.zeros((n, word_count(code_bytes) * WORD_BYTES), dtype=np.uint8)
    padded[:, :code_bytes] = codes
    planes = empty_planes(word_count(code_bytes), n)
    planes[...] = padded.view(_WORD).T
    return planes


def empty_planes(words: int, n: int) -> NDArray[np.uint64]:
    """Planes ``(words, n)`` to be written; aligned to cache lines, they are scanned faster."""
    row = -(-n // LINE_WORDS) * LINE_WORDS
    memory = np.empty(words * row + LINE_WORDS, dtype=np.uint64)
    start = -memory.ctypes.data // WORD_BYTES % LINE_WORDS
    return memory[start : start + words * row].reshape(words, row)[:, :n]


def from_planes(planes: NDArray[np.uint64], code_bytes: int) -> NDArray[np.uint8]:
    """Turn planes ``uint64 (words, n)`` back into codes ``uint8 (n, code_bytes)``.

    >>> from_planes(np.array([[1, 256]], dtype=np.uint64), 3)
    array([[1, 0, 0],
           [0, 1, 0]], dtype=uint8)
    """
    planes = check_planes(planes, word_count(code_bytes))
    rows = np.ascontiguousarray(planes.T, dtype=_WORD)
    return np.ascontiguousarray(rows.view(np.uint8)[:, :code_bytes])


def check_planes(planes: object, words: int) -> NDArray[np.uint64]:
    """Return ``planes`` if they are ``uint64 (words, n)``; raise :class:`CodesError` otherwise."""
    if not isinstance(planes, np.ndarray) or planes.dtype != np.uint64:
        found = planes.dtype if isinstance(planes, np.ndarray) else type(planes).__name__
        raise CodesError(f"expected planes of dtype uint64, found {found}")
    if planes.ndim != 2 or planes.shape[0] != words:
        raise CodesError(f"expected planes of shape ({words}, n), found {planes.shape}")
    return planes
