"""rclip's models with random weights, where its own cannot be fetched; and the same for xmodal.

Speed does not depend on the weights. rclip takes what lies in its data folder and asks nobody.
"""

import shutil
from pathlib import Path

ARCHITECTURE = "ViT-B-32-256"
_FOLDER = f"{ARCHITECTURE}-datacomp_s34b_b86k"  # the name that rclip 3 looks for


def rclip_standin(place: Path) -> tuple[str, Path]:
    """An xmodal encoder of random weights, and a data folder of rclip with the same; float32."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    from xmodal.encoders.export import towers
    from xmodal.encoders.runtime import export_onnx

    torch.manual_seed(0)
    model = open_clip.create_model(ARCHITECTURE, pretrained=None).eval()
    weights = place / "random.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights)

    data = place / "rclip"
    images, texts = towers(model)
    size = model.visual.image_size[0]
    examples = torch.randn(2, 3, size, size), open_clip.tokenize(["a", "b"])
    for name, tower, example in zip(("visual", "textual"), (images, texts), examples, strict=True):
        path = data / _FOLDER / f"{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(tower, example, path, input_name="input", output_name="output")
    vocabulary = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    (data / "tokenizer").mkdir()
    shutil.copy(vocabulary, data / "tokenizer")
    return f"open_clip:{ARCHITECTURE}/{weights}", data
