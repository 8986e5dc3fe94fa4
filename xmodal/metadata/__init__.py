"""Meaning that people and cameras already wrote: EXIF, IPTC, XMP, and files beside a picture."""

from collections.abc import Sequence
from pathlib import Path

from xmodal.ingest.video import is_video, video_tags
from xmodal.metadata.embedded import read_embedded
from xmodal.metadata.facts import (
    Metadata,
    Told,
    attempt,
    merge,
)
from xmodal.metadata.sidecars import Neighbours, Sidecar, read_sidecars
from xmodal.metadata.video import read_video_tags

__all__ = [
    "READER",
    "Metadata",
    "Sidecar",
    "Told",
    "combine",
    "read_embedded",
    "read_metadata",
    "read_sidecars",
]

# Raised when this package learns to find more: then the metadata of all pictures is read again.
READER = 2


def read_metadata(path: str | Path) -> Metadata:
    """All that is written about a picture or a video, in it and beside it.

    Broken metadata becomes a note; OSError is raised only where the file cannot be opened.

    >>> read_metadata("IMG_1234.jpg").keywords                       # doctest: +SKIP
    (Told(text='beach', source='xmp'),)
    """
    path = Path(path)
    with path.open("rb") as stream:
        if is_video(path):
            embedded = attempt("metadata", lambda: read_video_tags(video_tags(path)))
        else:
            embedded = read_embedded(stream)
    sidecars = Neighbours.in_folder(path.parent).of(path.name)
    return combine(embedded, sidecars, read_sidecars(path.parent, sidecars))


def combine(embedded: Metadata, sidecars: Sequence[Sidecar], told: Sequence[Metadata]) -> Metadata:
    """One from what stands in the picture and what each of its ``sidecars`` says.

    XMP files are believed before the picture: a program wrote them later. Google's and text files
    after it: their times have no zone, and they were often made from the picture.
    """
    before = [m for s, m in zip(sidecars, told, strict=True) if s.name.lower().endswith(".xmp")]
    after = [m for s, m in zip(sidecars, told, strict=True) if not s.name.lower().endswith(".xmp")]
    return merge([*before, embedded, *after])
