"""A library file with one encoder and one hasher, for the tests of the store."""

from pathlib import Path

import pytest

from xmodal.store.database import Database
from xmodal.store.models import EncoderRecord, HasherRecord


@pytest.fixture
def database(tmp_path: Path):
    database = Database.open(tmp_path / "library.db")
    with database.transaction() as session:
        encoder = EncoderRecord(identifier="toy:1", spec="toy", dim=8)
        session.add(encoder)
        session.flush()
        session.add(HasherRecord(encoder_id=encoder.id, name="itq", bits=72, blob=b""))
    yield database
    database.close()
