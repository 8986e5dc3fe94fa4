"""What Numba has no word for: codes read by address, and the instruction that counts ones.

Kernels take the planes of a chunk as a tuple of row addresses: one compiled version then serves
arrays that are read-only, strided or mapped, and the number of words is known when it is compiled.

Numba's cache knows a kernel by its own file: whoever changes this one removes ``__pycache__``.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_WORD = ir.IntType(64)
_BYTE = ir.IntType(8)


@intrinsic
def distance(typingctx: Any, rows: Any, query: Any, place: Any) -> Any:
    """Hamming distance, uint64, of the code at ``place`` and the query at the address ``query``.

    ``rows`` is a tuple of uint64: the address of each plane's first word.
    """
    if not (isinstance(rows, types.UniTuple) and rows.dtype == types.uint64):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total = ir.Constant(_WORD, 0)
        for word in range(signature.args[0].count):
            row = builder.extract_value(arguments[0], word)
            stored = _load(builder, row, arguments[2], _WORD)
            asked = _load(builder, arguments[1], ir.Constant(_WORD, word), _WORD)
            total = builder.add(total, builder.ctpop(builder.xor(stored, asked)))
        return total

    return types.uint64(rows, types.uint64, types.int64), generate


@intrinsic
def ones(typingctx: Any, word: Any) -> Any:
    """How many bits of a uint64 are 1, as uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def number_at(typingctx: Any, address: Any, place: Any) -> Any:
    """The int64 number ``place`` of an array at ``address``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], arguments[1], _WORD)

    return types.int64(types.uint64, types.int64), generate


@intrinsic
def bit_at(typingctx: Any, address: Any, place: Any) -> Any:
    """Whether bit ``place`` of a bitmap at ``address`` is set; bit 0 is the lowest of a byte."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        three, seven, one = (ir.Constant(_WORD, value) for value in (3, 7, 1))
        byte = _load(builder, arguments[0], builder.lshr(arguments[1], three), _BYTE)
        shifted = builder.lshr(builder.zext(byte, _WORD), builder.and_(arguments[1], seven))
        return builder.trunc(builder.and_(shifted, one), ir.IntType(1))

    return types.boolean(types.uint64, types.int64), generate


def _load(builder: Any, address: Any, place: Any, kind: Any) -> Any:
    loaded = builder.load(builder.gep(builder.inttoptr(address, kind.as_pointer()), [place]))
    loaded.align = kind.width // 8
    return loaded
