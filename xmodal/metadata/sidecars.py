"""Files beside a picture that say something about it: which they are, and what they say."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from xmodal.metadata.facts import Metadata, attempt
from xmodal.metadata.takeout import read_takeout, sidecar_names
from xmodal.metadata.texts import captions, decode
from xmodal.metadata.xmp import MAX_BYTES, read_xmp
from xmodal.sources import SIDECAR

SUFFIXES = (".xmp", ".json", ".txt")
_TEXT_BYTES = 65_536
# ``de.utf8=…``: the translations in a text file of Tux Paint's stamps.
_TRANSLATION = re.compile(r"[a-z]{2,3}([_@][A-Za-z]+)*(\.utf8)?=.*")


class Sidecar(NamedTuple):
    """A file beside a picture: its name, and what tells whether it changed."""

    name: str
    size: int
    mtime_ns: int


class Neighbours:
    """The files of one folder that may be sidecars, by name; letters of either case are alike."""

    def __init__(self, entries: Iterable["os.DirEntry[str]"]) -> None:
        self._entries: dict[str, os.DirEntry[str]] = {}
        for entry in entries:
            name = entry.name.lower()
            if name.endswith(SUFFIXES):
                self._entries[name] = entry
        self._suffixes = {name[name.rindex(".") :] for name in self._entries}

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """Those of a folder; none where it cannot be read."""
        try:
            with os.scandir(folder) as scan:
                return cls(scan)
        except OSError:
            return cls(())

    def of(self, picture: str) -> tuple[Sidecar, ...]:
        """The sidecars of a picture of this folder, the most believed first."""
        if not self._entries:
            return ()
        found = []
        for suffix, candidates in _candidates(picture.lower()):
            if suffix not in self._suffixes:
                continue
            name = next((name for name in candidates if name in self._entries), None)
            if name is None:
                continue
            entry = self._entries[name]
            try:
                status = entry.stat()
                if entry.is_file():
                    found.append(Sidecar(entry.name, status.st_size, status.st_mtime_ns))
            except OSError:
                continue  # gone since the folder was read
        return tuple(found)


def read_sidecars(folder: Path, sidecars: Sequence[Sidecar]) -> list[Metadata]:
    """What each of them says; one that cannot be read says why."""
    return [
        attempt(sidecar.name, lambda name=sidecar.name: _read(folder / name))  # type: ignore[misc]
        for sidecar in sidecars
    ]


def _candidates(picture: str) -> Iterator[tuple[str, Iterable[str]]]:
    """Possible names of each kind of sidecar, the likeliest first."""
    stem = picture.rpartition(".")[0]
    yield ".xmp", (f"{picture}.xmp", f"{stem}.xmp")
    yield ".json", sidecar_names(picture)
    yield ".txt", (f"{picture}.txt", f"{stem}.txt")


def _read(path: Path) -> Metadata:
    suffix = path.suffix.lower()
    most = _TEXT_BYTES if suffix == ".txt" else MAX_BYTES + 1
    with path.open("rb") as stream:
        data = stream.read(most)
    if suffix == ".txt":
        return _read_text(data)
    return read_xmp(data, SIDECAR) if suffix == ".xmp" else read_takeout(data)


def _read_text(data: bytes) -> Metadata:
    """The first line is the caption."""
    lines = (line.strip() for line in decode(data).splitlines())
    first = next((line for line in lines if line and not _TRANSLATION.fullmatch(line)), "")
    return Metadata(captions=captions([first], SIDECAR))
