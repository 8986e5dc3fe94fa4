"""Which hashers there are, by name; a new one is one file and one line here."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from xmodal.errors import HasherError
from xmodal.hashing.base import Hasher, parameter_names
from xmodal.hashing.checks import check_bits

# Imported when asked for: a search loads the one hasher its library uses.
_HASHERS = {
    "lsh": "xmodal.hashing.lsh:LSH",
    "pcah": "xmodal.hashing.pcah:PCAH",
    "itq": "xmodal.hashing.itq:ITQ",
    "isohash": "xmodal.hashing.isohash:IsoHash",
    "sh": "xmodal.hashing.sh:SpectralHashing",
    "agh": "xmodal.hashing.agh:AnchorGraphHashing",
    "pair-itq": "xmodal.hashing.pair_itq:PairITQ",
    "cca-itq": "xmodal.hashing.cca_itq:CCAITQ",
    "ssh": "xmodal.hashing.ssh:SSH",
    "splh": "xmodal.hashing.ssh:SPLH",
    "scm-orth": "xmodal.hashing.scm:ScmOrth",
    "scm-seq": "xmodal.hashing.scm:ScmSeq",
    "batch": "xmodal.hashing.batch:Batch",
    "dlfh": "xmodal.hashing.dlfh:DLFH",
    "lemon": "xmodal.hashing.lemon:Lemon",
    "triplet": "xmodal.hashing.triplet:Triplet",
    "mlp": "xmodal.hashing.mlp:MLP",
    "posterior-itq": "xmodal.hashing.posterior_itq:PosteriorITQ",
    "fused": "xmodal.hashing.fused:Fused",
    "quantised": "xmodal.hashing.quantised:Quantised",
}


@dataclass(frozen=True, slots=True)
class HasherInfo:
    """A hasher in one line.

    ``needs`` lists which of labels, pairs and shared space it needs; ``streams`` says whether
    ``partial_fit`` takes further rows at the cost of these alone.
    """

    name: str
    description: str
    needs: tuple[str, ...]
    streams: bool


def list_hashers() -> list[HasherInfo]:
    """All hashers.

    >>> [hasher.name for hasher in list_hashers() if "labels" not in hasher.needs]
    ['lsh', 'pcah', 'itq', 'isohash', 'sh', 'agh', 'pair-itq', 'cca-itq', 'quantised']
    """
    found = []
    for name in _HASHERS:
        cls = hasher_class(name)
        needs = {
            "labels": cls.needs_labels,
            "pairs": cls.needs_pairs,
            "shared space": cls.needs_shared_space,
        }
        needed = tuple(need for need, is_needed in needs.items() if is_needed)
        found.append(HasherInfo(name, cls.description, needed, cls.streams))
    return found


def create_hasher(name: str, bits: int = 128, **parameters: Any) -> Hasher:
    """A hasher that is not fitted yet.

    >>> create_hasher("itq", bits=64)
    ITQ(bits=64, seed=0)

    Raises HasherError for an unknown name or parameter, and for ``bits`` that is not a multiple
    of 8 from 8 to 1024.
    """
    cls = hasher_class(name)
    check_bits(bits)
    return make_hasher(cls, {"bits": bits, **parameters})


def hasher_class(name: str) -> type[Hasher]:
    """The class of that name; HasherError with the nearest name if there is none."""
    if name not in _HASHERS:
        near = difflib.get_close_matches(str(name).lower(), _HASHERS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise HasherError(f"unknown hasher {name!r}: {hint}there are {', '.join(_HASHERS)}")
    module, _, attribute = _HASHERS[name].partition(":")
    cls: type[Hasher] = getattr(import_module(module), attribute)
    return cls


def make_hasher(cls: type[Hasher], parameters: Mapping[str, Any]) -> Hasher:
    """An instance; HasherError names the valid parameters if one is unknown."""
    valid = parameter_names(cls)
    for name in parameters:
        if name not in valid:
            raise HasherError(
                f"{cls.name}: unknown parameter {name!r}; it takes {', '.join(valid)}"
            )
    return cls(**parameters)
