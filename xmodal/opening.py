"""An open library: the file, and what has been loaded for it so far."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy.orm import Session

from xmodal.encoders import Encoder, load_encoder
from xmodal.encoders.background import Background, load_background
from xmodal.encoders.base import Features
from xmodal.errors import LibraryError
from xmodal.query.indexes import Indexes
from xmodal.query.ranking import Searchable
from xmodal.spaces.code import ActiveCode, active_code
from xmodal.spaces.opened import OpenSpace
from xmodal.spaces.space import Space, space_for_search, unseen_pictures
from xmodal.store.database import Database

Notify = Callable[[str], None]


def default_library_path() -> Path:
    """Where the library lies when none is named: XMODAL_LIBRARY, else the user's data folder."""
    chosen = os.environ.get("XMODAL_LIBRARY")
    if chosen:
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("xmodal", appauthor=False) / "library.db"


class OpenLibrary:
    """Opening and closing; encoders, backgrounds and indexes are loaded once, when first needed."""

    def __init__(self, path: Path, *, offline: bool = False, notify: Notify | None = None) -> None:
        self.path = path
        self._offline = offline or os.environ.get("XMODAL_OFFLINE", "") not in ("", "0")
        self._notify = notify or (lambda message: None)
        self._database: Database | None = None
        self._encoders: dict[str, Encoder] = {}  # by the spec that loaded them
        self._backgrounds: dict[str, Background] = {}  # by the encoder's id
        self._unseen_said: set[int] = set()  # feature spaces
        self._indexes: Indexes | None = None

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        create: bool = True,
        *,
        offline: bool = False,
        notify: Notify | None = None,
    ) -> Self:
        """The library at ``path`` (default: :func:`default_library_path`).

        A missing file is made by the first :meth:`index`; with ``create=False`` it is an error.
        ``offline`` forbids every connection; ``notify`` receives one-line notes about slow or
        surprising steps. Raises LibraryError for a file that is no library, is damaged, or is
        from a newer xmodal.
        """
        library = cls(Path(path or default_library_path()), offline=offline, notify=notify)
        if library.path.exists() or not create:
            library._database = Database.open(library.path, create=False)
        return library

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the object can be used again and opens it anew."""
        if self._database is not None:
            self._database.close()
            self._database = None
        self._indexes = None

    def _existing_database(self) -> Database:
        if self._database is None:
            self._database = Database.open(self.path, create=False)
        return self._database

    def _existing_indexes(self) -> Indexes:
        if self._indexes is None:
            self._indexes = Indexes(self._existing_database(), self._notify)
        return self._indexes

    def _load_encoder(self, spec: str) -> Encoder:
        if spec not in self._encoders:
            encoder = load_encoder(spec, offline=self._offline, notify=self._notify)
            self._encoders[spec] = self._encoders[encoder.spec] = encoder
        return self._encoders[spec]

    def _encoder(self, space: Space) -> Encoder:
        return space.verified(self._load_encoder(space.spec))

    def _learning(
        self, database: Database, encoder: str | None
    ) -> tuple[int, Background, Callable[[Sequence[str]], Features], Notify]:
        """The space to learn in, what it looks like, what encodes its texts, and whom to tell."""
        with database.session() as session:
            space = space_for_search(session, encoder)
        loaded = self._encoder(space)
        return space.id, self._background(loaded), loaded.encode_texts, self._notify

    def _background(self, encoder: Encoder) -> Background:
        if encoder.id not in self._backgrounds:
            self._backgrounds[encoder.id] = load_background(encoder, self._notify)
        return self._backgrounds[encoder.id]

    def _code(self, session: Session, space: Space) -> ActiveCode:
        code = active_code(session, space.id)
        if code is None:
            raise LibraryError(f"{self.path}: nothing is indexed yet; run `xmodal index FOLDER`")
        return code

    def _say_unseen(self, session: Session, space: Space) -> None:
        """Once of an encoder that is asked for by name: what it does not find. A run without its
        name brings only the main one up to date."""
        if space.id in self._unseen_said:
            return
        self._unseen_said.add(space.id)
        if unseen := unseen_pictures(session, space):
            self._notify(
                f"indexed without {space.spec}: {unseen:,} of the pictures; "
                f"`xmodal index --encoder {space.spec}` adds them"
            )

    @contextmanager
    def _open_space(self, encoder: str | None) -> Iterator[OpenSpace]:
        """The feature space that a query is asked in, as the library is now."""
        with self._existing_database().session() as session:
            space = space_for_search(session, encoder)
            code = self._code(session, space)
            if encoder is not None:
                self._say_unseen(session, space)

            def index(modality: str) -> Searchable:
                return self._existing_indexes().get(session, code.hasher_id, modality)

            load = cache(lambda: self._encoder(space))
            background = cache(lambda: self._background(load()))
            yield OpenSpace(session, space.id, code, load, background, index, self._notify)
