"""Library: the one door to a photo library; the CLI parses, calls it and prints."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy.orm import Session

from xmodal.encoders import Encoder, load_encoder
from xmodal.encoders.background import Background, load_background
from xmodal.encoders.base import Features
from xmodal.errors import LibraryError, UsageError
from xmodal.hamming import HammingIndex
from xmodal.indexing import index_paths
from xmodal.ingest.decode import decode_image
from xmodal.ingest.report import Progress
from xmodal.query import rank
from xmodal.query.catalog import TextSource, describe, paths_of, texts_of
from xmodal.query.indexes import Indexes
from xmodal.query.ranking import SHORTLIST, Ranking
from xmodal.results import (
    Annotation,
    EvaluateReport,
    IndexReport,
    LibraryInfo,
    SearchResult,
    TrainReport,
    TuneReport,
)
from xmodal.spaces.code import ActiveCode, active_code
from xmodal.spaces.space import Space, space_for_search
from xmodal.store.database import Database
from xmodal.store.features import read_features

Notify = Callable[[str], None]
SOURCES = ("caption", "keyword", "vocabulary")


def default_library_path() -> Path:
    """Where the library lies when none is named: XMODAL_LIBRARY, else the user's data folder."""
    chosen = os.environ.get("XMODAL_LIBRARY")
    if chosen:
        return Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("xmodal", appauthor=False) / "library.db"


