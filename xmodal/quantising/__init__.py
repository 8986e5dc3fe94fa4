"""Real projections to bits: quantisers behind one contract; see docs/hashing.md, "Quantisers"."""

from xmodal.quantising.base import Quantiser
from xmodal.quantising.registry import QuantiserInfo, create_quantiser, list_quantisers

__all__ = ["Quantiser", "QuantiserInfo", "create_quantiser", "list_quantisers"]
