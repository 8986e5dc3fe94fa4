"""Which pictures lie below a folder, without opening any of them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from xmodal.ingest.decode import picture_suffixes
from xmodal.metadata.sidecars import Neighbours, Sidecar

OnError = Callable[[str, OSError], None]


class FoundFile(NamedTuple):
    """A picture file and the files beside it that say something about it.

    ``relative_path`` is POSIX, also on Windows, and keeps undecodable bytes.
    """

    relative_path: str
    size: int
    mtime_ns: int
    sidecars: tuple[Sidecar, ...] = ()


def walk(root: Path, on_error: OnError | None = None) -> Iterator[FoundFile]:
    """The picture files below ``root``, in an order that depends on the names alone.

    Hidden files and folders (``.name``) are left out. Every folder is entered once, so neither
    a loop of symbolic links nor a second way into a folder repeats anything; real folders come
    before linked ones, so a link never hides the place where the pictures really are. What
    cannot be read (a folder, a broken link) goes to ``on_error`` as relative path and error,
    and the walk goes on.
    """
    suffixes = picture_suffixes()
    entered: set[tuple[int, int]] = set()
    folders = [""]
    linked: list[str] = []
    while folders or linked:
        folder = folders.pop() if folders else linked.pop(0)
        try:
            status = os.stat(root / folder)
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(root / folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            _report(on_error, folder, error)
            continue
        neighbours = Neighbours(entries)
        inner: list[str] = []
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            relative = f"{folder}/{name}" if folder else name
            try:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(relative)
                elif entry.is_symlink() and entry.is_dir():
                    linked.append(relative)
                elif "." in name and name.rpartition(".")[2].lower() in suffixes:
                    status = entry.stat()
                    if entry.is_file():
                        yield FoundFile(
                            relative, status.st_size, status.st_mtime_ns, neighbours.of(name)
                        )
            except OSError as error:
                _report(on_error, relative, error)
        folders.extend(reversed(inner))


def _report(on_error: OnError | None, relative: str, error: OSError) -> None:
    if on_error is not None:
        on_error(relative, error)
