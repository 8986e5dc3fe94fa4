"""A library with the toy encoder and a random code, for tests of the ingest room.

Also a program, for tests that kill it: ``toy_room.py LIBRARY FOLDER`` indexes in tiny batches,
prints a line when it starts and one for each file, and "done" at the end.
"""

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy import select
from toy import ToyEncoder

from xmodal.encoders.base import Features
from xmodal.ingest import pipeline
from xmodal.ingest.attach import attach_captions
from xmodal.ingest.captions import read_captions
from xmodal.ingest.report import CaptionCounts, IndexCounts, Progress
from xmodal.store.database import Database
from xmodal.store.loading import load_codes
from xmodal.store.models import LIVE, EncoderRecord, File, HasherRecord

BITS = 64


class SignCoder:
    """The signs of random projections: codes that any two features share only by being alike."""

    def __init__(self, hasher_id: int, dim: int) -> None:
        self.hasher_id = hasher_id
        self._projection = np.random.default_rng(0).standard_normal((dim, BITS))

    def encode_images(self, features: Features) -> np.ndarray:
        return np.packbits(features @ self._projection > 0, axis=1)

    encode_texts = encode_images


@dataclass
class ToyRoom:
    """An open library and what an index run needs."""

    database: Database
    encoder: ToyEncoder
    encoder_id: int
    coder: SignCoder

    def index(self, root: Path, **options: Any) -> IndexCounts:
        with self.database.writer():
            return pipeline.index_volume(
                self.database, root, self.encoder, self.encoder_id, self.coder, **options
            )

    def attach(self, path: Path, root: Path | None = None) -> CaptionCounts:
        with self.database.writer():
            return attach_captions(
                self.database,
                read_captions(path),
                self.encoder,
                self.encoder_id,
                self.coder,
                root=root,
            )

    def files(self) -> dict[str, str]:
        """State by relative path."""
        with self.database.session() as session:
            rows = session.execute(select(File.relative_path, File.state))
            return {row[0]: row[1] for row in rows}

    def coded(self, modality: str = "image") -> list[int]:
        """The item ids that have a code, twice if they have two."""
        with self.database.session() as session:
            stored = load_codes(session, self.coder.hasher_id, modality)
        assert not stored.problems
        return sorted(int(i) for ids, _ in stored.batches for i in ids)

    def live(self) -> list[int]:
        """The item ids that a file shows which is present or offline."""
        with self.database.session() as session:
            shown = select(File.item_id).where(File.state.in_(LIVE)).distinct()
            return sorted(i for i in session.scalars(shown) if i is not None)


def open_room(path: Path, encoder: ToyEncoder | None = None) -> ToyRoom:
    """The library at ``path``, made if it is not there."""
    encoder = encoder or ToyEncoder()
    database = Database.open(path, create=True)
    with database.transaction() as session:
        known = session.scalar(select(EncoderRecord).where(EncoderRecord.identifier == encoder.id))
        if known is None:
            known = EncoderRecord(identifier=encoder.id, spec=encoder.spec, dim=encoder.dim)
            session.add(known)
            session.flush()
            session.add(
                HasherRecord(encoder_id=known.id, name="sign", bits=BITS, blob=b"", state="active")
            )
            session.flush()
        hasher = session.scalar(select(HasherRecord.id).where(HasherRecord.encoder_id == known.id))
        assert hasher is not None
        return ToyRoom(database, encoder, known.id, SignCoder(hasher, encoder.dim))


class SlowEncoder(ToyEncoder):
    """Slow enough to be killed in the middle."""

    def encode_images(self, images: Sequence[Image.Image]) -> Features:
        time.sleep(0.02)
        return super().encode_images(images)


def _main(library: str, folder: str) -> None:
    pipeline.BATCH, pipeline.AHEAD, pipeline.COMMIT_PICTURES = 4, 8, 8
    room = open_room(Path(library), SlowEncoder())
    print("started", flush=True)

    def show(progress: Progress) -> None:
        print(progress.done, progress.total, flush=True)

    room.index(Path(folder), progress=show)
    print("done", flush=True)


if __name__ == "__main__":
    # A background job is started with Ctrl-C ignored; the run under test is not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _main(*sys.argv[1:])
