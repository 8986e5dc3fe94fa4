"""What rclip needs to search without a network: its index, full of random vectors, and a model.

The model stands in for rclip's: the same text tower (ViT-B-32-256 of open_clip), in 32-bit floats,
with random weights. It costs what rclip's costs where that has 32-bit floats, and finds nothing
sensible; the program that searches is rclip's own, unchanged.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

FILL = """
import sys
from pathlib import Path
import numpy as np
from rclip import model_download
from rclip.db import DB
from rclip.model import Model

data, photos, folder = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if not (data / "db.sqlite3").exists():
    rng = np.random.default_rng(0)
    database = DB(data / "building.sqlite3")
    for number in range(photos):
        vector = rng.standard_normal(Model.VECTOR_SIZE, dtype=np.float32)
        vector /= np.linalg.norm(vector)
        database.upsert_image(
            {"filepath": f"{folder}/{number // 100:06d}/{number % 100:02d}.jpg", "modified_at": 0.0,
             "size": 0, "vector": vector.tobytes(), "hash": None}, commit=False)
    database.close()
    (data / "building.sqlite3").rename(data / "db.sqlite3")
import json
names = ("TEXTUAL_ONNX", "VISUAL_ONNX")
print(json.dumps([*(f"{model_download.MODEL_SUBDIR}/{getattr(model_download, n)}" for n in names),
                  model_download.TOKENIZER_VOCAB]))
"""


def prepare(python: Path, folder: Path, photos: int) -> tuple[list[str], dict[str, str], Path]:
    """Make what is not there yet; the command, the environment and the folder of a search."""
    data, pictures = folder / f"rclip-{photos}", folder / "photos"
    for path in (data, pictures):
        path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [python, "-c", FILL, data, f"{photos}", pictures.resolve()],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    text, visual, vocabulary = (data / name for name in json.loads(done.stdout))
    for path in (text, vocabulary):
        path.parent.mkdir(exist_ok=True)
    visual.touch()  # a search by words does not read it
    if not text.exists():
        _write_text_tower(text)
    if not vocabulary.exists():
        import open_clip

        shutil.copy(Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz"), vocabulary)
    command = [str(python.with_name("rclip")), "--no-indexing", "a dog on the beach"]
    return command, os.environ | {"RCLIP_DATADIR": str(data.resolve())}, pictures


def _write_text_tower(path: Path) -> None:
    import open_clip
    import torch

    from xmodal.encoders.runtime import export_onnx

    model = open_clip.create_model("ViT-B-32-256", pretrained=None).eval()

    class Text(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            del self.model.visual

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.model.encode_text(tokens)

    tokens = open_clip.get_tokenizer("ViT-B-32-256")(["a dog on the beach", "a cat"])
    export_onnx(Text(), tokens, path, input_name="input", output_name="output")
