"""From files to the pictures that they show."""

import numpy as np
import pytest

from xmodal.store import shown as module
from xmodal.store.database import Database
from xmodal.store.models import File, Frame, Item, Volume
from xmodal.store.shown import shown, with_frames

FILM, PHOTO = b"film" * 4, b"foto" * 4


@pytest.fixture
def database(path):
    """A film of the frames 3 (the first), 5 and 6 in two files, a photo 4, and the text 7."""
    database = Database.open(path)
    with database.transaction() as session:
        session.add(Volume(id=1, path="/photos"))
        hashes = {3: FILM, 4: PHOTO, 5: b"5" * 16, 6: b"6" * 16}
        session.add_all(Item(id=i, kind="image", content_hash=h) for i, h in hashes.items())
        session.add(Item(id=7, kind="text", content_hash=FILM, text="of the same hash"))
        session.flush()
        session.add_all(Frame(item_id=i, content_hash=FILM, seconds=i) for i in (3, 5, 6))
        for name, item, digest in (("a.mp4", 3, FILM), ("b.mp4", 3, FILM), ("c.jpg", 4, PHOTO)):
            session.add(
                File(
                    volume_id=1, relative_path=name, size=1, mtime_ns=1,
                    item_id=item, content_hash=digest,
                )
            )  # fmt: skip
    yield database
    database.close()


def test_a_film_shows_all_of_its_frames_and_a_photo_itself(database):
    with database.session() as session:
        seen = {
            tuple(row) for _, query in shown(File.relative_path) for row in session.execute(query)
        }
    film = {(item, name) for item in (3, 5, 6) for name in ("a.mp4", "b.mp4")}
    assert seen == film | {(4, "c.jpg")}


@pytest.mark.parametrize("few", [0, 10_000])
@pytest.mark.parametrize(
    ("ids", "expected"),
    [([3], [3, 5, 6]), ([3, 4], [3, 4, 5, 6]), ([4], [4]), ([5], [5]), ([7], [7]), ([], [])],
)
def test_facts_about_a_film_hold_for_all_of_its_frames(database, ids, expected, few, monkeypatch):
    monkeypatch.setattr(module, "_FEW", few)
    with database.session() as session:
        found = with_frames(session, np.array(ids, dtype=np.int64))
    assert found.tolist() == expected
    assert found.dtype == np.int64
