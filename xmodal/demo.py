"""The demo: the sample library, searched in every direction, told in lines and shown as a page."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xmodal.errors import UsageError
from xmodal.gallery import Entry, Section, write_gallery
from xmodal.ingest.captions import read_captions
from xmodal.library import Library
from xmodal.resources import resource_path
from xmodal.results import Annotation, IndexReport, SearchResult

Notify = Callable[[str], None]

ENCODER = "bundled"
PICTURES, TEXTS = 5, 6
WORDS_TO_PICTURES = "words → pictures"
PICTURE_TO_WORDS = "picture → words"
PICTURE_TO_PICTURES = "picture → pictures"


@dataclass(frozen=True, slots=True)
class Question:
    """A query in words; ``language`` and ``lang`` (BCP 47) where it is not English."""

    text: str
    language: str = ""
    lang: str = ""


# No word of a question is in the captions or keywords of the picture that it is meant to find;
# a test holds us to it. What is shown is what the search returns.
QUESTIONS = (
    Question("something to drink in the morning"),
    Question("ein Haustier, das schnurrt", "German", "de"),
)
# Pictures of assets/queries, which the library does not hold.
TO_ANNOTATE = ("query-1.jpg", "query-2.jpg", "query-3.jpg")
TO_COMPARE = ("query-4.jpg", "query-5.jpg")


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
    sample, queries = resource_path("assets/sample"), resource_path("assets/queries")
    captions = sample / "captions.csv"
    said = {row.file: row.caption or "" for row in read_captions(captions).rows}
    with Library.open(folder / "library.db", offline=True, notify=notify) as library:
        report = library.index([sample], captions=captions, encoder=ENCODER)
        known = report.indexed + report.unchanged + report.moved
        notify(f"{known} pictures: {_indexed(report)}")
        started = time.monotonic()
        sections = []
        for question in QUESTIONS:
            found = library.search(text=question.text, k=PICTURES)
            sections.append(_words_to_pictures(question, found, said))
        for name in TO_ANNOTATE:
            texts = library.annotate(queries / name, k=TEXTS)
            sections.append(_picture_to_words(queries / name, texts))
        for name in TO_COMPARE:
            found = library.search(image=queries / name, k=PICTURES)
            sections.append(_picture_to_pictures(queries / name, found, said))
        each = (time.monotonic() - started) / len(sections)
    for section in sections:
        _tell(section, notify)
    return write_gallery(
        folder / "index.html",
        sections,
        title="Pictures that answer words",
        lead=f"{known} pictures, {_indexed(report)}; each of the {len(sections)} answers took "
        f"{1000 * each:.0f} ms. What stands under a picture was not used to find it, and the "
        "pictures asked with are not in the library.",
        foot="Numbers: score, higher is nearer, and the Hamming distance of the 128-bit codes. "
        "All pictures are in the public domain or CC0; assets/sample/SOURCES.csv names each.",
    )


def _indexed(report: IndexReport) -> str:
    if report.indexed:
        return f"indexed in {report.seconds:.1f} s"
    return f"found unchanged in {report.seconds:.1f} s"


def _words_to_pictures(
    question: Question, found: Sequence[SearchResult], said: dict[str, str]
) -> Section:
    subtitle = " · ".join(filter(None, (WORDS_TO_PICTURES, question.language)))
    return Section(f"“{question.text}”", subtitle, None, _pictures(found, said), question.lang)


def _picture_to_words(picture: Path, texts: Sequence[Annotation]) -> Section:
    entries = [Entry(None, text.text, f"{text.source} · {text.score:.2f}") for text in texts]
    return Section("", PICTURE_TO_WORDS, picture, entries)


def _picture_to_pictures(
    picture: Path, found: Sequence[SearchResult], said: dict[str, str]
) -> Section:
    return Section("", PICTURE_TO_PICTURES, picture, _pictures(found, said))


def _pictures(found: Sequence[SearchResult], said: dict[str, str]) -> list[Entry]:
    return [
        Entry(
            result.path,
            said.get(result.path.name, result.path.name),
            f"{result.score:.2f} · {result.distance} bits",
        )
        for result in found
    ]


def _tell(section: Section, notify: Notify) -> None:
    asked = section.title or (section.query_image.name if section.query_image else "")
    notify("")
    notify(f"{section.subtitle}: {asked}")
    for entry in section.entries[:3]:
        notify(f"  {entry.detail:<20} {entry.caption}")
