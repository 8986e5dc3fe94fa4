"""Library: the one door to a photo library; the CLI parses, calls it and prints."""

import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from sqlalchemy.orm import Session

from xmodal.encoders import Encoder, load_encoder
from xmodal.encoders.background import Background, load_background
from xmodal.encoders.base import Features
from xmodal.errors import LibraryError, UsageError
from xmodal.hamming import HammingIndex
from xmodal.ingest.report import Progress
from xmodal.query.batch import AT_ONCE, ScannedTogether, parse_lines
from xmodal.query.catalog import TextSource, describe, names_of, texts_of
from xmodal.query.folding import nearest_pictures
from xmodal.query.indexes import Indexes
from xmodal.query.language import literally, parse
from xmodal.query.ranking import SHORTLIST, ReadFeatures, Term, rank
from xmodal.query.search import PictureSearch
from xmodal.query.terms import Clause, Meaning
from xmodal.results import (
    Annotation,
    DoctorReport,
    EvaluateReport,
    IndexReport,
    LibraryInfo,
    SearchResult,
    TrainReport,
    TuneReport,
)
from xmodal.spaces.calibration import calibration_of
from xmodal.spaces.code import ActiveCode, active_code
from xmodal.spaces.space import Space, space_for_search
from xmodal.stopwatch import OFF, Stopwatch
from xmodal.store.database import Database
from xmodal.store.features import read_features

