"""Finds the weights and the architecture behind an open_clip spec, and loads them."""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xmodal.encoders.hub import fetch_file, hub_offline, is_offline
from xmodal.encoders.runtime import quiet
from xmodal.encoders.spec import WEIGHTS_SUFFIXES, EncoderSpec, nearest
from xmodal.errors import EncoderError

if TYPE_CHECKING:
    import torch

CONFIG_NAME = "open_clip_config.json"
# The names that open_clip looks for, safetensors first.
WEIGHTS_NAMES = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
# open_clip's own default (OpenAI's CLIP), said here so that reading it imports no PyTorch.
_PREPROCESS: dict[str, Any] = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that can be loaded from this machine's disk.

    Attributes:
        name: the model's name in an encoder's id.
        architecture: what ``open_clip.create_model`` builds, without weights.
        weights: the file of the weights.
        config: the architecture as open_clip's JSON describes it.
        preprocess: what the weights ask for instead of the architecture's own preprocessing.
        quick_gelu: whether the weights were trained with the QuickGELU activation.
    """

    name: str
    architecture: str
    weights: Path
    config: dict[str, Any]
    preprocess: dict[str, Any]
    quick_gelu: bool = False


def find_checkpoint(spec: EncoderSpec, *, offline: bool = False) -> Checkpoint:
    """The checkpoint of an ``open_clip`` spec, fetched from the hub if need be.

    Raises:
        EncoderError: if the model, tag, folder or file does not exist (with the nearest name),
            or has to be fetched and cannot be.
    """
    if spec.model.startswith("hf-hub:"):
        repository = spec.model.removeprefix("hf-hub:")
        config = fetch_file(repository, [CONFIG_NAME], offline=offline)
        weights = fetch_file(repository, WEIGHTS_NAMES, offline=offline)
        return _from_folder(repository, config.parent, weights)
    if spec.model.startswith("local-dir:"):
        folder = Path(spec.model.removeprefix("local-dir:"))
        return _from_folder(folder.name, folder, _weights_in(folder))
    return _from_registry(spec, offline)


def _weights_in(folder: Path) -> Path:
    if not (folder / CONFIG_NAME).is_file():
        raise EncoderError(
            f"{folder} holds no {CONFIG_NAME}; name a folder with that file and weights "
            "beside it, as a hub repository of an open_clip model has them"
        )
    preferred = [folder / name for name in WEIGHTS_NAMES if (folder / name).is_file()]
    found = preferred or sorted(
        file for suffix in WEIGHTS_SUFFIXES for file in folder.glob(f"*{suffix}")
    )
    if not found or (len(found) > 1 and not preferred):
        names = ", ".join(file.name for file in found) or "none"
        raise EncoderError(
            f"{folder} must hold {WEIGHTS_NAMES[0]} or exactly one other file of weights; "
            f"found {names}"
        )
    return found[0]


def _from_folder(name: str, folder: Path, weights: Path) -> Checkpoint:
    path = folder / CONFIG_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        config = dict(content["model_cfg"])
        preprocess = _preprocess_of(dict(content.get("preprocess_cfg", {})))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EncoderError(
            f"{path} is not the configuration of an open_clip model ({error!r}); "
            "fetch it again, or check that the folder is the right one"
        ) from error
    return Checkpoint(name, f"local-dir:{folder}", weights, config, preprocess)


def _from_registry(spec: EncoderSpec, offline: bool) -> Checkpoint:
    import open_clip

    config = open_clip.get_model_config(spec.model)
    if config is None:
        raise EncoderError(
            f"open_clip has no model {spec.model}{nearest(spec.model, open_clip.list_models())}; "
            "open_clip.list_models() lists all"
        )
    tags = open_clip.list_pretrained_tags_by_model(spec.model)
    if isinstance(spec.weights, Path):
        if not spec.weights.is_file():
            raise EncoderError(
                f"there is no weights file {spec.weights}; check the path, or name a pretrained "
                f"tag of {spec.model}: {', '.join(tags) or 'it has none'}"
            )
        # A file does not say how pictures are prepared. Where all published weights of the
        # architecture agree, so do these; else open_clip's own default holds.
        asked = [_preprocess_of(open_clip.get_pretrained_cfg(spec.model, tag)) for tag in tags]
        agree = bool(asked) and all(other == asked[0] for other in asked)
        agreed = asked[0] if agree else _preprocess_of({})
        return Checkpoint(spec.model, spec.model, spec.weights, config, agreed)
    published = open_clip.get_pretrained_cfg(spec.model, str(spec.weights))
    if not published:
        raise EncoderError(
            f"{spec.model} has no pretrained weights {spec.weights}"
            f"{nearest(str(spec.weights), tags)}; it has: {', '.join(tags) or 'none'}"
        )
    repository, _, file = published["hf_hub"].rpartition("/")
    names = [file] if file else WEIGHTS_NAMES
    if file and not file.endswith(".safetensors"):
        names = [str(Path(file).with_suffix(".safetensors")), file]
    weights = fetch_file(repository, names, offline=offline)
    quick_gelu = bool(published.get("quick_gelu"))
    return Checkpoint(
        spec.model, spec.model, weights, config, _preprocess_of(published), quick_gelu
    )


def _preprocess_of(published: dict[str, Any]) -> dict[str, Any]:
    """The preprocessing that published weights ask for, complete: part of the encoder's id."""
    return {key: published.get(key, default) for key, default in _PREPROCESS.items()}


def load_model(checkpoint: Checkpoint, *, offline: bool = False) -> "torch.nn.Module":
    """The model with its weights, in evaluation mode on the CPU. No code is unpickled.

    Raises:
        EncoderError: if the file is damaged, holds more than weights, or does not fit the model.
    """
    import open_clip

    with quiet(), hub_offline(is_offline(offline)):
        try:
            model = open_clip.create_model(
                checkpoint.architecture,
                load_weights=False,
                pretrained_hf=False,  # the text tower's weights are in the checkpoint, too
                force_quick_gelu=checkpoint.quick_gelu,
                force_preprocess_cfg=checkpoint.preprocess,
            )
            open_clip.load_checkpoint(model, str(checkpoint.weights), weights_only=True)
        except pickle.UnpicklingError as error:
            raise EncoderError(
                f"{checkpoint.weights} holds more than weights and is not loaded, because that "
                "could run code of its author; save its state_dict as safetensors"
            ) from error
        # Damage shows as whatever the readers of the formats raise: none have a common base.
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), repr(error))
            raise EncoderError(
                f"cannot load {checkpoint.weights} as {checkpoint.name}: {reason[:300]}; check "
                "that the file is whole and that it was trained with this architecture"
            ) from error
    return model.eval()
