"""What the methods of Library return: plain dataclasses, in the field's words."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from xmodal.ingest.report import Failure, IndexCounts, first_notes


@dataclass(frozen=True, slots=True)
class TermChance:
    """A part of a query: how many pictures would show it as well as this one by chance."""

    text: str
    weight: float
    chance: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a result came to its place.

    ``semantic_bits`` and ``instance_bits`` are the Hamming distances of the halves of the code; the
    first is None where a code has no halves, and the second then that of the whole code.
    ``hamming_rank``, ``asymmetric_rank`` and ``feature_rank`` are its places after each stage,
    from 1, among the ``shortlist`` nearest codes; the last is None where features are not ranked
    by. ``words`` are its keywords and captions that have the words asked for. ``terms`` are the
    parts of the query that it answers, and ``alternatives`` how many ways to answer the query has:
    its chance is the geometric mean of the terms' chances, by their weights, times that number.
    """

    semantic_bits: int | None
    instance_bits: int
    hamming_rank: int
    asymmetric_rank: int
    feature_rank: int | None
    shortlist: int
    words: list[str]
    terms: list[TermChance]
    alternatives: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One picture found, or one video with its best frame.

    ``distance`` is the Hamming distance of the codes in bits; ``score`` is what the ranking
    orders by (higher is nearer), on the scale of a centred cosine, -1 to 1. ``chance`` is how many
    pictures would match as well by chance, among those that were searched, None where the library
    keeps no feature of the picture. All three are None where the query asks for facts alone, and
    nothing was compared. ``sure`` is whether chance does not
    explain the match, and true where nothing was compared.
    ``seconds`` is when the frame is shown, from the beginning of the video; None for a picture.
    ``available`` is false where the drive was away when it was last indexed.
    ``taken`` is the wall clock of the place where it was taken, aware where its zone is known;
    ``caption`` is one of its captions, ``keywords`` are all of its keywords, people and places.
    ``copies`` are further files of the same content. ``similar`` is how many near duplicates were
    folded into this result. ``group`` is the day or the folder that results were grouped by, and
    ``explanation`` how the result came to its place; None where they were not asked for.
    """

    rank: int
    path: Path
    distance: int | None
    score: float | None
    chance: float | None = None
    sure: bool = True
    seconds: float | None = None
    available: bool = True
    taken: datetime | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()
    copies: list[Path] = field(default_factory=list)
    similar: int = 0
    group: str | None = None
    explanation: Explanation | None = None

    @property
    def measured(self) -> str:
        """Score and distance in words, empty where nothing was compared."""
        if self.score is None:
            return ""
        return f"{self.score:.2f} · {self.distance} bits"

    @property
    def expected(self) -> str:
        """How many matches as good chance would give, in words; empty where that is not known."""
        if self.chance is None:
            return ""
        if self.chance < 0.001:
            return "<0.001"
        return f"{self.chance:.2g}" if self.chance < 10 else f"{self.chance:.0f}"


def clock(seconds: float) -> str:
    """A time in a video as players show it.

    >>> clock(12.6), clock(3723)
    ('0:12', '1:02:03')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Pictures of which one might do.

    ``kind`` is ``exact`` (files of the same bytes), ``near`` (one picture in several versions) or
    ``burst`` (shots within seconds of one another that look alike). ``paths`` begins with the one
    of most pixels. ``distance`` is how far the farthest code is from the first one's, in bits; of a
    code of two halves, in the half that tells single pictures apart.
    """

    kind: Literal["exact", "near", "burst"]
    paths: list[Path]
    distance: int


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
    """What an index run did; the counts and the seconds are the fields of ``index --json``.

    ``moved`` counts files recognised by their content, without decoding: renamed, moved, copied.
    ``words`` counts captions and keywords that pictures got from metadata in and beside them.
    ``left`` counts files that an interrupted run had found and not yet read.
    """

    indexed: int
    unchanged: int
    moved: int
    removed: int
    failed: int
    words: int
    seconds: float
    left: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, counts: IndexCounts, seconds: float) -> Self:
        """What a run has counted so far."""
        return cls(
            indexed=counts.indexed,
            unchanged=counts.unchanged,
            moved=counts.moved,
            removed=counts.removed,
            failed=counts.failed,
            words=counts.words,
            seconds=round(seconds, 3),
            left=counts.left,
            failures=list(counts.failures),
            notes=counts.notes + first_notes(counts.unclear, "notes about metadata"),
        )


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a ranking answers, from 0 to 1; None where nothing can tell.

    ``text_to_image`` and ``image_to_text`` are label mAP: how high what shares a label is ranked.
    ``caption_to_image`` and ``image_to_caption`` are the share of captions that find their own
    picture, and of pictures that find a caption of their own, among the first ten (or ``k``).
    ``half_width`` and ``caption_half_width`` are the larger half-widths of the 95 % intervals.
    """

    text_to_image: float | None
    image_to_text: float | None
    half_width: float | None
    caption_to_image: float | None
    image_to_caption: float | None
    caption_half_width: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference, query by query, both directions averaged, ± half its 95 % interval."""

    mean: float
    half_width: float


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What ``train`` learned, how it compares on pictures that nothing was learned from.

    ``before`` is the code in use until now, ``previous`` in words, and ``after`` the one learned
    now; both were learned anew from the same half of the pictures and asked about the other.
    ``by_label`` and ``by_caption`` are what the second has before the first, None where nothing can
    tell. ``replaced`` says whether a new code is in use, ``reason`` why. ``pictures`` have labels,
    ``unlabelled`` have none; ``asked`` of both were held out for the comparison.
    """

    hasher: str
    bits: int
    previous: str
    labels: str
    pictures: int
    unlabelled: int
    asked: int
    keywords: list[str]
    before: Quality
    after: Quality
    by_label: Difference | None
    by_caption: Difference | None
    replaced: bool
    reason: str
    recipe: dict[str, object]
    seconds: float
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LengthQuality:
    """What codes of one length reach; both directions averaged, None where nothing can tell."""

    bits: int
    label_map: float | None
    half_width: float | None
    own_recall: float | None
    own_half_width: float | None


