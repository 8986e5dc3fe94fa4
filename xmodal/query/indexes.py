"""Which index answers a search: one in memory, or, for the first search of many codes, the file."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from xmodal.errors import NotEnoughMemoryError
from xmodal.hamming import HammingIndex
from xmodal.query.ranking import Searchable
from xmodal.query.streamed import StreamedIndex
from xmodal.store.database import Database
from xmodal.store.loading import Head, code_bytes, load_codes, read_heads

# Codes of so many bytes are read into memory by the second search of a process, not by the first.
LARGE = 1 << 28


class Indexes:
    """The indexes of an open library, by hasher and modality, as fresh as its file.

    ``notify`` receives a sentence on each damaged segment.
    """

    def __init__(self, database: Database, notify: Callable[[str], None]) -> None:
        self._database = database
        self._notify = notify
        self._version: int | None = None
        self._loaded: dict[tuple[int, str], tuple[list[Head], HammingIndex]] = {}
        self._searched: set[tuple[int, str]] = set()

    def get(self, session: Session, hasher_id: int, modality: str) -> Searchable:
        """An index of what the session sees."""
        self._drop_changed(session)
        key = (hasher_id, modality)
        if key in self._loaded:
            return self._loaded[key][1]
        heads = read_heads(session, hasher_id, modality)
        size = sum(head.live for head in heads) * code_bytes(session, hasher_id)
        if size > LARGE and key not in self._searched:
            self._searched.add(key)
            return StreamedIndex(session, hasher_id, modality, self._notify)
        try:
            index = self._load(session, hasher_id, modality)
        except NotEnoughMemoryError as error:
            self._notify(f"{error}; the codes are read from the file for each search")
            return StreamedIndex(session, hasher_id, modality, self._notify)
        # A code that another process replaced is not asked again.
        self._loaded = {other: v for other, v in self._loaded.items() if other[0] == hasher_id}
        self._loaded[key] = heads, index
        return index

    def _load(self, session: Session, hasher_id: int, modality: str) -> HammingIndex:
        stored = load_codes(session, hasher_id, modality)
        for problem in stored.problems:
            self._notify(problem)
        index = HammingIndex(8 * code_bytes(session, hasher_id))
        for ids, planes in stored.batches:
            index.add_planes(ids, planes)
        return index

    def _drop_changed(self, session: Session) -> None:
        """Forget the indexes whose segments another connection or process has changed."""
        version = self._database.version()
        if version == self._version:
            return
        self._version = version
        for key, (heads, _) in list(self._loaded.items()):
            if read_heads(session, *key) != heads:
                del self._loaded[key]
