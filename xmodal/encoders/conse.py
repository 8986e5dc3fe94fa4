"""The space in which the bundled encoder's pictures and texts meet."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.base import Features, normalise
from xmodal.encoders.runtime import replacing
from xmodal.errors import EncoderError

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ConseSpace:
    """Maps a classifier's output and a sentence encoder's features into one space.

    A picture is the mean of what its classes are called, weighted by the classifier's softmax
    (ConSE, Norouzi et al. 2014, equation 2), plus a linear map of the classifier's pooled
    features that was fitted on captioned pictures. Both sides lose their mean, and the texts'
    directions are rescaled: a sentence encoder's features fill a narrow cone, and what all
    sentences share says nothing about one of them.

    Attributes:
        classes: what each class is called, float32 ``(classes, dim)``, after ``texts``.
        ridge: pooled features → space, float32 ``(pooled, dim)``.
        text_mean: of raw sentence features, float32 ``(sentence dim,)``.
        text_map: raw centred sentence features → space, float32 ``(sentence dim, dim)``.
        pooled_mean: of pooled features, float32 ``(pooled,)``.
        image_mean: of pictures before it is taken off, float32 ``(dim,)``.
        sharpness: the logits are multiplied by it before the softmax.
        ridge_weight: length of the linear part relative to that of the ConSE part, 0 to 1.
    """

    classes: Array
    ridge: Array
    text_mean: Array
    text_map: Array
    pooled_mean: Array
    image_mean: Array
    sharpness: float
    ridge_weight: float

    @property
    def dim(self) -> int:
        """Length of a feature."""
        return int(self.text_map.shape[1])

    def texts(self, sentences: Array) -> Features:
        """Sentence features float32 ``(n, sentence dim)`` → features ``(n, dim)``."""
        # Row by row: BLAS rounds otherwise in larger products, and a text alone and one among many
        # must have the same feature, so that a batch of queries answers what each alone does.
        rows = [row[None] @ self.text_map for row in sentences - self.text_mean]
        return normalise(np.concatenate(rows)) if rows else np.zeros((0, self.dim), np.float32)

    def images(self, logits: Array, pooled: Array) -> Features:
        """Logits ``(n, classes)`` and pooled features ``(n, pooled)`` → features ``(n, dim)``."""
        scaled = logits * np.float32(self.sharpness)
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        named = normalise(weights @ self.classes)
        mapped = normalise((normalise(pooled) - self.pooled_mean) @ self.ridge)
        mixed = (1 - self.ridge_weight) * named + self.ridge_weight * mapped
        return normalise(normalise(mixed) - self.image_mean)

    def centred_on(self, logits: Array, pooled: Array) -> "ConseSpace":
        """The same space with the mean of these pictures taken off every picture."""
        uncentred = replace(self, image_mean=np.zeros(self.dim, np.float32))
        return replace(self, image_mean=uncentred.images(logits, pooled).mean(axis=0))

    @cached_property
    def digest(self) -> str:
        """Short digest of everything above: two spaces with one digest give one feature."""
        state = hashlib.sha256()
        for field in fields(self):
            value = np.ascontiguousarray(getattr(self, field.name), dtype="<f4")
            state.update(f"{field.name}{value.shape}".encode())
            state.update(value.tobytes())
        return state.hexdigest()[:8]

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of float16 arrays; loading it gives the rounded values."""
        arrays: dict[str, Any] = {}
        settings: dict[str, float] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float):
                settings[field.name] = value
            else:
                arrays[field.name] = value.astype(np.float16)
        with replacing(path) as target, target.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(settings)), **arrays)

    @classmethod
    def load(cls, path: Path) -> "ConseSpace":
        """Read what :meth:`save` wrote.

        Raises:
            EncoderError: if the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                values: dict[str, Any] = {
                    name: file[name].astype(np.float32) for name in file.files if name != "header"
                }
                values.update(json.loads(str(file["header"])))
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise EncoderError(f"{path} cannot be read: {error}; install xmodal again") from error
