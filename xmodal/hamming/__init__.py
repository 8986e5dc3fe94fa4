"""Binary codes: packing, exact Hamming search, asymmetric scores. Arrays in, arrays out."""

from xmodal.hamming.asymmetric import asymmetric_scores
from xmodal.hamming.engine import Chunk, Engine, Neighbours, Scored
from xmodal.hamming.index import HammingIndex, Hits
from xmodal.hamming.packing import from_planes, pack_bits, to_planes, unpack_signs

__all__ = [
    "Chunk",
    "Engine",
    "HammingIndex",
    "Hits",
    "Neighbours",
    "Scored",
    "asymmetric_scores",
    "from_planes",
    "pack_bits",
    "to_planes",
    "unpack_signs",
]