if TYPE_CHECKING:
    from PIL import Image

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
        self._backgrounds: dict[str, Background] = {}  # by the encoder's id
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
        """Bring the library up to date with folders, or single pictures and videos.

        ``captions`` is a CSV file with the columns ``file``, ``caption`` and ``keywords`` (``;``
        between keywords). ``encoder`` is needed once, by default ``auto``; another feature space
        than the library's is refused unless ``add_encoder`` asks for it. Raises UsageError for
        paths that do not exist or hold no pictures, LibraryBusyError when another process writes,
        and IndexInterrupted on Ctrl-C, after what was encoded has been committed.
        """

        from xmodal.indexing import index_paths

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
        query: str | None = None,
        image: "str | Path | Image.Image | None" = None,
        k: int = 10,
        encoder: str | None = None,
        use_features: bool = True,
        plain: bool = False,
        watch: Stopwatch = OFF,
    ) -> list[SearchResult]:
        """The ``k`` pictures that answer a query best, those that resemble ``image``, or both.

        ``query`` is in the language of docs/query.md: ``beach -people date:2023``; with ``plain``
        it is one sentence, whatever signs are in it. Without a meaning to look for, the newest
        pictures come first. ``use_features=False`` ranks by the codes alone, as in a library that
        keeps no features.

        A video counts as one picture: its best frame, of which the result says the time.

        Each result says in ``chance`` how many matches as good are expected by chance, and in
        ``sure`` whether it is better. Where none is, nothing matches, and these are the nearest.

        Raises QueryError, a UsageError, for a query that cannot be understood; UsageError for
        ``k < 1``; MediaError for an unreadable picture.
        """
        if query is None and image is None:
            raise UsageError("search needs a query, an image, or both")
        self._check_k(k)
        clauses: Sequence[Clause] = (Clause(),)
        if query is not None:
            with watch.part("parse"):
                clauses = (literally(query) if plain else parse(query)).clauses
        with watch.part("open"), self._existing_database().session() as session:
            space = space_for_search(session, encoder)
            searching = self._searching(session, space, use_features, watch)
            also: tuple[Term, ...] = ()
            if image is not None:
                with watch.part("encode"):
                    also = (Term(self._image_feature(space, image), "image"),)
            with watch.part("paths"):
                return nearest_pictures(session, lambda n: searching.find(clauses, n, also), k)

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        encoder: str | None = None,
        use_features: bool = True,
        plain: bool = False,
        watch: Stopwatch = OFF,
    ) -> list[list[SearchResult]]:
        """What :meth:`search` answers to each of the queries, faster.

        All texts are encoded together, and one scan serves all queries that are a single sentence.
        Raises what :meth:`search` raises, before anything is searched; the QueryError of a bad
        query says which of them it is, counted from 1 (``line 2: …``).
        """
        self._check_k(k)
        with watch.part("parse"):
            parsed = [query.clauses for query in parse_lines(enumerate(queries, start=1), plain)]
        answers: list[list[SearchResult]] = []
        with watch.part("open"), self._existing_database().session() as session:
            space = space_for_search(session, encoder)
            for start in range(0, len(parsed), AT_ONCE):
                batch = parsed[start : start + AT_ONCE]
                searching = self._searching(session, space, use_features, watch)
                searching.prepare(batch, k, lambda texts: self._encoder(space).encode_texts(texts))
                with watch.part("paths"):
                    for clauses in batch:
                        find = partial(searching.find, clauses)
                        answers.append(nearest_pictures(session, find, k))
        return answers

    def annotate(
        self,
        image: "str | Path | Image.Image",
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
            code = self._code(session, space)
            index = self._existing_indexes().get(session, code.hasher_id, "text")
            read = self._reader(session, space)
            ranking = rank(
                feature, "image", index, "text", code.hasher, max(k, SHORTLIST),
                read if use_features else None,
            )  # fmt: skip
            texts = texts_of(session, ranking.ids, sources)
            found: list[tuple[str, TextSource, int, float]] = [
                (*texts[i], distance, score) for i, distance, score in ranking.rows() if i in texts
            ][:own]
            if "vocabulary" in sources:
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

    def names(self, kind: str, start: str = "", most: int = 50) -> list[str]:
        """The first keywords, or names of a ``person`` or a ``place``, that begin so; sorted."""
        with self._existing_database().session() as session:
            return names_of(session, kind, start, most)

    def info(self, check: bool = True) -> LibraryInfo:
        """What the library holds; ``check`` verifies the file and every checksum."""
        return describe(self._existing_database(), check)

    def doctor(
        self,
        repair: bool = False,
        files: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> DoctorReport:
        """What is wrong in the library, and with ``repair`` also mended; docs/doctor.md.

        A copy is made before the first repair; a sound library is not changed. ``files`` reads the
        picture files too. Raises LibraryBusyError when another process writes during a repair.
        """
        from xmodal.doctor.checkup import check_up

        try:
            return check_up(
                self._existing_database(), lambda space: self._background(self._encoder(space)),
                repair=repair, files=files, progress=progress,
            )  # fmt: skip
        finally:
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

    def _image_feature(self, space: Space, image: "str | Path | Image.Image") -> Features:
        encoder = self._encoder(space)
        if isinstance(image, str | Path):
            from xmodal.ingest.decode import decode_image
            from xmodal.ingest.video import is_video

            path = Path(image)
            if not path.is_file():
                raise UsageError(f"{path}: no such picture")
            if is_video(path):
                raise UsageError(f"{path}: is a video; a picture is needed, such as a still of it")
            image = decode_image(path, encoder.image_size)
        return encoder.encode_images([image.convert("RGB")])[0]

    def _code(self, session: Session, space: Space) -> ActiveCode:
        code = active_code(session, space.id)
        if code is None:
            raise LibraryError(f"{self.path}: nothing is indexed yet; run `xmodal index FOLDER`")
        return code

    def _searching(
        self, session: Session, space: Space, use_features: bool, watch: Stopwatch
    ) -> PictureSearch:
        code = self._code(session, space)

        def feature(meaning: Meaning) -> Features:
            if meaning.modality == "image":
                return self._image_feature(space, Path(meaning.source).expanduser())
            return self._encoder(space).encode_texts([meaning.source])[0]

        @cache
        def background() -> Background:
            return self._background(self._encoder(space))

        return PictureSearch(
            session,
            code.hasher,
            # Once a search: asked again, a large index would be loaded instead of streamed.
            index=cache(
                lambda: ScannedTogether(
                    self._existing_indexes().get(session, code.hasher_id, "image")
                )
            ),
            feature=feature,
            features=self._reader(session, space),
            rank_features=use_features,
            background=background,
            calibration=cache(lambda: calibration_of(session, space.id, background)),
            watch=watch,
        )

    def _reader(self, session: Session, space: Space) -> ReadFeatures:
        return lambda ids: read_features(session, space.id, ids)

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
