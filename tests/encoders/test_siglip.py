"""SigLIP-like models run from a folder, with a tokenizer of their own."""

import json

import numpy as np
import pytest
from PIL import Image

from xmodal.encoders import load_encoder

# As SigLIP 2: a timm tower with attention pooling, a text tower of its own, a hub tokenizer.
SIGLIP = {
    "embed_dim": 96,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 160,
        "timm_model_name": "test_vit3",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 300,
        "hf_tokenizer_name": "org/none",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 64,
        "heads": 2,
        "layers": 2,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        "act_kwargs": {"approximate": "tanh"},
    },
}
TEXTS = [
    "a dog on the beach",
    "",
    "Zwei Boote – bei Nebel!",
    "猫在海滩上 🐈",
    "very " * 200 + "long",
]


@pytest.fixture
def siglip_folder(tmp_path):
    """A hub repository's folder, as SigLIP models have it, with a tokenizer trained here."""
    import open_clip
    import tokenizers
    import torch
    from safetensors.torch import save_file

    bpe = tokenizers.SentencePieceBPETokenizer()
    bpe.train_from_iterator(
        ["a photo of a dog on the beach", "two boats", "zwei boote"] * 9,
        vocab_size=200,
        special_tokens=["<pad>", "<eos>", "<bos>", "<unk>"],
        show_progress=False,
    )
    bpe._tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    bpe.save(str(tmp_path / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": {"__type": "AddedToken", "content": "<eos>", "special": True},
        "add_bos_token": False,
        "add_eos_token": True,
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
    config = {"model_cfg": SIGLIP, "preprocess_cfg": preprocess}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{tmp_path}", load_weights=False)
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    return tmp_path


def test_siglip_with_timm_tower_and_hub_tokenizer_runs_from_a_folder(siglip_folder):
    import open_clip
    import torch

    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (h, 99, 3), np.uint8)) for h in (70, 190)]
    encoder = load_encoder(f"open_clip:local-dir:{siglip_folder}")
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{siglip_folder}")
    tokens = encoder._exported.tokenizer()(TEXTS)
    assert tokens.shape == (len(TEXTS), 16)
    assert tokens[1].tolist() == [1] + [0] * 15, "an empty text is its end mark and padding"
    assert (tokens[4] != 0).all()
    assert tokens[4, -1] == 1, "a long text is cut before its end mark"
    with torch.no_grad():
        model.eval()
        pixels = torch.stack([transform(picture) for picture in pictures])
        images = model.encode_image(pixels, normalize=True).numpy()
        texts = model.encode_text(torch.from_numpy(tokens), normalize=True).numpy()
    assert np.abs(encoder.encode_images(pictures) - images).max() < 1e-4
    assert np.abs(encoder.encode_texts(TEXTS) - texts).max() < 1e-4