class Library:
    """A photo library in one SQLite file.

    >>> library = Library.open("photos.db")                          # doctest: +SKIP
    >>> library.index([Path("Photos")])                              # doctest: +SKIP
    >>> library.search("a dog on the beach")[0].path                 # doctest: +SKIP
    """

    def __init__(self, path: Path, *, offline: bool = False, notify: Notify | None = None) -> None:
        self.path = path
        self._offline = offline or os.environ.get("XMODAL_OFFLINE", "") not in ("", "0")
        self._notify = notify or (lambda message: None)
        self._database: Database | None = None
        self._encoders: dict[str, Encoder] = {}  # by the spec that loaded them
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

    def index(
        self,
        paths: Sequence[str | Path],
        captions: str | Path | None = None,
        encoder: str | None = None,
        add_encoder: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> IndexReport:
        """Bring the library up to date with folders or single pictures.

        ``captions`` is a CSV file with the columns ``file``, ``caption`` and ``keywords`` (``;``
        between keywords). ``encoder`` is needed once, by default ``auto``; another feature space
        than the library's is refused unless ``add_encoder`` asks for it. ``progress`` is called
        for each folder, with what is done and what is left in it, and then for each file. Raises
        UsageError for paths that do not exist or hold no pictures, LibraryBusyError when another
        process writes, DiskFullError with what was kept, and IndexInterrupted on Ctrl-C, after what
        was encoded has been committed.
        """

        def open_database() -> Database:
            if self._database is None:
                self._load_encoder(encoder or "auto")  # an unknown name must leave no file behind
                self._database = Database.open(self.path, create=True)
            return self._database

        try:
            return index_paths(
                open_database,
                self._load_encoder,
                self._background,
                paths,
                captions=None if captions is None else Path(captions),
                encoder=encoder,
                add_encoder=add_encoder,
                progress=progress,
            )
        finally:
            self._indexes = None

    def search(
        self,
        text: str | None = None,
        image: str | Path | Image.Image | None = None,
        k: int = 10,
        encoder: str | None = None,
        use_features: bool = True,
    ) -> list[SearchResult]:
        """The ``k`` pictures nearest to a text or to a picture, best first.

        ``use_features=False`` ranks by the codes alone, as in a library that keeps no features.

        Raises UsageError for an empty query or ``k < 1``, MediaError for an unreadable picture.
        """
        if (text is None) == (image is None):
            raise UsageError("search needs either a text or an image, and not both")
        self._check_k(k)
        if text is not None and not text.strip():
            raise UsageError('the query is empty; write what to look for, such as "a red car"')
        with self._existing_database().session() as session:
            space = space_for_search(session, encoder)
            if image is not None:
                feature = self._image_feature(space, image)
                ranking = self._rank(session, space, feature, "image", "image", k, use_features)
            else:
                feature = self._encoder(space).encode_texts([str(text)])[0]
                ranking = self._rank(session, space, feature, "text", "image", k, use_features)
            places = paths_of(session, ranking.ids)
        found = [(places[i], d, score) for i, d, score in ranking.rows() if i in places]
        return [SearchResult(place, *row) for place, row in enumerate(found, start=1)]

    def annotate(
        self,
        image: str | Path | Image.Image,
        k: int = 10,
        sources: Sequence[str] = SOURCES,
        encoder: str | None = None,
        use_features: bool = True,
    ) -> list[Annotation]:
        """Texts near a picture: the library's captions and keywords, then the vocabulary's words.

        At most ``k`` rows in all; where the vocabulary is among ``sources`` a third of them, at
        least one, is its own. Words that the library already answered are not repeated.
        """
        self._check_k(k)
        unknown = [source for source in sources if source not in SOURCES]
        if unknown or not sources:
            raise UsageError(f"no source {unknown}; choose from {', '.join(SOURCES)}")
        with self._existing_database().session() as session:
            space = space_for_search(session, encoder)
            feature = self._image_feature(space, image)
            own = k - max(1, k // 3) if "vocabulary" in sources and k > 1 else k
            ranking = self._rank(
                session, space, feature, "image", "text", max(k, SHORTLIST), use_features
            )
            texts = texts_of(session, ranking.ids, sources)
            found: list[tuple[str, TextSource, int, float]] = [
                (*texts[i], distance, score) for i, distance, score in ranking.rows() if i in texts
            ][:own]
            if "vocabulary" in sources:
                code = self._code(session, space)
                known = {text.casefold() for text, *_ in found}
                words = self._nearest_words(space, code, feature, k + len(known))
                found += [row for row in words if row[0].casefold() not in known]
        return [
            Annotation(place, text, source, distance, score)
            for place, (text, source, distance, score) in enumerate(found[:k], start=1)
        ]

    def train(
        self,
        bits: int | None = None,
        labels: str | Path = "keywords",
        seed: int = 0,
        encoder: str | None = None,
        dry_run: bool = False,
    ) -> TrainReport:
        """Learn a better code and use it if it answers better; see ``xmodal.spaces.training``.

        ``labels`` is ``keywords``, ``folders``, or a CSV file with the columns ``file`` and
        ``labels``; ``bits`` is by default the length in use. ``dry_run`` only reports.

        Raises UsageError with what was found and what is needed when labels are too few, and
        CaptionsError with the place in the file that is wrong.
        """
        from xmodal.spaces.training import train

        database = self._existing_database()
        with database.writer():
            try:
                return train(
                    database, *self._learning(database, encoder),
                    labels=str(labels), bits=bits, seed=seed, dry_run=dry_run,
                )  # fmt: skip
            finally:
                self._indexes = None

    def tune(
        self,
        keep: float = 0.98,
        labels: str | Path = "keywords",
        seed: int = 0,
        encoder: str | None = None,
    ) -> TuneReport:
        """How many bits this library needs: the shortest code that keeps the share ``keep`` of the
        best quality, and what further bytes would buy. Changes nothing.

        Raises UsageError when there is nothing to judge by, neither labels nor captions.
        """
        from xmodal.spaces.tuning import tune

        database = self._existing_database()
        return tune(
            database, *self._learning(database, encoder), labels=str(labels), keep=keep, seed=seed
        )

    def evaluate(self, k: int = 10, encoder: str | None = None) -> EvaluateReport:
        """What searches are worth now, by the library's own keywords and captions.

        See ``xmodal.spaces.judging``. Raises UsageError when there are neither.
        """
        from xmodal.spaces.judging import evaluate

        self._check_k(k)
        with self._existing_database().session() as session:
            space = space_for_search(session, encoder)
            return evaluate(session, space.id, self._code(session, space), k)

    def info(self, check: bool = True) -> LibraryInfo:
        """What the library holds; ``check`` verifies the file and every checksum."""
        return describe(self._existing_database(), check)

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
        return load_background(encoder, self._notify)

    def _image_feature(self, space: Space, image: str | Path | Image.Image) -> Features:
        encoder = self._encoder(space)
        if not isinstance(image, Image.Image):
            path = Path(image)
            if not path.is_file():
                raise UsageError(f"{path}: no such picture")
            image = decode_image(path, encoder.image_size)
        return encoder.encode_images([image.convert("RGB")])[0]

    def _code(self, session: Session, space: Space) -> ActiveCode:
        code = active_code(session, space.id)
        if code is None:
            raise LibraryError(f"{self.path}: nothing is indexed yet; run `xmodal index FOLDER`")
        return code

    def _rank(
        self,
        session: Session,
        space: Space,
        feature: Features,
        modality: str,
        target: str,
        k: int,
        use_features: bool,
    ) -> Ranking:
        code = self._code(session, space)
        index = self._existing_indexes().get(session, code.hasher_id, target)

        def read(ids: NDArray[np.int64]) -> Features:
            return read_features(session, space.id, ids)

        return rank(
            feature, modality, index, target, code.hasher, k, read if use_features else None
        )

    def _nearest_words(
        self, space: Space, code: ActiveCode, feature: Features, k: int
    ) -> list[tuple[str, TextSource, int, float]]:
        background = self._background(self._encoder(space))
        index = HammingIndex(code.hasher.bits)
        index.add(np.arange(len(background.words)), code.encode_texts(background.word_features))
        ranking = rank(
            feature, "image", index, "text", code.hasher, k,
            lambda ids: background.word_features[ids],
        )  # fmt: skip
        return [
            (background.words[i], "vocabulary", distance, score)
            for i, distance, score in ranking.rows()
        ]

    @staticmethod
    def _check_k(k: int) -> None:
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}")
