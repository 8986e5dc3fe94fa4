"""What the methods of Library return: plain dataclasses, in the field's words."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xmodal.ingest.report import Failure


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One picture found.

    ``distance`` is the Hamming distance of the codes in bits; ``score`` is what the ranking
    orders by (higher is nearer), on the scale of a centred cosine, -1 to 1.
    """

    rank: int
    path: Path
    distance: int
    score: float


@dataclass(frozen=True, slots=True)
class Annotation:
    """One text near a picture, and where that text comes from."""

    rank: int
    text: str
    source: Literal["caption", "keyword", "vocabulary"]
    distance: int
    score: float


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index run did; the six counts of files are the fields of ``index --json``.

    ``moved`` counts files recognised by their content, without decoding: renamed, moved, copied.
    """

    indexed: int
    unchanged: int
    moved: int
    removed: int
    failed: int
    seconds: float
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Quality:
    """Label mAP of a code on held-out pictures, 0 to 1, ± the half-width of its 95 % interval."""

    text_to_image: float
    image_to_text: float
    half_width: float


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What ``train`` learned, how it compares on unseen pictures, and whether it is used."""

    hasher: str
    bits: int
    pictures: int
    keywords: list[str]
    before: Quality
    after: Quality
    replaced: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """What a library holds; ``problems`` is empty when every checksum is right."""

    path: Path
    bytes: int
    volumes: list[Path]
    pictures: int
    files: dict[str, int]
    captions: int
    keywords: int
    encoders: list[str]
    hasher: str | None
    bits: int | None
    trained_on: dict[str, object]
    quality: dict[str, object]
    code_bytes: int
    problems: list[str]
