"""Many queries at once answer what each of them answers alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import COLOURS, ToyEncoder

from xmodal.errors import QueryError, UsageError
from xmodal.hamming import HammingIndex
from xmodal.library import Library
from xmodal.query.batch import ScannedTogether, read_queries

WORDS = st.sampled_from([*COLOURS, "sheet", "Hund"])
SENTENCES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
QUERIES = st.one_of(
    SENTENCES,
    st.tuples(SENTENCES, WORDS).map(lambda two: f"{two[0]} -{two[1]}"),
    st.tuples(WORDS, WORDS).map(lambda two: f"2*{two[0]} OR {two[1]}"),
    st.tuples(SENTENCES, st.sampled_from("012")).map(lambda two: f"{two[0]} in:{two[1]}/"),
    st.sampled_from(["keyword:red", "keyword:nothing", "red keyword:cool", "-warm"]),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def library(made: Path, photo_folder: Path, captions_file: Path) -> Iterator[Library]:
    path = made / "library.db"
    if not path.exists():
        photos = shutil.copytree(photo_folder, made / "photos")
        with Library.open(path) as new:
            new.index([photos], captions=photos / captions_file.name, encoder="toy")
    with Library.open(path) as library:
        yield library


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(QUERIES, max_size=8), st.integers(1, 12), st.booleans())
def test_many_queries_answer_what_each_answers_alone(
    library: Library, queries: list[str], k: int, use_features: bool
) -> None:
    alone = [library.search(query, k=k, use_features=use_features) for query in queries]
    assert library.search_many(queries, k=k, use_features=use_features) == alone


def test_all_texts_are_encoded_together_and_each_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    encode = ToyEncoder.encode_texts

    def counted(self: ToyEncoder, texts: list[str]) -> np.ndarray:
        asked.append(list(texts))
        return encode(self, texts)

    monkeypatch.setattr(ToyEncoder, "encode_texts", counted)
    library.search("red")  # loads the background, whose words are encoded once
    asked.clear()
    library.search_many(["red", "blue -green", "red", "blue OR red in:1/"])
    assert asked == [["red", "blue", "green"]]


def test_plain_queries_need_one_scan(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[int] = []
    search = HammingIndex.search

    def counted(self, codes, k, allowed=None):  # type: ignore[no-untyped-def]
        scans.append(len(codes))
        return search(self, codes, k, allowed)

    monkeypatch.setattr(HammingIndex, "search", counted)
    library.search_many(["red", "blue", "green", "yellow sheet"])
    assert scans == [4]


def test_no_queries_have_no_answers(library: Library) -> None:
    assert library.search_many([]) == []


def test_a_bad_query_is_named_before_anything_is_searched(library: Library) -> None:
    with pytest.raises(QueryError, match="line 2: there is no filter camra:") as raised:
        library.search_many(["red", "camra:fuji"])
    assert raised.value.position == 0
    with pytest.raises(UsageError, match="k must be at least 1"):
        library.search_many(["red"], k=0)


def test_a_file_of_queries_is_read_line_by_line() -> None:
    assert read_queries(["# a comment\n", "\n", " red car \r\n", "#no\n", "x"]) == ["red car", "x"]
    with pytest.raises(QueryError, match="line 3: "):
        read_queries(["red", "", "date:2023-13"])
    assert read_queries(["date:2023-13"], plain=True) == ["date:2023-13"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_a_shared_scan_gives_the_first_of_its_hits(seed: int, scanned: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    index = HammingIndex(16)
    index.add(np.arange(30), rng.integers(0, 4, (30, 2), dtype=np.uint8))
    codes = rng.integers(0, 4, (5, 2), dtype=np.uint8)
    together = ScannedTogether(index)
    together.scan(codes[:4], scanned)
    for code in codes:
        for allowed in (None, np.arange(0, 30, 3)):
            hits = together.search(code[None], k, allowed=allowed)
            expected = index.search(code[None], k, allowed=allowed)
            assert np.array_equal(hits.ids, expected.ids)
            assert np.array_equal(hits.distances, expected.distances)
