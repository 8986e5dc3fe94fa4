"""Reads what a user writes to choose an encoder."""

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xmodal.errors import EncoderError

DEFAULT = ("ViT-B-32-256", "datacomp_s34b_b86k")
# Where the default's weights are on the hub. open_clip's table says the same (a test compares),
# but reading it imports PyTorch, and `auto` has to decide without.
DEFAULT_REPOSITORY = "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K"
# SigLIP 2 at the cost of the default: 64 patches a picture. The 16-pixel-patch sisters are
# better and four times slower.
MULTILINGUAL = ("ViT-B-32-SigLIP2-256", "webli")

SHORT_NAMES = {"default": DEFAULT, "multilingual": MULTILINGUAL}
BUILT_IN = ("auto", "bundled", *SHORT_NAMES)
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A parsed choice of encoder.

    ``kind`` says who reads the rest; for ``open_clip``, ``weights`` is a pretrained tag, a file,
    or None where ``model`` names a place that holds both (``hf-hub:`` or ``local-dir:``). For
    ``other``, ``model`` is the text as it was written: the name of a plug-in, or a mistake.
    """

    kind: Literal["auto", "bundled", "open_clip", "other"]
    model: str = ""
    weights: str | Path | None = None

    def __str__(self) -> str:
        if self.kind == "other":
            return self.model
        if self.kind != "open_clip":
            return self.kind
        return f"open_clip:{self.model}" + ("" if self.weights is None else f"/{self.weights}")


def parse_spec(text: str) -> EncoderSpec:
    """What a user wrote, taken apart. ``str()`` of the result is its full, lasting spelling.

    ====================================== ===========================================
    ``auto``, ``bundled``                  kind ``auto``, ``bundled``
    ``default``                            as ``open_clip:ViT-B-32-256/datacomp_s34b_b86k``
    ``multilingual``                       as ``open_clip:ViT-B-32-SigLIP2-256/webli``
    ``open_clip:ViT-B-32/openai``          model ``ViT-B-32``, weights ``openai``
    ``open_clip:ViT-B-32/w.safetensors``   model ``ViT-B-32``, weights ``/absolute/w.safetensors``
    ``open_clip:ViT-B-32//data/w.pt``      model ``ViT-B-32``, weights ``/data/w.pt``
    ``open_clip:ViT-B-32/~/w.pt``          model ``ViT-B-32``, weights in the home folder
    ``open_clip:hf-hub:org/name``          model ``hf-hub:org/name``
    ``open_clip:local-dir:folder``         model ``local-dir:/absolute/folder``
    ``anything else``                      kind ``other``, model ``anything else``
    ====================================== ===========================================

    Raises:
        EncoderError: for an empty text, and for ``open_clip:`` without model or weights.

    >>> parse_spec("default")
    EncoderSpec(kind='open_clip', model='ViT-B-32-256', weights='datacomp_s34b_b86k')
    >>> str(parse_spec("open_clip:hf-hub:timm/ViT-B-16-SigLIP2"))
    'open_clip:hf-hub:timm/ViT-B-16-SigLIP2'
    """
    text = text.strip()
    if not text:
        raise EncoderError(f"no encoder is named; choose {', '.join(BUILT_IN)} or open_clip:…")
    if text == "auto":
        return EncoderSpec("auto")
    if text == "bundled":
        return EncoderSpec("bundled")
    if text in SHORT_NAMES:
        return EncoderSpec("open_clip", *SHORT_NAMES[text])
    prefix, colon, rest = text.partition(":")
    if prefix != "open_clip" or not colon:
        return EncoderSpec("other", text)
    if rest.startswith("hf-hub:"):
        if len([part for part in rest.removeprefix("hf-hub:").split("/") if part]) != 2:
            raise EncoderError(f"{text}: after hf-hub: comes ORG/NAME, the repository on the hub")
        return EncoderSpec("open_clip", rest)
    if rest.startswith("local-dir:"):
        folder = rest.removeprefix("local-dir:")
        if not folder:
            raise EncoderError(f"{text}: after local-dir: comes the path of a folder")
        return EncoderSpec("open_clip", f"local-dir:{_absolute(folder)}")
    model, _, weights = rest.partition("/")
    if not model or not weights:
        raise EncoderError(
            f"{text} names no {'weights' if model else 'model'}; write "
            "open_clip:MODEL/PRETRAINED, for example open_clip:" + "/".join(DEFAULT)
        )
    if _looks_like_file(weights):
        return EncoderSpec("open_clip", model, _absolute(weights))
    return EncoderSpec("open_clip", model, weights)


def _looks_like_file(weights: str) -> bool:
    return (
        weights.lower().endswith(WEIGHTS_SUFFIXES)
        or "/" in weights
        or os.sep in weights
        or os.path.isfile(weights)
    )


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def nearest(name: str, known: Iterable[str]) -> str:
    """`` – did you mean X?``, or an empty text if nothing is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" – did you mean {by_lower[close[0]]}?" if close else ""
