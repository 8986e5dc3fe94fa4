"""Writes an open_clip model as files that run without PyTorch: two towers and a tokenizer."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xmodal.encoders.checkpoint import Checkpoint, load_model
from xmodal.encoders.exported import FORMAT, IMAGE, META, TEXT, TOKENIZER
from xmodal.encoders.hub import fetch_file
from xmodal.encoders.preprocess import Preprocess
from xmodal.encoders.runtime import export_onnx, replacing
from xmodal.encoders.tokens import Tokenizer, reference_tokenizer
from xmodal.encoders.weights import sha256_of
from xmodal.errors import EncoderError

if TYPE_CHECKING:
    import torch

# Texts on which our tokenizer must give what open_clip's gives, chosen to break it.
_PROBES = [
    "a photo of a dog",
    "",
    "It's 1998: we'll see the CAT's 3,000 whiskers!!! (don't)",
    "  naïve café — “quotes” … ﬁne  &amp;amp; <b>html</b>\t\n tabs",
    "schöne Grüße aus München, Straße 12½",
    "猫在海滩上 犬が走る 고양이",
    "кошка на пляже, قطة على الشاطئ, בלי",
    "😀👩‍👩‍👧 e\u0301 ÅÅ ² ⅷ x_y_z #tag @user http://a.b/c?d=e",
    "word " * 200,
]


def export_model(
    checkpoint: Checkpoint, folder: Path, identity: str, *, offline: bool = False
) -> None:
    """Fill ``folder`` with the towers (ONNX), the tokenizer, and ``meta.json`` that describes them.

    ``meta.json`` is written last and holds the other files' SHA-256 and the encoder's id,
    ``identity``: a folder with a readable one is complete.

    Raises:
        EncoderError: if the model cannot be loaded or exported, or the folder not be written.
    """
    import open_clip
    import torch

    model = load_model(checkpoint, offline=offline)
    configured = open_clip.get_model_preprocess_cfg(model)
    size = configured["size"]
    height, width = (size, size) if isinstance(size, int) else size
    preprocess = Preprocess(
        size=(height, width),
        mean=tuple(configured["mean"]),
        std=tuple(configured["std"]),
        interpolation=configured["interpolation"],
        resize_mode=configured["resize_mode"],
        fill_color=configured["fill_color"],
    )
    tokenizer_meta = _save_tokenizer(checkpoint, folder / TOKENIZER, offline)
    if tokenizer_meta["kind"] == "json":
        tokenize: Any = Tokenizer(folder / TOKENIZER, tokenizer_meta["clean"])
    else:
        tokenize = reference_tokenizer(checkpoint.architecture, offline)
    tokens = torch.from_numpy(tokenize(["a photo of a dog", "two boats on a lake"]))
    pixels = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    image_tower, text_tower = towers(model)
    export_onnx(image_tower, pixels, folder / IMAGE, input_name="pixels", output_name="features")
    export_onnx(text_tower, tokens, folder / TEXT, input_name="tokens", output_name="features")
    with torch.no_grad():
        dim = int(text_tower(tokens).shape[1])
    files = [IMAGE, TEXT] + [TOKENIZER] * (tokenizer_meta["kind"] == "json")
    meta = {
        "format": FORMAT,
        "id": identity,
        "dim": dim,
        "preprocess": asdict(preprocess),
        "tokenizer": tokenizer_meta,
        "files": {name: sha256_of(folder / name) for name in files},
    }
    with replacing(folder / META) as target:
        target.write_text(json.dumps(meta, indent=1), encoding="utf-8")


def towers(model: "torch.nn.Module") -> tuple["torch.nn.Module", "torch.nn.Module"]:
    """The two towers of an open_clip model: pixels → features and token ids → features."""
    import torch

    class Tower(torch.nn.Module):
        def __init__(self, encode: str) -> None:
            super().__init__()
            self.model = model
            self.encode = encode

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = getattr(self.model, self.encode)(inputs)
            return features

    return Tower("encode_image").eval(), Tower("encode_text").eval()


def _save_tokenizer(checkpoint: Checkpoint, path: Path, offline: bool) -> dict[str, Any]:
    """Write ``tokenizer.json`` if it can stand for open_clip's tokenizer; how to tokenize."""
    text = checkpoint.config["text_cfg"]
    context = int(text.get("context_length", 77))
    settings = dict(text.get("tokenizer_kwargs", {}))
    clean = settings.pop("clean", "whitespace" if "hf_tokenizer_name" in text else "lower")
    by_open_clip = {"kind": "open_clip", "architecture": checkpoint.architecture}
    # These change the ids after tokenization in ways that no tokenizer.json describes.
    if settings or text.get("tokenizer_mode"):
        return by_open_clip
    if "hf_tokenizer_name" in text:
        built = _tokenizer_of_hub(checkpoint, text["hf_tokenizer_name"], context, offline)
    else:
        built = _tokenizer_of_clip(context)
    with replacing(path) as target:
        built.save(str(target))
    if "hf_tokenizer_name" in text and not _has_transformers():
        return {"kind": "json", "clean": clean}
    ours = Tokenizer(path, clean)(_PROBES)
    theirs = reference_tokenizer(checkpoint.architecture, offline)(_PROBES)
    return {"kind": "json", "clean": clean} if np.array_equal(ours, theirs) else by_open_clip


