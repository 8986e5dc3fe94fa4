"""A code is replaced whole or not at all, and searches go on meanwhile, in any process."""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from xmodal.library import Library
from xmodal.spaces import code
from xmodal.store.database import Database
from xmodal.store.models import Caption, File, HasherRecord, Keyword, Segment

SWAPPER = Path(__file__).with_name("swapper.py")


def _reds(library: Library) -> int:
    """How many of the twenty red pictures a search for red finds first; all 200 must be found."""
    found = library.search("red", k=200, use_features=False)
    assert len({result.path for result in found}) == 200
    return sum(result.path.name.startswith("00-") for result in found[:20])


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_kill_at_any_moment_leaves_a_whole_code_and_open_searches_never_stop(
    large_file: Path,
) -> None:
    chance = random.Random(0)
    with Library.open(large_file) as reader:
        assert _reds(reader) > 15
        for moment in ("trained", "coding", "coding", "learning"):
            process = subprocess.Popen(
                [sys.executable, SWAPPER, str(large_file)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            while (line := process.stdout.readline().strip()) != moment:
                assert line, process.communicate()[1]
            timer = threading.Timer(chance.uniform(0, 0.2), process.kill)
            timer.start()
            while process.poll() is None:
                assert _reds(reader) > 15  # whichever code it is, it is a whole one
            assert process.returncode == -signal.SIGKILL, process.communicate()[1]
            with Library.open(large_file) as library:
                assert _reds(library) > 15
                assert library.info().problems == []
        assert reader.info().hasher == "fused"  # the first one was completed
        reader.train(bits=32)
    database = Database.open(large_file, create=False)
    with database.session() as session:
        # What the killed processes left is gone.
        assert session.scalars(select(HasherRecord.state)).all() == ["active"]
        hashers = session.scalars(select(Segment.hasher_id).distinct()).all()
        assert hashers == session.scalars(select(HasherRecord.id)).all()
    database.close()


def test_a_search_sees_the_old_code_before_the_swap_and_the_new_one_after_it(
    large_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "CODING_BATCH", 50)
    monkeypatch.setattr(code, "SEGMENT_CODES", 50)
    with Library.open(large_file) as reader, Library.open(large_file) as trainer:
        old = reader.search("red", k=200)
        seen = []
        real = code.append_codes

        def append_and_search(*arguments: Any) -> None:
            seen.append(reader.search("red", k=200))
            real(*arguments)

        monkeypatch.setattr(code, "append_codes", append_and_search)
        assert trainer.train(bits=32).replaced
        assert len(seen) >= 4
        assert all(found == old for found in seen)
        new = reader.search("red", k=200)
        assert len(new) == 200
        assert max(result.distance for result in new) <= 32 < max(r.distance for r in old)


def test_only_what_a_search_may_return_is_coded(large_file: Path, large_folder: Path) -> None:
    database = Database.open(large_file, create=False)
    with database.transaction() as session:
        gone = session.scalars(select(File).order_by(File.id).limit(30)).all()
        for file in gone:
            file.state = "missing"
        texts = set(session.scalars(select(Caption.text_item_id)))
        texts |= set(session.scalars(select(Keyword.text_item_id)))
    with Library.open(large_file) as library:
        library.train(bits=32)
    with database.session() as session:
        counts = dict(
            session.execute(
                select(Segment.modality, func.sum(Segment.count)).group_by(Segment.modality)
            ).all()
        )
    database.close()
    assert counts == {"image": 170, "text": len(texts)}
