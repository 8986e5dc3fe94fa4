"""The open_clip encoder: ONNX Runtime on a CPU, PyTorch for large batches where a GPU is."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xmodal.encoders.base import Features, normalise
from xmodal.encoders.exported import IMAGE, TEXT, ExportedModel, Notify
from xmodal.encoders.panorama import LONGEST, mean_of_parts, parts_of
from xmodal.encoders.runtime import Session
from xmodal.encoders.spec import EncoderSpec

_BATCH = 32
# Below this many inputs at once, importing PyTorch and filling a GPU costs more than it saves.
_GPU_WORTHWHILE = 64


class OpenClipEncoder:
    """Any model of open_clip as an :class:`~xmodal.encoders.base.Encoder`.

    The first use of a model exports both towers to ONNX and its tokenizer to JSON, into
    :func:`~xmodal.encoders.runtime.cache_dir`; afterwards neither PyTorch nor open_clip is
    imported on a CPU. A tower is loaded when it is first needed.

    Args:
        spec: a parsed spec of the kind ``open_clip``.
        offline: forbid connections.
        notify: told in one line that the model is being exported.

    Raises:
        EncoderError: if the model or its weights do not exist, cannot be fetched, hold code, or
            cannot be exported.
    """

    def __init__(
        self, spec: EncoderSpec, *, offline: bool = False, notify: Notify | None = None
    ) -> None:
        self._exported = ExportedModel(spec, offline=offline, notify=notify)
        self.id = self._exported.id
        self.spec = str(spec)
        self.dim = self._exported.dim
        self.image_size = max(self._exported.preprocess.size)
        self._sessions: dict[str, Session] = {}
        self._tokenizer: Any = None
        self._torch_towers: dict[str, Any] | None = None

    def encode_images(self, images: Sequence[Image.Image]) -> Features:
        """Features of upright RGB pictures of any size: float32 ``(n, dim)``, L2-normalised.

        A picture more than twice as long as wide is the mean of its parts; of another, the model's
        own preprocessing decides what is seen.
        """
        # Where the middle square is cropped out, parts that are no longer than wide lose little.
        cropped = self._exported.preprocess.resize_mode == "shortest"
        split = [parts_of(image, 1.0 if cropped else LONGEST) for image in images]
        tiles = [tile for parts in split for tile in parts]
        run = self._tower(IMAGE, len(tiles))
        batches = [
            run(np.stack([self._exported.preprocess(tile) for tile in tiles[i : i + _BATCH]]))
            for i in range(0, len(tiles), _BATCH)
        ]
        if len(tiles) == len(images):
            return self._joined(batches)
        # Each part counts the same, whatever the length of its feature.
        return normalise(mean_of_parts(self._joined(batches), split))

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Features of texts: float32 ``(n, dim)``, L2-normalised.

        A text longer than the model's context is cut, as open_clip does it.
        """
        run = self._tower(TEXT, len(texts))
        if self._tokenizer is None and texts:
            self._tokenizer = self._exported.tokenizer()
        parts = [run(self._tokenizer(texts[i : i + _BATCH])) for i in range(0, len(texts), _BATCH)]
        return self._joined(parts)

    def _joined(self, parts: list[NDArray[np.float32]]) -> Features:
        if not parts:
            return np.zeros((0, self.dim), np.float32)
        return normalise(np.concatenate(parts))

    def _tower(self, name: str, inputs: int) -> Any:
        """What computes a tower's features of one batch, on the device that suits ``inputs``."""
        if inputs == 0:
            return None
        if inputs >= _GPU_WORTHWHILE and gpu_available():
            return self._on_device(name, "cuda")
        if name not in self._sessions:
            self._sessions[name] = self._exported.session(name)
        return self._sessions[name].run

    def _on_device(self, name: str, device: str) -> Any:
        """The same by PyTorch, with the original weights."""
        import torch

        if self._torch_towers is None:
            from xmodal.encoders.checkpoint import load_model
            from xmodal.encoders.export import towers

            checkpoint = self._exported.checkpoint()
            model = load_model(checkpoint, offline=self._exported.offline).to(device)
            image_tower, text_tower = towers(model)
            self._torch_towers = {IMAGE: image_tower, TEXT: text_tower}
        tower = self._torch_towers[name]

        def run(batch: NDArray[Any]) -> NDArray[np.float32]:
            with torch.inference_mode():
                return tower(torch.from_numpy(batch).to(device)).float().cpu().numpy()

        return run


def gpu_available() -> bool:
    """Whether PyTorch can use a GPU.

    The driver's traces are looked for first, since importing PyTorch only to learn that there
    is no GPU costs a search a second.
    """
    driver = any(Path(place).exists() for place in ("/proc/driver/nvidia/version", "/dev/kfd"))
    if not driver and shutil.which("nvidia-smi") is None:
        return False
    import torch

    return torch.cuda.is_available()
