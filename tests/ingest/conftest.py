"""What the tests of the ingest room share: a toy library and a count of decoded pictures."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xmodal.ingest import reading
from xmodal.ingest.decoders import Decoders

sys.path.insert(0, str(Path(__file__).parent))

from toy_room import ToyRoom, open_room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ToyRoom]:
    room = open_room(tmp_path / "library.db")
    yield room
    room.database.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many files were hashed and decoded so far; decoding works as ever."""
    counts = {"hashed": 0, "decoded": 0}
    real = {"hashed": reading.content_hash, "decoded": Decoders.decode}

    def counting(what: str) -> object:
        def call(*args: object) -> object:
            counts[what] += 1
            return real[what](*args)

        return call

    monkeypatch.setattr(reading, "content_hash", counting("hashed"))
    monkeypatch.setattr(Decoders, "decode", counting("decoded"))
    return counts
