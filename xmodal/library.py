"""Library: the one door to a photo library; the CLI parses, calls it and prints."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xmodal.errors import UsageError
from xmodal.opening import OpenLibrary
from xmodal.query.answering import answer, answer_many, sure_answers
from xmodal.query.batch import parse_lines
from xmodal.query.catalog import describe, names_of
from xmodal.query.duplicates import find_duplicates
from xmodal.query.language import literally, parse
from xmodal.query.naming import SOURCES, check_sources, name
from xmodal.query.order import RELEVANCE, Order
from xmodal.query.ranking import Term
from xmodal.query.terms import Clause
from xmodal.results import (
    Annotation,
    DoctorReport,
    Duplicates,
    EvaluateReport,
    IndexReport,
    LibraryInfo,
    SearchResult,
    TrainReport,
    TuneReport,
)
from xmodal.spaces.opened import OpenSpace
from xmodal.spaces.space import space_for_search
from xmodal.stopwatch import OFF, Stopwatch
from xmodal.store.database import Database

if TYPE_CHECKING:
    from PIL import Image

    from xmodal.indexing import Root
    from xmodal.ingest.report import Progress, PurgeReport


class Library(OpenLibrary):
    """A photo library in one SQLite file.

    >>> library = Library.open("photos.db")                          # doctest: +SKIP
    >>> library.index([Path("Photos")])                              # doctest: +SKIP
    >>> library.search("a dog on the beach")[0].path                 # doctest: +SKIP
    """

    def index(
        self,
        paths: Sequence[str | Path] = (),
        captions: str | Path | None = None,
        encoder: str | None = None,
        add_encoder: bool = False,
        progress: "Callable[[Progress], None] | None" = None,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
    ) -> IndexReport:
        """Bring the library up to date with folders, or single pictures and videos; without any,
        with every folder it knows.

        Pictures of a known folder that is not there, or empty, are marked offline: searches find
        them, as not ``available``, and the next run after it is back has nothing to decode.

        ``captions`` is a CSV file with the columns ``file``, ``caption`` and ``keywords`` (``;``
        between keywords). ``encoder`` is needed once, by default ``auto``; another feature space
        than the library's is refused unless ``add_encoder`` asks for it.

        Patterns are those of ``.gitignore``, relative to each folder, for this run alone (see
        docs/indexing.md). Of files that ``include`` does not mean nothing changes; those that
        ``exclude`` leaves out leave the library as deleted ones do. ``hidden`` takes in names
        that begin with a dot. Pictures that are named themselves are read in any case.

        ``progress`` is called for each folder, with what is done and what is left in it, and then
        for each file. Raises UsageError for unknown paths that do not exist or hold no pictures and
        for patterns that are none, LibraryBusyError when another process writes, DiskFullError with
        what was kept, and IndexInterrupted on Ctrl-C, after what was encoded has been committed.
        """
        from xmodal.indexing import find_roots

        return self._index(
            encoder,
            find_roots(self._database, paths),
            captions=None if captions is None else Path(captions),
            add_encoder=add_encoder,
            include=include,
            exclude=exclude,
            hidden=hidden,
            progress=progress,
        )

    def watch(
        self,
        paths: Sequence[str | Path] = (),
        encoder: str | None = None,
        settle: float = 2.0,
        progress: "Callable[[Progress], None] | None" = None,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
    ) -> Iterator[IndexReport]:
        """Index folders (default: all that the library knows), then follow what changes in them.

        The first report is that of the whole run, each further one that of a batch of changes. A
        file is read when it has not changed for ``settle`` seconds. While another process writes,
        changes wait. This never ends by itself: leave the loop, or catch KeyboardInterrupt.

        Raises UsageError for a path that is not a folder and none of the library's.
        """
        from xmodal.indexing import find_roots
        from xmodal.watching import Follower

        roots = find_roots(self._database, paths)
        run = partial(
            self._index,
            encoder,
            include=include,
            exclude=exclude,
            hidden=hidden,
            follows=True,
            progress=progress,
        )
        yield from Follower(run, roots, self.path, self._notify, settle, hidden).reports()

    def purge(self, folders: Sequence[str | Path] = (), dry_run: bool = False) -> "PurgeReport":
        """Remove records of missing files, or of all in ``folders``; see ``ingest.purge.purge``."""
        from xmodal.ingest.purge import purge

        self._indexes = None
        return purge(self._existing_database(), folders, dry_run=dry_run, notify=self._notify)

    def search(
        self,
        query: str | None = None,
        image: "str | Path | Image.Image | None" = None,
        k: int = 10,
        encoder: str | None = None,
        use_features: bool = True,
        plain: bool = False,
        *,
        sort: str = RELEVANCE,
        reverse: bool = False,
        group: str | None = None,
        everything: bool = False,
        fold: bool = True,
        explain: bool = False,
        watch: Stopwatch = OFF,
    ) -> list[SearchResult]:
        """The ``k`` pictures that answer a query best, those that resemble ``image``, or both.

        ``query`` is in the language of docs/query.md: ``beach -people date:2023``; with ``plain``
        it is one sentence, whatever signs are in it. Without a meaning to look for, the newest
        pictures come first. ``use_features=False`` ranks by the codes alone, as in a library that
        keeps no features.

        A video counts as one picture: its best frame, of which the result says the time. Near
        duplicates count as one too, the best of them, unless ``fold`` is false.

        Each result says in ``chance`` how many matches as good are expected by chance, and in
        ``sure`` whether it is better. Where none is, nothing matches, and these are the nearest.

        ``sort`` is ``relevance``, ``date`` (the newest first), ``name`` or ``folder``, a ``-`` in
        front or ``reverse`` turns it round: what is sure is sorted and stands before the rest; with
        ``everything``, all that was ranked is. ``group`` puts results of one ``day`` or ``folder``
        side by side. ``explain`` adds to each how it came to its place.

        Raises QueryError, a UsageError, for a query that cannot be understood; UsageError for
        ``k < 1`` and for an order that there is not; MediaError for an unreadable picture.
        """
        order = Order.of(sort, reverse, group, everything)
        self._check_k(k)
        with watch.part("parse"):
            clauses = self._clauses(query, image, plain)
        with watch.part("open"), self._open_space(encoder) as space:
            with watch.part("encode"):
                also = self._also(space, image)
            with watch.part("paths"):
                return answer(
                    space, clauses, also, k, order,
                    use_features=use_features, fold=fold, explained=explain, watch=watch,
                )  # fmt: skip

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        encoder: str | None = None,
        use_features: bool = True,
        plain: bool = False,
        watch: Stopwatch = OFF,
    ) -> list[list[SearchResult]]:
        """What :meth:`search` answers to each of the queries.

        All texts are encoded together, and one scan serves all queries that are a single sentence.
        Raises what :meth:`search` raises, before anything is searched; the QueryError of a bad
        query says which of them it is, counted from 1 (``line 2: …``).
        """
        self._check_k(k)
        with watch.part("parse"):
            parsed = [query.clauses for query in parse_lines(enumerate(queries, start=1), plain)]
        with (
            watch.part("open"),
            self._open_space(encoder) as space,
            watch.part("paths"),
        ):
            return answer_many(space, parsed, k, use_features=use_features, watch=watch)

    def duplicates(
        self,
        query: str | None = None,
        image: "str | Path | Image.Image | None" = None,
        encoder: str | None = None,
        plain: bool = False,
    ) -> list[Duplicates]:
        """Groups of pictures of which one might do, in the library or among what a search finds.

        Exact copies, then near duplicates, then bursts; docs/query.md says what is near. Nothing is
        changed. ``query``, ``image`` and ``plain`` are those of :meth:`search`; its results are
        those that are sure.
        """
        clauses = None if query is None and image is None else self._clauses(query, image, plain)
        with self._open_space(encoder) as space:
            if clauses is None:
                return find_duplicates(space)
            among = sure_answers(space, clauses, self._also(space, image))
            return find_duplicates(space, among)

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
        check_sources(sources)
        with self._open_space(encoder) as space:
            return name(space, space.picture(image), k, sources, use_features)

    def image_size(self, encoder: str | None = None) -> int:
        """The side in pixels at which an encoder of the library sees pictures."""
        with self._existing_database().session() as session:
            return self._encoder(space_for_search(session, encoder)).image_size

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
        progress: "Callable[[Progress], None] | None" = None,
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

    def _index(self, encoder: str | None, roots: "Sequence[Root]", **options: Any) -> IndexReport:
        from xmodal.indexing import index_paths

        def open_database() -> Database:
            if self._database is None:
                self._load_encoder(encoder or "auto")  # an unknown name must leave no file behind
                self._database = Database.open(self.path, create=True)
            return self._database

        try:
            return index_paths(
                open_database, self._load_encoder, self._background,
                roots, encoder=encoder, **options,
            )  # fmt: skip
        finally:
            self._indexes = None

    def _clauses(
        self, query: str | None, image: "str | Path | Image.Image | None", plain: bool
    ) -> Sequence[Clause]:
        if query is not None:
            return (literally(query) if plain else parse(query)).clauses
        if image is None:
            raise UsageError("search needs a query, an image, or both")
        return (Clause(),)

    def _also(self, space: OpenSpace, image: "str | Path | Image.Image | None") -> Sequence[Term]:
        return () if image is None else (Term(space.picture(image), "image"),)

    @staticmethod
    def _check_k(k: int) -> None:
        if k < 1:
            raise UsageError(f"k must be at least 1, not {k}")
