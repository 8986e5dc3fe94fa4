"""Turns texts into token ids as open_clip's tokenizers do, without importing PyTorch."""

import html
import os
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.hub import hub_offline, is_offline
from xmodal.errors import EncoderError

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def clean_text(text: str, how: str) -> str:
    """A text as the model saw texts in training.

    Args:
        how: ``whitespace`` (mended Unicode, no HTML entities, single spaces), ``lower`` (that in
            lower case), ``canonicalize`` (that without punctuation).

    >>> clean_text("  A  &amp; B… ", "lower")
    'a & b…'
    """
    import ftfy

    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    if how == "canonicalize":
        text = text.replace("_", " ").translate(_NO_PUNCTUATION)
    text = " ".join(text.split())
    return text if how == "whitespace" else text.lower()


class Tokenizer:
    """A tokenizer read from ``tokenizer.json``, which also holds its truncation and padding.

    Args:
        path: the file, as the ``tokenizers`` library writes it.
        clean: see :func:`clean_text`.
    """

    def __init__(self, path: Path, clean: str) -> None:
        # Its threads are not worth their warnings in programs that fork.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import tokenizers

        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._clean = clean

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Token ids, int32 ``(n, context length)``; longer texts are cut, their end mark kept.

        int32, because CLIP looks for the end mark by ArgMax, which older ONNX Runtimes do not
        have for int64.
        """
        encodings = self._tokenizer.encode_batch([clean_text(t, self._clean) for t in texts])
        return np.array([encoding.ids for encoding in encodings], dtype=np.int32)


def reference_tokenizer(
    architecture: str, offline: bool
) -> Callable[[Sequence[str]], NDArray[np.int32]]:
    """open_clip's own tokenizer of a model, giving arrays. Imports PyTorch and open_clip.

    Raises:
        EncoderError: if its files or the transformers package are missing.
    """
    import open_clip

    with hub_offline(is_offline(offline)):
        try:
            tokenizer = open_clip.get_tokenizer(architecture)
        # The transformers library raises its own, the hub's and the system's errors.
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), repr(error))
            raise EncoderError(
                f"cannot load the tokenizer of {architecture}: {reason}; it may need "
                "'pip install transformers' and its files in the hub cache"
            ) from error

    def tokenize(texts: Sequence[str]) -> NDArray[np.int32]:
        ids: NDArray[np.int32] = tokenizer(list(texts)).numpy().astype(np.int32)
        return ids

    return tokenize
