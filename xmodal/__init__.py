"""xmodal: a photo library that answers words, with learned binary codes.

>>> from xmodal import create_hasher
>>> create_hasher("itq", bits=64).bits
64
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xmodal.errors import XmodalError
    from xmodal.hamming import HammingIndex, Hits
    from xmodal.hashing import create_hasher, list_hashers, load_hasher
    from xmodal.ingest.report import PurgeReport
    from xmodal.library import Library
    from xmodal.results import (
        Annotation,
        EvaluateReport,
        IndexReport,
        LibraryInfo,
        SearchResult,
        TrainReport,
        TuneReport,
    )

    __version__: str

# Loaded at first use: `xmodal --help` must not wait for SQLAlchemy.
_HOME = {
    "Annotation": "xmodal.results",
    "EvaluateReport": "xmodal.results",
    "HammingIndex": "xmodal.hamming",
    "Hits": "xmodal.hamming",
    "IndexReport": "xmodal.results",
    "Library": "xmodal.library",
    "LibraryInfo": "xmodal.results",
    "PurgeReport": "xmodal.ingest.report",
    "SearchResult": "xmodal.results",
    "TrainReport": "xmodal.results",
    "TuneReport": "xmodal.results",
    "XmodalError": "xmodal.errors",
    "create_hasher": "xmodal.hashing",
    "list_hashers": "xmodal.hashing",
    "load_hasher": "xmodal.hashing",
}

__all__ = [
    "Annotation",
    "EvaluateReport",
    "HammingIndex",
    "Hits",
    "IndexReport",
    "Library",
    "LibraryInfo",
    "PurgeReport",
    "SearchResult",
    "TrainReport",
    "TuneReport",
    "XmodalError",
    "__version__",
    "create_hasher",
    "list_hashers",
    "load_hasher",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOME:
        raise AttributeError(f"module 'xmodal' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__


def _version() -> str:
    # Reading the installed metadata takes longer than starting `xmodal --help`.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("xmodal")
    except PackageNotFoundError:  # a checkout that was never installed, run as `python cli.py`
        return "0.0.0+checkout"
