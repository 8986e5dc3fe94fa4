"""Words for many pictures, and the captions file that takes them into a library."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from xmodal.errors import MediaError, UsageError
from xmodal.ingest.decoders import DecoderStopped, decoders
from xmodal.ingest.report import Failure
from xmodal.ingest.video import is_video
from xmodal.ingest.walk import walk
from xmodal.library import SOURCES, Library
from xmodal.results import Annotation
from xmodal.store.chunks import chunks
from xmodal.writing import write_whole

# What a captions file calls keywords. The captions near a picture are those of other pictures.
KEYWORD_SOURCES = ("keyword", "vocabulary")
# Pictures that are decoded ahead, and the processes that do it.
_AHEAD, _AT_ONCE = 16, 2


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What was found near one picture."""

    path: Path
    annotations: list[Annotation]


def pictures_of(paths: Sequence[str | Path]) -> list[Path]:
    """The pictures among ``paths`` and below those that are folders, absolute, each once.

    Videos below folders are left out. Raises UsageError for what does not exist, and where there is
    no picture at all.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            root = Path(os.path.realpath(path))
            files = (root / each.relative_path for each in walk(root))
            found |= dict.fromkeys(file for file in files if not is_video(file))
        elif path.exists():
            # The last part stays as it is written: it may be a link that a library knows.
            found[Path(os.path.realpath(path.parent)) / path.name] = None
        else:
            raise UsageError(f"{path}: no such picture or folder")
    if not found:
        raise UsageError(f"no pictures in {', '.join(map(str, paths))}")
    return list(found)


def suggest(
    library: Library,
    pictures: Sequence[Path],
    k: int = 10,
    sources: Sequence[str] = SOURCES,
    encoder: str | None = None,
) -> Iterator[Suggestion | Failure]:
    """:meth:`Library.annotate` of each picture in turn, or why it could not be read.

    Pictures are decoded in processes of their own: one that crashes its decoder costs itself.
    """
    side = library.image_size(encoder)

    def decode(path: Path) -> Image.Image | Failure:
        if is_video(path):
            return Failure(path, "is a video; a picture is needed, such as a still of it")
        try:
            return decoders.decode(path, side).image
        except (MediaError, DecoderStopped, OSError) as error:
            return Failure(path, str(error))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for some in chunks(pictures, _AHEAD):
            for path, image in zip(some, pool.map(decode, some), strict=True):
                if isinstance(image, Failure):
                    yield image
                else:
                    yield Suggestion(path, library.annotate(image, k, sources, encoder))


def keywords_file(file: str | Path, replace: bool = False) -> Path:
    """The absolute path of a captions file that may be written.

    Raises UsageError where something is there already and ``replace`` is not wanted.
    """
    path = Path(os.path.realpath(file))
    if os.path.lexists(file) and not replace:
        raise UsageError(f"{file}: exists already; choose another name, or replace it with --force")
    return path


def write_keywords(file: Path, suggestions: Iterable[Suggestion]) -> list[Failure]:
    """Write the texts of each picture as its keywords, as ``index --captions`` reads them.

    Pictures below the folder of ``file`` are named by their place in it, others in full. Returns
    those that a captions file cannot name. Raises UsageError where ``file`` cannot be written.
    """
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("file", "keywords"))
    left_out = []
    for suggestion in suggestions:
        # A semicolon would divide the word in two.
        words = [found.text for found in suggestion.annotations if ";" not in found.text]
        name = _name(suggestion.path, file.parent)
        if not _can_be_read_back(name):
            reason = "a captions file cannot hold this name; give the file another"
            left_out.append(Failure(suggestion.path, reason))
        elif words:
            rows.writerow((name, ";".join(words)))
    write_whole(file, table.getvalue().encode("utf-8"))
    return left_out


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _can_be_read_back(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    return name == name.strip() and "\0" not in name and (os.sep == "\\" or "\\" not in name)
