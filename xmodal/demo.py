"""The demo: the sample library, searched in every direction, told in lines and shown as a page."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from xmodal.errors import UsageError
from xmodal.gallery import Entry, Section, result_entry, write_gallery
from xmodal.ingest.captions import read_captions
from xmodal.library import Library
from xmodal.resources import resource_path
from xmodal.results import Annotation, IndexReport, SearchResult

Notify = Callable[[str], None]

ENCODER = "bundled"
PICTURES, TEXTS = 4, 6
WORDS_TO_PICTURES = "words → pictures"
PICTURE_TO_WORDS = "picture → words"
PICTURE_TO_PICTURES = "picture → pictures"


@dataclass(frozen=True, slots=True)
class Question:
    """A query in words; where it is not English: its language, BCP 47 tag, and what it means."""

    text: str
    language: str = ""
    lang: str = ""
    meaning: str = ""


# No word of a question is in the caption or the keywords of what it finds first; a test holds us
# to it. What is shown is what the search returns.
QUESTIONS = (
    Question("cooking dinner"),
    Question("太空", "Chinese", "zh", "outer space"),
    Question("public transport"),
    Question("音楽を演奏する", "Japanese", "ja", "playing music"),
    Question("my morning caffeine"),
    Question("un camion qui éteint les incendies", "French", "fr", "a truck that puts out fires"),
    Question("an artist's studio"),
)
# Pictures of assets/queries, which the library does not hold, and what they show.
TO_ANNOTATE = {
    "query-1.jpg": "A goldfish",
    "query-2.jpg": "A screwdriver",
    "query-3.jpg": "A mug of tea",
}
TO_COMPARE = {"query-4.jpg": "A tiger’s face", "query-5.jpg": "An electric guitar"}


def run_demo(output: str | Path, notify: Notify = print) -> Path:
    """Index the sample library, ask it everything, and write the page of the answers.

    The library and the page are ``library.db`` and ``index.html`` in the folder ``output``, which
    is made; the pictures stay where they are. ``notify`` receives what is found, line by line.
    Returns the path of the page. Raises UsageError when ``output`` cannot be made, EncoderError
    when the bundled weights are not installed.
    """
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: no such folder can be made ({error.strerror}); choose another"
        ) from error
    sample = resource_path("assets/sample")
    captions = sample / "captions.csv"
    said = {row.file: row.caption or "" for row in read_captions(captions).rows}
    with Library.open(folder / "library.db", offline=True, notify=notify) as library:
        notify("indexing the sample library; the first time takes some seconds")
        report = library.index([sample], captions=captions, encoder=ENCODER)
        known = report.indexed + report.unchanged + report.moved
        notify(f"{known} pictures: {_indexed(report)}")
        sections, seconds = [], []
        started = time.monotonic()
        for section in _answers(library, said):
            sections.append(section)
            seconds.append(time.monotonic() - started)
            _tell(section, notify)
            started = time.monotonic()
    answers = f"an answer took {1000 * median(seconds):.0f} ms"
    return write_gallery(
        folder / "index.html",
        sections,
        title="Pictures that answer words",
        lead=f"{known} pictures, {_indexed(report)}; {answers}. The sentences under the "
        "pictures were not searched, and the pictures asked with are not in the library.",
        foot="Numbers: score, higher is nearer, and the Hamming distance of the 128-bit codes. "
        "All pictures are in the public domain or CC0; assets/sample/SOURCES.csv and "
        "assets/queries/SOURCES.csv name their authors.",
    )


def _indexed(report: IndexReport) -> str:
    if report.indexed:
        return f"indexed in {report.seconds:.1f} s"
    return f"found unchanged in {report.seconds:.1f} s"


def _answers(library: Library, said: dict[str, str]) -> Iterator[Section]:
    """Ask one question after the other."""
    for question in QUESTIONS:
        found = library.search(question.text, k=PICTURES)
        yield Section(
            f"“{question.text}”", _subtitle(question), None, _pictures(found, said), question.lang
        )
    queries = resource_path("assets/queries")
    for name, title in TO_ANNOTATE.items():
        texts = library.annotate(queries / name, k=TEXTS)
        yield Section(title, PICTURE_TO_WORDS, queries / name, _texts(texts))
    for name, title in TO_COMPARE.items():
        found = library.search(image=queries / name, k=PICTURES)
        yield Section(title, PICTURE_TO_PICTURES, queries / name, _pictures(found, said))


def _subtitle(question: Question) -> str:
    if not question.language:
        return WORDS_TO_PICTURES
    return f"{WORDS_TO_PICTURES} · {question.language} for “{question.meaning}”"


def _texts(found: Sequence[Annotation]) -> list[Entry]:
    return [Entry(None, text.text, f"{text.source} · {text.score:.2f}") for text in found]


def _pictures(found: Sequence[SearchResult], said: dict[str, str]) -> list[Entry]:
    return [result_entry(result, said.get(result.path.name, "")) for result in found]


def _tell(section: Section, notify: Notify) -> None:
    notify("")
    notify(f"{section.subtitle}: {section.title}")
    for entry in section.entries[:3]:
        notify(f"  {entry.detail:<20} {entry.caption}")
