"""A feature space of an open library, in one session: its code, its encoder, what it has kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from xmodal.encoders import Encoder
from xmodal.encoders.background import Background
from xmodal.encoders.base import Features
from xmodal.errors import UsageError
from xmodal.query.confidence import Calibration
from xmodal.query.ranking import Searchable
from xmodal.spaces.calibration import calibration_of
from xmodal.spaces.code import ActiveCode
from xmodal.store.features import read_features

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class OpenSpace:
    """What a query needs of a library. What costs time is called only where a query needs it:
    ``encoder`` loads the encoder of this space, ``background`` what it looks like, and
    ``index(modality)`` gives the codes of ``image`` or ``text`` items. ``notify`` receives one-line
    notes.
    """

    session: Session
    id: int
    code: ActiveCode
    encoder: Callable[[], Encoder]
    background: Callable[[], Background]
    index: Callable[[str], Searchable]
    notify: Callable[[str], None]

    def texts(self, sentences: Sequence[str]) -> Features:
        """The features of sentences, float32 ``(n, dim)``."""
        return self.encoder().encode_texts(sentences)

    def picture(self, image: "str | Path | Image.Image") -> Features:
        """The feature of a picture or of the file of one, float32 ``(dim,)``.

        Raises UsageError for what is no picture's file, MediaError for one that cannot be read.
        """
        encoder = self.encoder()
        if isinstance(image, str | Path):
            from xmodal.ingest.decode import decode_image
            from xmodal.ingest.video import is_video

            path = Path(image).expanduser()
            if not path.is_file():
                raise UsageError(f"{path}: no such picture")
            if is_video(path):
                raise UsageError(f"{path}: is a video; a picture is needed, such as a still of it")
            image = decode_image(path, encoder.image_size)
        return encoder.encode_images([image.convert("RGB")])[0]

    def features(self, ids: NDArray[np.int64]) -> Features:
        """The features of items, float32 ``(n, dim)``; NaN where none is kept."""
        return read_features(self.session, self.id, ids)

    def calibration(self) -> Calibration:
        """What is chance here."""
        return calibration_of(self.session, self.id, self.background)
