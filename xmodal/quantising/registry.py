"""Which quantisers there are, by name."""

import difflib
from dataclasses import dataclass
from typing import Any

from xmodal.errors import HasherError
from xmodal.hashing.checks import check_bits
from xmodal.quantising.base import Quantiser
from xmodal.quantising.rotated import RotationQuantiser
from xmodal.quantising.thresholds import DoubleBitQuantiser, ManhattanQuantiser, SignQuantiser
from xmodal.quantising.variable import VariableBitQuantiser

_QUANTISERS: dict[str, type[Quantiser]] = {
    cls.name: cls
    for cls in (
        SignQuantiser,
        DoubleBitQuantiser,
        ManhattanQuantiser,
        VariableBitQuantiser,
        RotationQuantiser,
    )
}


@dataclass(frozen=True, slots=True)
class QuantiserInfo:
    """A quantiser in one line."""

    name: str
    description: str


def list_quantisers() -> list[QuantiserInfo]:
    """All quantisers.

    >>> [quantiser.name for quantiser in list_quantisers()]
    ['sign', 'double-bit', 'manhattan', 'variable-bit', 'rotation']
    """
    return [QuantiserInfo(name, cls.description) for name, cls in _QUANTISERS.items()]


def create_quantiser(name: str, bits: int = 128, **parameters: Any) -> Quantiser:
    """A quantiser that is not fitted yet.

    >>> create_quantiser("manhattan", bits=64, regions=8)
    ManhattanQuantiser(bits=64, seed=0, regions=8)

    Raises HasherError for an unknown name or parameter, and for ``bits`` that is not a multiple
    of 8 from 8 to 1024.
    """
    if name not in _QUANTISERS:
        near = difflib.get_close_matches(str(name).lower(), _QUANTISERS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise HasherError(f"unknown quantiser {name!r}: {hint}there are {', '.join(_QUANTISERS)}")
    cls = _QUANTISERS[name]
    check_bits(bits)
    valid = cls(bits).get_params()
    for parameter in parameters:
        if parameter not in valid:
            raise HasherError(
                f"{name}: unknown parameter {parameter!r}; it takes {', '.join(valid)}"
            )
    return cls(bits, **parameters)
