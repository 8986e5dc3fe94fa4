"""Reading files: what each one holds, hashed in threads, decoded only if its content is new."""

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from io import BufferedIOBase
from pathlib import Path
from typing import NamedTuple

from xmodal.errors import MediaError
from xmodal.ingest.decode import Picture
from xmodal.ingest.decoders import DecoderStopped, decoders
from xmodal.ingest.identity import content_hash, frame_hash
from xmodal.ingest.scope import Scope
from xmodal.ingest.video import is_video
from xmodal.ingest.walk import FoundFile
from xmodal.metadata import Metadata, read_embedded, read_sidecars
from xmodal.metadata.video import read_video_tags

# Decoding is bound by the processor; more threads than this only hold more pictures.
THREADS = min(8, os.cpu_count() or 1)
CHANGED = "changed while being read"


class FileMetadata(NamedTuple):
    """What stands in a file, and in each of its sidecars, in their order."""

    embedded: Metadata
    beside: list[Metadata]

    @property
    def notes(self) -> list[str]:
        return [note for part in (self.embedded, *self.beside) for note in part.notes]


class FramePlace(NamedTuple):
    """Where a frame stands: the content hash of its video, and the time in it."""

    video: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in one file, or in one frame of a video.

    Exactly one of these holds: ``picture`` is there (new content); ``reason`` is there (it could
    not be read; ``lasting`` if the content itself is to blame); ``busy`` (another file of this
    run with the same content is being decoded); none of them (the content is known).
    ``file`` has the size and time of what was read. ``metadata`` is there unless it failed, is
    busy, or is of a video whose decoder was stopped. The reading of a video has its first frame,
    and comes after those of its other frames, which have a ``content_hash`` of their own: what is
    known by the hash of a video is complete.
    """

    file: FoundFile
    content_hash: bytes | None = None
    picture: Picture | None = None
    reason: str | None = None
    lasting: bool = False
    busy: bool = False
    metadata: FileMetadata | None = None
    frame: FramePlace | None = None
    undecoded: bool = False  # within this module: a video whose frames are still to come

    @property
    def of_file(self) -> bool:
        """Whether it says what becomes of the file; one of a video's further frames does not."""
        return self.frame is None or self.frame.video == self.content_hash


class Reader:
    """Reads the files of one run; ``known`` and ``broken`` are kept up to date by the caller.

    ``known`` holds the content hashes of pictures that need no decoding, ``broken`` those that
    cannot be decoded, with the reason; ``same`` those of files, by path, whose size and time are
    unchanged and whose metadata alone is to be read.
    """

    def __init__(self, scope: Scope, min_side: int, known: set[bytes]) -> None:
        self.known = known
        self.broken: dict[bytes, str] = {}
        self.same: dict[str, bytes] = {}
        self._scope = scope
        self._min_side = min_side
        self._claims: dict[bytes, str] = {}
        self._linked: dict[tuple[int, ...], Future[bytes]] = {}

    def read_all(self, files: Iterable[FoundFile], ahead: int) -> Generator[Reading, None, None]:
        """The readings in the order of ``files``, at most ``ahead`` of them in memory.

        The order makes ids, and so the order of equal search results, the same on every machine.
        Frames are decoded when they are asked for: a thread that kept memory for a video while it
        waits for its turn could keep it from the picture whose turn it is.
        """
        self._claims.clear()
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="xmodal-decode")
        try:
            window: deque[Future[Reading]] = deque()
            for file in files:
                window.append(pool.submit(self._read, file))
                if len(window) >= ahead:
                    yield from self._decoded(window.popleft().result())
            while window:
                yield from self._decoded(window.popleft().result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, file: FoundFile) -> Reading:
        path = self._scope.path(file.relative_path)
        digest = None
        try:
            with path.open("rb") as stream:
                before = os.fstat(stream.fileno())
                status = before.st_size, before.st_mtime_ns
                same = status == (file.size, file.mtime_ns)
                digest = self.same.get(file.relative_path) if same else None
                file = file._replace(size=before.st_size, mtime_ns=before.st_mtime_ns)
                if digest is not None:
                    reading: Reading | None = Reading(file, digest)
                else:
                    digest = self._hash(stream, before)
                    reading = self._recognise(file, digest)
                if reading is None and is_video(path):
                    reading = Reading(file, digest, undecoded=True)
                elif reading is None:
                    try:
                        picture = decoders.decode(path, self._min_side)
                        reading = Reading(file, digest, picture=picture)
                    except (MediaError, DecoderStopped) as error:
                        reading = _refused(file, digest, error)
                if reading.reason is None and not reading.busy:
                    reading = replace(reading, metadata=_metadata(path, stream, file))
            after = path.stat()
        except OSError as error:
            return _refused(file, digest, error)
        if (after.st_size, after.st_mtime_ns) != status:
            return Reading(file, reason=CHANGED)
        return reading

    def _hash(self, stream: BufferedIOBase, status: os.stat_result) -> bytes:
        """The content hash of an open file; one with several names (hard links) is read once."""
        if status.st_nlink < 2 or not status.st_ino:
            return content_hash(stream)
        same = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        mine: Future[bytes] = Future()
        first = self._linked.setdefault(same, mine)
        if first is mine:
            try:
                mine.set_result(content_hash(stream))
            except BaseException as error:
                mine.set_exception(error)
        return first.result()

    def _decoded(self, reading: Reading) -> Generator[Reading, None, None]:
        """The reading itself, or those of a video's frames, the first of them at the end."""
        file, digest = reading.file, reading.content_hash
        if not reading.undecoded or digest is None:
            yield reading
            return
        path = self._scope.path(file.relative_path)
        last = None
        try:
            with closing(decoders.frames(path, self._min_side)) as frames:
                for frame in frames:
                    part = replace(
                        reading,
                        picture=Picture(frame.image, frame.width, frame.height),
                        frame=FramePlace(digest, frame.seconds),
                        undecoded=False,
                    )
                    if last is None:
                        last = part
                    else:
                        yield replace(part, content_hash=frame_hash(digest, frame.seconds))
            after = path.stat()
        except (MediaError, DecoderStopped, OSError) as error:
            yield _refused(file, digest, error)
            return
        if last is None or (after.st_size, after.st_mtime_ns) != (file.size, file.mtime_ns):
            last = Reading(file, reason=CHANGED)
        yield last

    def _recognise(self, file: FoundFile, digest: bytes) -> Reading | None:
        """The reading if the content alone tells it, without decoding."""
        if digest in self.known:
            return Reading(file, digest)
        if digest in self.broken:
            return Reading(file, digest, reason=self.broken[digest], lasting=True)
        # setdefault is atomic: of several copies exactly one thread decodes.
        if self._claims.setdefault(digest, file.relative_path) != file.relative_path:
            return Reading(file, digest, busy=True)
        return None


def _refused(file: FoundFile, digest: bytes | None, error: Exception) -> Reading:
    if isinstance(error, OSError):
        return Reading(file, digest, reason=f"cannot be read: {error.strerror or error}")
    return Reading(file, digest, reason=str(error), lasting=isinstance(error, MediaError))


def _metadata(path: Path, stream: BufferedIOBase, file: FoundFile) -> FileMetadata | None:
    """None where the video is not to blame: then the next run reads it."""
    if is_video(path):
        try:
            embedded = read_video_tags(decoders.video_tags(path))
        except DecoderStopped:
            return None
        except MediaError as error:
            embedded = Metadata(notes=(f"metadata cannot be read: {error}",))
    else:
        embedded = read_embedded(stream)
    return FileMetadata(embedded, read_sidecars(path.parent, file.sidecars))
