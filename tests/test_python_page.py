"""The examples of docs/python.md run, one after the other, as a reader would type them."""

import re
from pathlib import Path

import pytest

from xmodal import encoders
from xmodal.results import SearchResult

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_examples_run(
    photo_folder: Path, captions_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder with thirty coloured pictures; ``auto`` is the encoder that knows these."""
    load = encoders.load_encoder

    def load_toy(spec: str = "auto", **options: object) -> object:
        return load("toy" if spec == "auto" else spec, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("xmodal.opening.load_encoder", load_toy)
    photo_folder.rename(tmp_path / "Photos")
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    examples = list(re.finditer(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    assert len(examples) >= 9
    names: dict[str, object] = {}
    for example in examples:
        # Empty lines first, so that an error names the line of the page.
        lines = "\n" * (page[: example.start(1)].count("\n")) + example[1]
        exec(compile(lines, PAGE, "exec"), names)


def test_every_field_of_a_result_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in SearchResult.__dataclass_fields__:
        assert f"| `{name}` |" in page
