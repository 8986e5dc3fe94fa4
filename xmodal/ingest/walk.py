"""Which pictures lie below a folder, without opening any of them."""

import os
import stat
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from xmodal.ingest.decode import picture_suffixes
from xmodal.ingest.patterns import IGNORE_FILE, Selection, skipped_folder
from xmodal.metadata.sidecars import SUFFIXES as SIDECAR_SUFFIXES
from xmodal.metadata.sidecars import Neighbours, Sidecar

_NAME = attrgetter("name")
_BESIDE = frozenset(suffix.removeprefix(".") for suffix in SIDECAR_SUFFIXES)

OnError = Callable[[str, OSError], None]


class FoundFile(NamedTuple):
    """A picture file and the files beside it that say something about it.

    ``relative_path`` is POSIX, also on Windows, and keeps undecodable bytes.
    """

    relative_path: str
    size: int
    mtime_ns: int
    sidecars: tuple[Sidecar, ...] = ()


def walk(
    root: Path,
    on_error: OnError | None = None,
    selection: Selection | None = None,
    start: str = "",
    drives: list[str] | None = None,
) -> Iterator[FoundFile]:
    """The picture files below ``root``, in an order that depends on the names alone; with
    ``start`` only those below this folder in it. All paths are relative to ``root``.

    What ``selection`` leaves out is not looked at; without one these are hidden names, the
    folders of systems, and what ignore files say. Every folder is entered once, so neither a loop
    of symbolic links nor a second way into a folder repeats anything; real folders come before
    linked ones, so a link never hides the place where the pictures really are. What cannot be
    read (a folder, a broken link) goes to ``on_error`` as relative path and error, and the walk
    goes on. To ``drives`` are added the folders, with a / at the end, at which another drive
    begins than that of the folder around them.
    """
    selection = selection or Selection(root)
    suffixes = picture_suffixes()
    entered: set[tuple[int, int]] = set()
    # Each with the drive that it is reached from, None for the first.
    folders: list[tuple[str, int | None]] = [(start, None)]
    linked: list[tuple[str, int | None]] = []
    if start:
        try:
            selection.approach(root, start)
        except OSError as error:
            _report(on_error, start, error)
            return
        if selection.leaves_out(start + "/"):
            return
    while folders or linked:
        folder, outside = folders.pop() if folders else linked.pop(0)
        prefix = f"{folder}/" if folder else ""
        try:
            with _opened(root / folder) as place:
                status = os.stat(place)
                if (status.st_dev, status.st_ino) in entered:
                    continue
                entered.add((status.st_dev, status.st_ino))
                if drives is not None and outside not in (None, status.st_dev):
                    drives.append(prefix)
                with os.scandir(place) as scan:
                    listing = _sorted_out(sorted(scan, key=_NAME), suffixes, selection)
                if listing.has_rules:
                    selection.enter(root, folder)
                yield from _pictures(prefix, listing, on_error, selection)
                inner, more = _folders(prefix, listing.others, on_error, selection)
        except OSError as error:
            _report(on_error, folder, error)
            continue
        linked += [(each, status.st_dev) for each in more]
        folders += [(each, status.st_dev) for each in sorted(inner, reverse=True)]


@contextmanager
def _opened(folder: Path) -> Iterator[int | Path]:
    """The folder as what can be scanned: where the system can, opened, so that it looks up the
    names in it and not, for each of them, the whole path."""
    if os.scandir not in os.supports_fd:
        yield folder
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        yield place
    finally:
        os.close(place)


def _pictures(
    prefix: str, listing: "_Listing", on_error: OnError | None, selection: Selection
) -> Iterator[FoundFile]:
    # Most of what a second run does is this loop, once for each file.
    narrowed = selection.narrowed
    neighbours = Neighbours(listing.beside) if listing.beside else None
    pictures = listing.pictures[::-1]
    listing.pictures.clear()
    while pictures:
        entry = pictures.pop()  # it keeps its status: of all in a folder that would be too much
        name = entry.name
        relative = prefix + name
        if narrowed and not selection.takes(relative):
            listing.others.append(entry)  # it may be a folder that is named as a picture is
            continue
        try:
            status = entry.stat()
        except OSError as error:
            _report(on_error, relative, error)
            continue
        if stat.S_ISREG(status.st_mode):
            sidecars = neighbours.of(name) if neighbours else ()
            yield FoundFile(relative, status.st_size, status.st_mtime_ns, sidecars)
        elif stat.S_ISDIR(status.st_mode):
            listing.others.append(entry)


def _folders(
    prefix: str,
    entries: list["os.DirEntry[str]"],
    on_error: OnError | None,
    selection: Selection,
) -> tuple[list[str], list[str]]:
    """Those among the entries that are to be entered: real folders, and links to folders."""
    real: list[str] = []
    linked: list[str] = []
    for entry in entries:
        relative = prefix + entry.name
        try:
            if entry.is_dir() and selection.takes_folder(relative):
                (linked if entry.is_symlink() else real).append(relative)
        except OSError as error:
            _report(on_error, relative, error)
    return real, linked


class _Listing(NamedTuple):
    """The entries of one folder: with a picture's suffix, a sidecar's, and what may be folders."""

    pictures: list["os.DirEntry[str]"]
    beside: list["os.DirEntry[str]"]
    others: list["os.DirEntry[str]"]
    has_rules: bool


def _sorted_out(
    entries: list["os.DirEntry[str]"], suffixes: Container[str], selection: Selection
) -> _Listing:
    pictures, beside, others = [], [], []
    has_rules = False
    for entry in entries:
        name = entry.name
        if name[0] == ".":
            if name == IGNORE_FILE:
                has_rules = True
            if selection.skips_name(name):
                continue
        dot = name.rfind(".")
        suffix = name[dot + 1 :].lower() if dot > 0 else ""
        if suffix in suffixes:
            pictures.append(entry)
        elif suffix in _BESIDE and not entry.is_dir():
            beside.append(entry)
        elif not skipped_folder(name):
            others.append(entry)
    return _Listing(pictures, beside, others, has_rules)


def _report(on_error: OnError | None, relative: str, error: OSError) -> None:
    if on_error is not None:
        on_error(relative, error)
