"""Which picture of the library a row of a captions file means."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.ingest.captions import CaptionRow, Captions
from xmodal.store.models import LIVE, File
from xmodal.store.volumes import volume_places


def match_rows(
    session: Session, captions: Captions, root: Path | None
) -> tuple[list[tuple[int, CaptionRow]], list[str]]:
    """Item id and row for each row that names a picture, and a sentence for each that does not.

    A name is tried relative to the folder of the captions file, then to ``root``, then as a
    base name that only one picture (or only copies of one) below ``root`` has.
    """
    folders = [os.path.realpath(captions.path.parent)]
    if root is not None:
        folders.append(os.path.realpath(root))
    wanted = {_name(row.file) for row in captions.rows}
    below = None if root is None else os.path.join(folders[1], "")
    by_path: dict[str, int] = {}
    by_name: dict[str, set[int]] = {}
    for path, item_id in _live_files(session):
        name = _name(path)
        if name in wanted:
            by_path[_key(path)] = item_id
            if below is None or path.startswith(below):
                by_name.setdefault(name, set()).add(item_id)

    matched: list[tuple[int, CaptionRow]] = []
    unmatched: list[str] = []
    for row in captions.rows:
        places = (_key(os.path.join(folder, _native(row.file))) for folder in folders)
        meant = [by_path[place] for place in places if place in by_path]
        named = by_name.get(_name(row.file), set())
        if not meant and len(named) == 1:
            meant = list(named)
        if meant:
            matched.append((meant[0], row))
        elif named:
            unmatched.append(
                f"line {row.line}: {row.file}: {len(named)} pictures have this name; "
                "write the folder too"
            )
        else:
            unmatched.append(f"line {row.line}: {row.file}: no such picture in the library")
    return matched, unmatched


def _live_files(session: Session) -> Iterator[tuple[str, int]]:
    places = volume_places(session)
    query = select(File.volume_id, File.relative_path, File.item_id).where(File.state.in_(LIVE))
    for volume_id, relative_path, item_id in session.execute(query):
        if item_id is not None:
            yield os.path.join(places[volume_id], relative_path), item_id


def _native(path: str) -> str:
    """A path as this system writes it; many a captions file was written on Windows."""
    return path.replace("\\", "/")


def _name(path: str) -> str:
    return unicodedata.normalize("NFC", _native(path).rpartition("/")[2])


def _key(path: str) -> str:
    # One name in two Unicode forms (macOS writes NFD) is one file.
    return unicodedata.normalize("NFC", os.path.normpath(path))
