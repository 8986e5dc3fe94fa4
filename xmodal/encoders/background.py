"""What a feature space looks like before a library exists: everyday words, sample pictures."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from xmodal.encoders.base import Encoder, Features, normalise
from xmodal.encoders.runtime import cache_dir, replacing
from xmodal.resources import resource_path

Notify = Callable[[str], None]
# Of the file; another one is computed anew.
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Background:
    """Features that a new library starts from: its first code is fitted on them, its scores are
    compared with theirs, and its pictures are annotated with these words.

    Attributes:
        words: everyday words and short phrases, sorted.
        word_features: float32 ``(len(words), dim)``, L2-normalised.
        picture_features: float32 ``(p, dim)``, L2-normalised; of the sample library.
    """

    words: list[str]
    word_features: Features
    picture_features: Features

    @cached_property
    def centred_words(self) -> Features:
        """The words' features without their mean, float32 ``(len(words), dim)``, L2-normalised."""
        return normalise(self.word_features - self.word_features.mean(axis=0))


def load_background(encoder: Encoder, notify: Notify | None = None) -> Background:
    """The background of an encoder: shipped for ``bundled``, else computed once and cached.

    The file is bound to the encoder's id, to the vocabulary and to the sample pictures' content:
    when one of them changes, it is computed anew.

    Args:
        encoder: whose feature space is asked for.
        notify: told in one line that the computing begins; it takes from seconds to a minute.

    Raises:
        EncoderError: if the encoder cannot be run, or the cache not be written.
    """
    words = vocabulary()
    pictures = sample_pictures()
    key = background_key(encoder.id, words, pictures)
    cached = cache_dir() / "backgrounds" / f"{key[:16]}.npz"
    for file in (shipped_background(), cached):
        found = _read(file, key, words)
        if found is not None:
            return found
    from filelock import FileLock  # imports asyncio, which a search need not wait for

    cached.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cached.with_suffix(".lock")):
        # Another process may have computed it while this one waited.
        found = _read(cached, key, words)
        if found is None:
            if notify is not None:
                notify(f"looking at {len(words)} words and {len(pictures)} pictures, once …")
            found = compute_background(encoder, words, pictures)
            save_background(found, key, cached)
    return found


def compute_background(encoder: Encoder, words: list[str], pictures: list[Path]) -> Background:
    """Encode words and pictures now. Features are rounded to float16, as they are kept."""
    from PIL import Image

    opened = []
    for path in pictures:
        with Image.open(path) as image:
            opened.append(image.convert("RGB"))
    return Background(
        words, _rounded(encoder.encode_texts(words)), _rounded(encoder.encode_images(opened))
    )


def save_background(background: Background, key: str, path: Path) -> None:
    """Write features as float16 ``.npz`` under the key of what they were computed from."""
    header = json.dumps({"format": _FORMAT, "key": key})
    with replacing(path) as target, target.open("wb") as file:
        np.savez_compressed(
            file,
            header=np.array(header),
            word_features=background.word_features.astype(np.float16),
            picture_features=background.picture_features.astype(np.float16),
        )


def background_key(encoder_id: str, words: list[str], pictures: list[Path]) -> str:
    """SHA-256 over the encoder's id, the words, and the pictures' names and bytes."""
    state = hashlib.sha256(json.dumps([encoder_id, words]).encode())
    for path in pictures:
        state.update(path.name.encode())
        state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()


def vocabulary() -> list[str]:
    """The everyday words and short phrases of ``assets/vocabulary.txt``."""
    text = (resource_path("assets") / "vocabulary.txt").read_text(encoding="utf-8")
    return text.splitlines()


def sample_pictures() -> list[Path]:
    """The pictures of the sample library, sorted by name."""
    return sorted((resource_path("assets") / "sample").glob("*.jpg"))


def shipped_background() -> Path:
    """Where the background of the bundled encoder lies."""
    return resource_path("assets") / "bundled" / "background.npz"


def _read(path: Path, key: str, words: list[str]) -> Background | None:
    """A kept background; None if there is none, or it is damaged or of other origin."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if json.loads(str(file["header"])) != {"format": _FORMAT, "key": key}:
                return None
            features = [
                normalise(file[name].astype(np.float32))
                for name in ("word_features", "picture_features")
            ]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return Background(words, features[0], features[1])


def _rounded(features: Features) -> Features:
    return normalise(features.astype(np.float16).astype(np.float32))
