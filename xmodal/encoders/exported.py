"""The cache of exported open_clip models: found by spec, checked by digest, made when needed."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from xmodal.encoders.preprocess import Preprocess
from xmodal.encoders.runtime import Session, cache_dir, replacing
from xmodal.encoders.spec import EncoderSpec
from xmodal.encoders.tokens import Tokenizer, reference_tokenizer
from xmodal.encoders.weights import sha256_of
from xmodal.errors import EncoderError

if TYPE_CHECKING:
    from xmodal.encoders.checkpoint import Checkpoint

IMAGE, TEXT, TOKENIZER, META = "image.onnx", "text.onnx", "tokenizer.json", "meta.json"
# Of the files in a folder; another one is made anew.
FORMAT = 3
# Part of an encoder's id: raised when the same picture or text would give other features.
PREPROCESSING = 2

Notify = Callable[[str], None]


class ExportedModel:
    """One open_clip model as it lies in the cache: two towers, a tokenizer, and ``meta.json``.

    Opening it imports neither PyTorch nor open_clip, unless it has to be exported first.

    Args:
        spec: a parsed spec of the kind ``open_clip``.
        offline: forbid connections.
        notify: told in one line that an export begins, which takes from seconds to a minute.

    Raises:
        EncoderError: if the model is not in the cache and cannot be found, fetched or exported.
    """

    def __init__(
        self, spec: EncoderSpec, *, offline: bool = False, notify: Notify | None = None
    ) -> None:
        self.spec = spec
        self.offline = offline
        self._notify = notify
        self.folder = recorded_folder(spec) or self._make()
        meta = read_meta(self.folder)
        if meta is None:  # deleted by somebody at this moment
            raise EncoderError(f"{self.folder} disappeared from the cache; try again")
        self.id: str = meta["id"]
        self.dim: int = meta["dim"]
        self.preprocess = Preprocess(
            **{**meta["preprocess"], "size": tuple(meta["preprocess"]["size"])}
        )

    def session(self, tower: str) -> Session:
        """The tower ``IMAGE`` or ``TEXT``, ready to run; exported again if it is damaged."""
        self._ensure_intact(tower)
        return Session(self.folder / tower)

    def tokenizer(self) -> Any:
        """What turns a list of texts into token ids int32 ``(n, context length)``."""
        meta = read_meta(self.folder) or {}
        if meta.get("tokenizer", {}).get("kind") == "open_clip":
            return reference_tokenizer(meta["tokenizer"]["architecture"], self.offline)
        self._ensure_intact(TOKENIZER)
        return Tokenizer(self.folder / TOKENIZER, meta["tokenizer"]["clean"])

    def checkpoint(self) -> "Checkpoint":
        """The weights behind the export, found again. Imports PyTorch and open_clip."""
        from xmodal.encoders.checkpoint import find_checkpoint

        return find_checkpoint(self.spec, offline=self.offline)

    def _ensure_intact(self, name: str) -> None:
        if not _is_intact(self.folder, name):
            self._make()
            if not _is_intact(self.folder, name):
                raise EncoderError(
                    f"{self.folder / name} is damaged, and the weights of {self.spec} are no "
                    "longer those it was made from; index again with the new weights"
                )

    def _make(self) -> Path:
        """Export what is missing or damaged, one process at a time, and record where it lies."""
        from xmodal.encoders.export import export_model

        checkpoint = self.checkpoint()
        digest = sha256_of(checkpoint.weights)
        identity = encoder_id(checkpoint, digest)
        folder = _root() / re.sub(r"[^\w.-]+", "_", identity.removeprefix("open_clip:"))
        with replacing(_record(self.spec)) as record:  # first of all: is the cache writable?
            record.write_text(
                json.dumps({"spec": str(self.spec), "folder": folder.name, "weights": digest}),
                encoding="utf-8",
            )
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            meta = read_meta(folder)
            if meta is None or not all(_is_intact(folder, name) for name in meta["files"]):
                if self._notify is not None:
                    self._notify(f"preparing {self.spec} for this computer, once …")
                export_model(checkpoint, folder, identity, offline=self.offline)
        return folder


def recorded_folder(spec: EncoderSpec) -> Path | None:
    """Where an earlier load of ``spec`` left the exported model; None if it has to be made.

    A pretrained tag or hub name stays what it was at its first use. A local file is looked at:
    changed weights are another model.
    """
    try:
        record = json.loads(_record(spec).read_text(encoding="utf-8"))
        folder = _root() / str(record["folder"])
        digest = record["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if spec.model.startswith("local-dir:"):
        return None  # finding its checkpoint imports nothing heavy, and reads the folder's config
    if isinstance(spec.weights, Path) and (
        not spec.weights.is_file() or sha256_of(spec.weights) != digest
    ):
        return None
    return folder if read_meta(folder) is not None else None


def read_meta(folder: Path) -> dict[str, Any] | None:
    """``meta.json`` of an exported model, or None if it is missing, damaged or of another time."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        return None
    wanted = {"id", "dim", "preprocess", "tokenizer", "files"}
    return meta if wanted <= meta.keys() else None


def encoder_id(checkpoint: "Checkpoint", digest: str) -> str:
    """``open_clip:MODEL:WEIGHTS:PREPROCESSING``, the last two as short digests."""
    settings = [checkpoint.preprocess, checkpoint.quick_gelu]
    prepared = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"open_clip:{checkpoint.name}:{digest[:12]}:p{PREPROCESSING}-{prepared[:6]}"


def _is_intact(folder: Path, name: str) -> bool:
    """Whether a file of an exported model is the one that was written."""
    meta = read_meta(folder)
    if meta is None or not (folder / name).is_file():
        return False
    return sha256_of(folder / name) == meta["files"].get(name)


def _root() -> Path:
    return cache_dir() / "open_clip"


def _record(spec: EncoderSpec) -> Path:
    name = hashlib.sha256(str(spec).encode()).hexdigest()[:16]
    return _root() / "specs" / f"{name}.json"
