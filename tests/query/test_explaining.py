"""An explanation says what happened: distances, places and chances that can be checked."""

import io
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from xmodal.cli.app import app
from xmodal.hamming import HammingIndex
from xmodal.hashing import create_hasher, load_hasher
from xmodal.library import Library
from xmodal.query.ranking import Term, rank_terms


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


@pytest.fixture
def library(tmp_path: Path, photo_folder: Path, captions_file: Path):
    with Library.open(tmp_path / "library.db") as library:
        library.index([photo_folder], captions=captions_file, encoder="toy")
        yield library


def test_explaining_changes_no_result_and_is_left_out_unless_asked_for(library):
    plain = library.search("red", k=30)
    told = library.search("red", k=30, explain=True)
    assert [r.path for r in plain] == [r.path for r in told]
    assert all(result.explanation is None for result in plain)
    places = [result.explanation.feature_rank for result in told]
    assert places == sorted(places)
    assert sorted(r.explanation.hamming_rank for r in told) == list(range(1, len(told) + 1))
    assert all(r.explanation.semantic_bits is None for r in told)
    assert all(r.explanation.instance_bits == r.distance for r in told)
    by_code = library.search("red", k=30, explain=True, use_features=False)
    assert [r.explanation.asymmetric_rank for r in by_code] == list(range(1, len(by_code) + 1))
    assert by_code[0].explanation.feature_rank is None


def test_chances_of_the_terms_make_up_the_chance_of_the_result(library):
    (first, *_) = library.search("red 2*blue OR 3*green", k=1, explain=True)
    terms = first.explanation.terms
    weights = [term.weight for term in terms]
    mean = np.exp(np.average(np.log([term.chance for term in terms]), weights=weights))
    assert first.explanation.alternatives == 2
    assert first.chance == pytest.approx(2 * mean)
    (both, *_) = library.search('red 2*"a blue sheet"', k=1, explain=True)
    assert [(t.text, t.weight) for t in both.explanation.terms] == [("red", 1), ("a blue sheet", 2)]


def test_words_are_the_keywords_and_captions_that_have_those_asked_for(library):
    (first, *_) = library.search("red", k=1, explain=True)
    assert first.explanation.words == ["red", "a red sheet"]
    (warm, *_) = library.search("red keyword:warm", k=1, explain=True)
    assert warm.explanation.words == ["red", "a red sheet"]
    assert library.search("keyword:red", k=1, explain=True)[0].explanation is None


def test_the_picture_that_was_searched_with_is_a_term(library, photo_folder):
    image = photo_folder / "0" / "00.jpg"
    found = library.search("blue", image=image, k=1, explain=True)[0]
    assert [term.text for term in found.explanation.terms] == ["the picture", "blue"]


def test_the_halves_of_a_fused_code_make_up_its_distance():
    rng = np.random.default_rng(0)
    labels = rng.random((300, 4)) < 0.4
    images = (labels @ rng.standard_normal((4, 20)) + rng.standard_normal((300, 20))).astype("f4")
    texts = (images + 0.3 * rng.standard_normal((300, 20))).astype("f4")
    hasher = create_hasher("fused", bits=64).fit(images, texts, labels)
    file = io.BytesIO()
    hasher.save(file)
    file.seek(0)
    assert load_hasher(file).instance_start == hasher.instance_start == 24
    index = HammingIndex(64)
    codes = hasher.encode_images(images)
    index.add(np.arange(300), codes)
    found = rank_terms(
        [Term(texts[5], "text")], index, "image", hasher, 20, images.__getitem__, explain=True
    )
    bits = np.unpackbits(hasher.encode_texts(texts[5:6]) ^ codes, axis=1)[found.ids]
    assert found.stages.semantic.tolist() == bits[:, :24].sum(1).tolist()
    assert found.stages.instance.tolist() == bits[:, 24:].sum(1).tolist()


def test_the_command_prints_it_behind_the_results(library):
    arguments = ["search", "red", "--explain", "-k", "2", "--library", str(library.path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if line.startswith("#1\t")]
    assert "of 30 by bits" in lines[1]
    assert lines[2] == "#1\thas the words: red; a red sheet"
    assert lines[3].startswith("#1\tred: ")
