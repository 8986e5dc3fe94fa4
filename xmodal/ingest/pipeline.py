"""The index run: walk, compare, read, encode and commit, so that a second run has nothing to do."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from xmodal.encoders.base import Encoder
from xmodal.ingest.coding import Coder, CodeSpace
from xmodal.ingest.decode import decoder_versions
from xmodal.ingest.patterns import Selection
from xmodal.ingest.reading import Reader, Reading
from xmodal.ingest.report import Failure, IndexCounts, Progress
from xmodal.ingest.saving import EncodedPicture, FileChange, forget_files, save_batch, set_state
from xmodal.ingest.scope import KnownFile, Scope, keep_drives, open_scope
from xmodal.ingest.survey import compare, find_pictures, removed, vanished
from xmodal.ingest.video import WITHOUT_PYAV, is_video, pyav_version
from xmodal.ingest.walk import FoundFile
from xmodal.store.database import Database
from xmodal.store.models import LIVE, Feature, Frame, Item

OnProgress = Callable[[Progress], None]

BATCH = 32  # pictures an encoder takes at once
AHEAD = 2 * BATCH  # pictures decoded or being decoded while a batch is encoded
# A commit costs some milliseconds; what a crash loses is at most this much work.
COMMIT_PICTURES = 64
COMMIT_CHANGES = 512
COMMIT_SECONDS = 5.0


def index_volume(
    database: Database,
    root: Path,
    encoder: Encoder,
    encoder_id: int,
    coder: Coder,
    *,
    only: Iterable[Path] | None = None,
    selection: Selection | None = None,
    progress: OnProgress | None = None,
    counts: IndexCounts | None = None,
) -> IndexCounts:
    """Bring the library up to date with the folder ``root``, or with what ``only`` names below it:
    files and folders, also such that are no longer there.

    Files whose size and time are unchanged cost one ``stat``; content that is known costs a
    hash; the rest is decoded in processes while the encoder works, and committed in small batches.
    Files that vanished are marked missing and their pictures lose their codes, but never all
    of a folder's: a drive that is not mounted must not empty the library, its files are marked
    offline and still found. Files that ``selection`` leaves out are marked missing too, those that
    it does not mean stay as they are; without one, of ``only`` all is read. The caller holds
    ``database.writer()``. ``counts`` grows with each commit; after an interrupt or an error
    what was encoded is committed first, then it is raised again.

    Raises NothingThereError when ``root`` does not exist or holds no pictures, UsageError when
    patterns leave none of them.
    """
    counts = IndexCounts() if counts is None else counts
    named = None if only is None else list(only)
    unread: list[str] = []
    drives: list[str] = []
    found = find_pictures(root, named, selection, counts, unread, drives)
    if named is None:
        # Before anything is written: this raises when there is none.
        found = chain((next(found),), found)
    selection = selection or Selection(root)
    with database.transaction() as session:
        scope = open_scope(session, Path(os.path.realpath(root)), counts.notes)
    names = None
    if named is not None:
        names = [scope.prefix + path.relative_to(root).as_posix() for path in named]
    with database.session() as session:
        compared = compare(session, scope, encoder_id, found, selection, counts, names)
    if named is None and (drives or scope.drives):
        with database.transaction() as session:
            keep_drives(session, scope, drives)
    total, pending, same, back, _, known, lost = compared
    unreached = {(scope.prefix + path).rstrip("/") for path in unread}

    run = _Run(database, scope, encoder, CodeSpace(encoder_id, coder), counts, known, lost)
    counts.left += len(pending)
    run.watch(progress, total, total - len(pending))
    if back:
        with database.transaction() as session:
            set_state(session, back, "present")
    if pending:
        run.read(pending, same)
    if named is None:
        deleted, away = vanished(scope, compared, unreached, selection, counts)
    else:
        deleted, away = removed(scope, root, lost.values(), unreached)
    if deleted or away:
        with database.transaction() as session:
            forget_files(session, run.space, [record.id for record in deleted])
            set_state(session, [r.id for r in away if r.state == "present"], "offline")
        counts.removed += sum(record.state in LIVE for record in deleted)
    return counts


@dataclass(slots=True)
class _Unsaved:
    """What was encoded or recognised since the last commit, and how it will be counted."""

    changes: list[FileChange] = field(default_factory=list)
    pictures: list[EncodedPicture] = field(default_factory=list)
    counts: IndexCounts = field(default_factory=IndexCounts)
    since: float = field(default_factory=time.monotonic)

    def due(self) -> bool:
        return (
            len(self.pictures) >= COMMIT_PICTURES
            or len(self.changes) >= COMMIT_CHANGES
            or time.monotonic() - self.since >= COMMIT_SECONDS
        )


class _Run:
    """The files that must be read, on their way through encoder and database."""

    def __init__(
        self,
        database: Database,
        scope: Scope,
        encoder: Encoder,
        space: CodeSpace,
        counts: IndexCounts,
        known: dict[str, KnownFile],
        lost: dict[str, KnownFile],
    ) -> None:
        self.space = space
        self._database = database
        self._scope = scope
        self._encoder = encoder
        self._counts = counts
        self._known = known
        self._lost = lost
        self._vanished: dict[bytes, list[KnownFile]] = {}
        for record in lost.values():
            if record.content_hash is not None:
                self._vanished.setdefault(record.content_hash, []).append(record)
        self._to_encode: list[Reading] = []
        self._unsaved = _Unsaved()
        self._progress: OnProgress | None = None
        self._total = self._done = 0

    def watch(self, progress: OnProgress | None, total: int, done: int) -> None:
        """Report to ``progress`` from now on, starting with the ``done`` files of ``total``."""
        self._progress, self._total, self._done = progress, total, done
        if progress:
            folder = self._scope.path(self._scope.prefix)
            progress(Progress(done, total, folder, self._counts.failed, start=True))

    def read(self, pending: Sequence[FoundFile], same: dict[str, bytes]) -> None:
        """Read, encode and commit; also after an interrupt or an error, before it is raised.

        Of the files in ``same``, whose content hash is known, only the metadata is read.
        """
        if pyav_version() is None:
            pending = self._leave_videos(pending, same)
        with self._database.session() as session:
            known = _encoded_content(session, self.space.encoder_id)
        reader = Reader(self._scope, self._encoder.image_size, known)
        reader.same = same
        for record in self._known.values():
            if record.content_hash and record.reason and record.decoder == decoder_versions():
                reader.broken[record.content_hash] = record.reason
        try:
            while pending:
                copies: list[FoundFile] = []
                with closing(reader.read_all(pending, AHEAD)) as readings:
                    for reading in readings:
                        if reading.busy:
                            copies.append(reading.file)
                        else:
                            self._take(reading, reader)
                self._encode()
                self._save(reader)
                # By now their content is known, or known to be broken.
                pending = copies
        except BaseException:
            self._save(reader)
            raise

    def _leave_videos(self, files: Sequence[FoundFile], same: dict[str, bytes]) -> list[FoundFile]:
        """The files that are no videos; the others are left as they are, and told of once."""
        videos = [file for file in files if is_video(file.relative_path)]
        indexed = sum(file.relative_path in same for file in videos)
        self._counts.unchanged += indexed
        self._counts.left -= len(videos)
        self._done += len(videos)
        if left := len(videos) - indexed:
            self._counts.notes.append(
                f"{self._scope.path(self._scope.prefix)}: {left:,} "
                f"{'video was' if left == 1 else 'videos were'} left out; {WITHOUT_PYAV}"
            )
        return [file for file in files if not is_video(file.relative_path)]

    def _take(self, reading: Reading, reader: Reader) -> None:
        """Sort one reading: to the encoder, or straight to the next commit."""
        file = reading.file
        counts = self._unsaved.counts
        if reading.picture is not None:
            self._to_encode.append(reading)
            if len(self._to_encode) >= BATCH:
                self._encode()
        elif reading.reason is not None:
            if reading.lasting and reading.content_hash:
                reader.broken[reading.content_hash] = reading.reason
            counts.failures.append(Failure(self._scope.path(file.relative_path), reading.reason))
            self._change(reading)
        else:
            record = self._known.get(file.relative_path)
            if record and record.state in LIVE and record.content_hash == reading.content_hash:
                counts.unchanged += 1
            else:
                counts.moved += 1
            self._change(reading)
        if self._unsaved.due():
            self._save(reader)
        if reading.of_file:
            self._report(reading)

    def _change(self, reading: Reading) -> None:
        """Note what the file's record becomes; a renamed file keeps the record that it had."""
        file, digest = reading.file, reading.content_hash
        record = self._known.get(file.relative_path)
        if record is None and digest is not None and self._vanished.get(digest):
            record = self._vanished[digest].pop(0)
            del self._lost[record.relative_path]
        notes = reading.metadata.notes if reading.metadata else ()
        path = self._scope.path(file.relative_path)
        self._unsaved.counts.unclear += [f"{path}: {note}" for note in notes]
        self._unsaved.changes.append(
            FileChange(
                *file,
                content_hash=digest,
                file_id=record.id if record else None,
                reason=reading.reason,
                decoder=decoder_versions() if reading.lasting else None,
                metadata=reading.metadata,
            )
        )

    def _encode(self) -> None:
        """Encode what waits. What is in here when it fails, or is interrupted, is lost."""
        batch, self._to_encode = self._to_encode, []
        if not batch:
            return
        pictures = [reading.picture for reading in batch if reading.picture is not None]
        features = self._encoder.encode_images([picture.image for picture in pictures])
        for reading, picture, feature in zip(batch, pictures, features, strict=True):
            assert reading.content_hash is not None
            # In this order: an interrupt between the two must not leave a file without its picture.
            self._unsaved.pictures.append(
                EncodedPicture(
                    reading.content_hash, picture.width, picture.height, feature, reading.frame
                )
            )
            if reading.of_file:
                self._change(reading)
                self._unsaved.counts.indexed += 1

    def _save(self, reader: Reader) -> None:
        """Commit. An interrupt in here may repeat it, which :func:`save_batch` allows."""
        batch = self._unsaved
        if batch.changes or batch.pictures:
            with self._database.transaction() as session:
                words = save_batch(
                    session, self.space, self._scope.volume_id, batch.changes, batch.pictures
                )
            self._counts.words += words
        self._unsaved = _Unsaved()
        reader.known.update(picture.content_hash for picture in batch.pictures)
        self._counts.left -= len(batch.changes)
        self._counts.indexed += batch.counts.indexed
        self._counts.unchanged += batch.counts.unchanged
        self._counts.moved += batch.counts.moved
        self._counts.unclear += batch.counts.unclear
        self._counts.failures += batch.counts.failures

    def _report(self, reading: Reading) -> None:
        self._done += 1
        if self._progress:
            failed = self._counts.failed + self._unsaved.counts.failed
            path = self._scope.path(reading.file.relative_path)
            self._progress(Progress(self._done, self._total, path, failed, reason=reading.reason))


def _encoded_content(session: Session, encoder_id: int) -> set[bytes]:
    """Content hashes of the pictures, and of the whole videos, that have features in this space."""
    query = (
        select(Item.content_hash)
        .join(Feature, Feature.item_id == Item.id)
        .outerjoin(Frame, Frame.item_id == Item.id)
        .where(Feature.encoder_id == encoder_id, Item.kind == "image")
        # Only the first frame of a video has its hash, and is written when the others are there.
        .where(Frame.item_id.is_(None) | (Frame.content_hash == Item.content_hash))
    )
    return set(session.scalars(query))