@dataclass(frozen=True, slots=True)
class LengthStep:
    """What ``bytes`` more a picture buy: paired differences, None where nothing can tell."""

    shorter: int
    longer: int
    bytes: float
    label_map: Difference | None
    own_recall: Difference | None


@dataclass(frozen=True, slots=True)
class TuneReport:
    """How many bits a library needs. ``bits`` is the length in use, ``recommended`` the shortest
    that keeps the share ``keep`` of the best quality; ``sure`` says whether it does so beyond
    chance. ``command`` applies it, None where that length is in use.
    """

    bits: int
    recommended: int
    keep: float
    sure: bool
    pictures: int
    curve: list[LengthQuality]
    steps: list[LengthStep]
    command: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class EvaluateReport:
    """What searches in a library are worth now.

    ``features``, ``code`` and ``both`` are three rankings: float features alone, the code alone,
    and the code with the features after it, which is what a search does. ``trained`` is what was
    measured on held-out pictures when the code was trained, empty if it was not.
    """

    hasher: str
    bits: int
    pictures: int
    keywords: int
    captions: int
    k: int
    features: Quality
    code: Quality
    both: Quality
    trained: dict[str, object]
    seconds: float


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """What a library holds; ``problems`` is empty when every checksum is right.

    ``frames`` are what is searched of the ``videos``, which are not among the ``pictures``.
    ``people`` and ``places`` are among the ``keywords``; ``dated``, ``located`` and ``rated`` count
    the pictures and videos whose capture time, position and rating are known.
    """

    path: Path
    bytes: int
    volumes: list[Path]
    pictures: int
    videos: int
    frames: int
    files: dict[str, int]
    captions: int
    keywords: int
    people: int
    places: int
    dated: int
    located: int
    rated: int
    encoders: list[str]
    hasher: str | None
    bits: int | None
    trained_on: dict[str, object]
    quality: dict[str, object]
    code_bytes: int
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of damage in a library: how many rows or files have it, and what mends it.

    ``remedy`` is what a repair does or did, or what to do where none is possible. ``state`` is
    ``found`` (a repair can mend it), ``repaired``, or ``remains`` (no repair can).
    """

    kind: str
    count: int
    message: str
    remedy: str
    state: Literal["found", "repaired", "remains"]


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What is wrong in a library, and what was done about it.

    ``notes`` are facts that harm nothing. ``backup`` is the library as it was before the first
    repair, None where nothing was changed; ``recovered`` is a new library with all that could be
    read of one whose file itself is damaged.
    """

    path: Path
    findings: list[Finding]
    notes: list[str]
    backup: Path | None
    recovered: Path | None
    seconds: float

    @property
    def healthy(self) -> bool:
        """Whether nothing is left to be mended."""
        return all(finding.state == "repaired" for finding in self.findings)