def _has_transformers() -> bool:
    from importlib.util import find_spec

    return find_spec("transformers") is not None


def _tokenizer_of_clip(context: int) -> Any:
    """CLIP's byte-pair encoding, from open_clip's own vocabulary."""
    import open_clip
    import tokenizers
    from tokenizers import Regex, models, pre_tokenizers, processors

    source = open_clip.SimpleTokenizer()
    start, end = "<start_of_text>", "<end_of_text>"
    merges = sorted(source.bpe_ranks, key=source.bpe_ranks.__getitem__)
    tokenizer = tokenizers.Tokenizer(
        models.BPE(vocab=source.encoder, merges=merges, end_of_word_suffix="</w>")
    )
    tokenizer.add_special_tokens([start, end])
    words = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, source.sot_token_id), (end, source.eot_token_id)],
    )
    tokenizer.enable_truncation(context)
    tokenizer.enable_padding(length=context, pad_id=0, pad_token="!")
    return tokenizer


def _tokenizer_of_hub(checkpoint: Checkpoint, repository: str, context: int, offline: bool) -> Any:
    """A tokenizer.json of the hub or of a local folder, with the settings of its config."""
    import tokenizers
    from tokenizers import processors

    paths = []
    for name in ("tokenizer.json", "tokenizer_config.json"):
        local = checkpoint.weights.parent / name
        paths.append(local if local.is_file() else fetch_file(repository, [name], offline=offline))
    tokenizer = tokenizers.Tokenizer.from_file(str(paths[0]))
    config = json.loads(paths[1].read_text(encoding="utf-8"))

    def token(role: str) -> str:
        value = config.get(role)
        return str(value["content"] if isinstance(value, dict) else value)

    if "add_eos_token" in config or "add_bos_token" in config:
        # Gemma and Llama decide by these flags, whatever template the file holds.
        roles = [role for role in ("bos", "eos") if config.get(f"add_{role}_token")]
        marks = {role: token(f"{role}_token") for role in roles}
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{marks.get('bos', '')} $A {marks.get('eos', '')}".strip(),
            special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in marks.values()],
        )
    pad = token("pad_token")
    pad_id = tokenizer.token_to_id(pad)
    if pad_id is None:
        raise EncoderError(f"{paths[1]} names no token for padding; fetch the tokenizer again")
    tokenizer.enable_truncation(context)
    tokenizer.enable_padding(
        length=context,
        pad_id=pad_id,
        pad_token=pad,
        direction=config.get("padding_side", "right"),
    )
    return tokenizer
