"""Features to bits: hashers behind one contract. Arrays in, arrays out; see docs/hashing.md."""

from xmodal.hashing.base import Hasher, check_is_fitted
from xmodal.hashing.registry import HasherInfo, create_hasher, list_hashers
from xmodal.hashing.serial import load_hasher
from xmodal.hashing.streaming import LinearHasher, StreamingHasher

__all__ = [
    "Hasher",
    "HasherInfo",
    "LinearHasher",
    "StreamingHasher",
    "check_is_fitted",
    "create_hasher",
    "list_hashers",
    "load_hasher",
]
