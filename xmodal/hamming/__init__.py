"""Binary codes: packing, exact Hamming search, asymmetric scores. Arrays in, arrays out."""

from xmodal.hamming.packing import from_planes, pack_bits, to_planes, unpack_signs

__all__ = ["from_planes", "pack_bits", "to_planes", "unpack_signs"]
