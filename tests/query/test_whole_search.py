"""A search equals the brute force: every picture scored for every alternative, in NumPy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import delete, select
from toy import COLOURS, ToyEncoder

from xmodal.encoders.background import load_background
from xmodal.encoders.base import normalise
from xmodal.hashing import create_hasher
from xmodal.library import Library
from xmodal.query.confidence import EXCLUDED_AT, FALSE_SHARE, Calibration, calibrate
from xmodal.spaces.code import replace_code
from xmodal.store.database import Database
from xmodal.store.features import write_features
from xmodal.store.models import CalibrationRecord, Capture, File, ItemKeyword, Keyword

PICTURES = 30
# Each example writes a library: making it smaller takes minutes, and tells little more.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
WORDS = list(COLOURS)[:5]


@dataclass
class Picture:
    """What a brute force knows of a picture."""

    item: int
    path: Path
    words: frozenset[str]
    rating: int | None
    year: int | None


Test = Callable[[Picture], bool]
FILTERS: dict[str, Test] = {
    "keyword:warm": lambda p: "warm" in p.words,
    "keyword:warm,old": lambda p: bool(p.words & {"warm", "old"}),
    "rating:>=3": lambda p: p.rating is not None and p.rating >= 3,
    "rating:none": lambda p: p.rating is None,
    "date:2020..2021": lambda p: p.year in (2020, 2021),
    "has:date": lambda p: p.year is not None,
    "in:1/": lambda p: p.path.parent.name == "1",
    "name:*7.png": lambda p: p.path.name.endswith("7.png"),
}

# A query as a tree: ("word", text, weight), ("filter", text), ("not", tree), ("and" | "or", trees).
words = st.tuples(st.just("word"), st.sampled_from(WORDS), st.sampled_from([1.0, 1.0, 2.0, 0.5]))
leaves = words | st.tuples(st.just("filter"), st.sampled_from(list(FILTERS)))
trees = st.recursive(
    leaves,
    lambda inner: (
        st.tuples(st.just("not"), inner)
        | st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3))
    ),
    max_leaves=5,
)


def written(tree) -> str:
    kind, *rest = tree
    if kind == "word":
        return f'"{rest[0]}"' if rest[1] == 1 else f'{rest[1]:g}*"{rest[0]}"'
    if kind == "filter":
        return rest[0]
    if kind == "not":
        return f"-({written(rest[0])})"
    return f"({(' OR ' if kind == 'or' else ' ').join(map(written, rest[0]))})"


def clauses_of(tree) -> list[tuple]:
    """The alternatives of a query, each once: words wanted, words excluded, filters."""

    def clause(literals) -> tuple:
        return (
            tuple(leaf for leaf, no in literals if leaf[0] == "word" and not no),
            tuple(leaf[1] for leaf, no in literals if leaf[0] == "word" and no),
            tuple((leaf[1], no) for leaf, no in literals if leaf[0] == "filter"),
        )

    return list(dict.fromkeys(map(clause, alternatives(tree))))


def alternatives(tree, negated=False) -> list[tuple]:
    """Each alternative: literals, and whether they are negated."""
    kind, *rest = tree
    if kind in ("word", "filter"):
        return [((tree, negated),)]
    if kind == "not":
        return alternatives(rest[0], not negated)
    parts = [alternatives(part, negated) for part in rest[0]]
    if (kind == "or") != negated:
        return [each for part in parts for each in part]
    return [sum(each, ()) for each in product(*parts)]


@dataclass
class World:
    """A library of pictures whose features and facts each example draws anew."""

    path: Path
    items: list[tuple[int, Path]]
    pictures: list[Picture]
    features: np.ndarray
    calibration: Calibration
    hasher: object

    def draw(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        encoder, database = ToyEncoder(), Database.open(self.path)
        blends = rng.dirichlet(np.full(len(COLOURS), 0.3), PICTURES)
        rows = blends @ encoder.encode_texts(list(COLOURS)) + 0.05 * rng.standard_normal(
            (PICTURES, 48)
        )
        features = normalise(rows.astype(np.float32)).astype(np.float16)
        ids = [item for item, _ in self.items]
        background = load_background(encoder)
        self.pictures = [
            Picture(
                item, path,
                frozenset(w for w in ("warm", "old", "Anna") if rng.random() < 0.4),
                int(rng.integers(1, 6)) if rng.random() < 0.6 else None,
                int(rng.integers(2019, 2024)) if rng.random() < 0.7 else None,
            )
            for item, path in self.items
        ]  # fmt: skip
        with database.transaction() as session:
            write_features(session, 1, ids, features)
            for table in (ItemKeyword, Capture, CalibrationRecord):
                session.execute(delete(table))
            numbers = dict(map(tuple, session.execute(select(Keyword.name, Keyword.id))))
            for place, each in enumerate(self.pictures):
                taken = each.year and datetime(each.year, 1 + place % 12, 1 + place % 28)
                session.add(Capture(item_id=each.item, taken_at=taken, rating=each.rating))
                session.add_all(
                    ItemKeyword(item_id=each.item, keyword_id=numbers[word], source="csv")
                    for word in each.words
                )
        self.features = features.astype(np.float32)
        self.hasher = create_hasher("itq", bits=64).fit(self.features, background.word_features)
        replace_code(database, 1, self.hasher, "itq", trained_on={})
        database.close()
        self.calibration = calibrate(self.features, background)

    def chance(self, word: str, pictures: int) -> np.ndarray:
        feature = ToyEncoder().encode_texts([word])[0]
        background = load_background(ToyEncoder())
        return self.calibration.chance(feature, "text", self.features, background, pictures)

    def cosines(self, word: str) -> np.ndarray:
        query = normalise(ToyEncoder().encode_texts([word]) - self.hasher.text_mean_)[0]
        return normalise(self.features - self.hasher.image_mean_) @ query

    def brute_force(self, tree) -> list[tuple[Path, float | None, float | None]]:
        """Path, score and chance of every picture that answers, first those that do for certain."""
        clauses = clauses_of(tree)
        asking = sum(bool(asked) for asked, _, _ in clauses)
        certain: set[int] = set()
        best: dict[int, tuple[float, float]] = {}
        for asked, excluded, filters in clauses:
            passing = [all(FILTERS[f](p) != no for f, no in filters) for p in self.pictures]
            shown = np.zeros(PICTURES, dtype=bool)
            for word in excluded:
                shown |= self.chance(word, 1) <= EXCLUDED_AT
            number = sum(passing)
            if asked and number:
                weights = [leaf[2] for leaf in asked]
                score = np.average([self.cosines(leaf[1]) for leaf in asked], 0, weights)
                logs = np.log(np.maximum([self.chance(leaf[1], number) for leaf in asked], 1e-300))
                chance = np.exp(np.average(logs, 0, weights)) * asking
            for place in np.flatnonzero(np.array(passing) & ~shown).tolist():
                if not asked:
                    certain.add(place)
                else:
                    high, low = best.get(place, (-np.inf, np.inf))
                    best[place] = max(high, float(score[place])), min(low, float(chance[place]))
        newest = sorted(certain, key=lambda place: str(self.pictures[place].path))
        newest.sort(key=self._taken, reverse=True)
        ranked = sorted(best.keys() - certain, key=lambda place: -best[place][0])
        return [(self.pictures[p].path, None, None) for p in newest] + [
            (self.pictures[p].path, *best[p]) for p in ranked
        ]

    def _taken(self, place: int) -> tuple[int, int, int]:
        year = self.pictures[place].year
        return (year, 1 + place % 12, 1 + place % 28) if year else (0, 0, 0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("whole")
    for number in range(PICTURES):
        path = root / "photos" / str(number % 3) / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40 + number), COLOURS[WORDS[number % 5]]).save(path)
    captions = root / "photos" / "words.csv"
    captions.write_text("file,keywords\n0/00.png,warm;old;Anna\n", encoding="utf-8")
    file = root / "library.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XMODAL_CACHE", str(root / "cache"))
        with Library.open(file, offline=True) as library:
            library.index([root / "photos"], captions=captions, encoder="toy")
        database = Database.open(file)
        with database.session() as session:
            rows = session.execute(select(File.item_id, File.relative_path)).all()
        database.close()
        items = sorted((item, root / "photos" / path) for item, path in rows)
        yield World(file, items, [], np.empty(0), None, None)


@settings(
    max_examples=25,
    deadline=None,
    phases=UNSHRUNK,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**32 - 1), st.lists(trees, min_size=4, max_size=4), st.integers(1, 9))
def test_a_search_finds_what_scoring_every_picture_finds(world, seed, asked, k):
    world.draw(seed)
    with Library.open(world.path) as library:
        for tree in asked:
            query = written(tree)
            expected = world.brute_force(tree)
            found = library.search(query, k=200, fold=False)
            assert [result.path for result in found] == [path for path, *_ in expected], query
            for result, (_, score, chance) in zip(found, expected, strict=True):
                assert (result.score is None) == (score is None)
                if score is not None:
                    assert result.score == pytest.approx(score, abs=1e-5)
                    assert result.chance == pytest.approx(chance, rel=1e-3)
            ordered = sorted(result.chance for result in found if result.score is not None)
            enough = [c for r, c in enumerate(ordered, start=1) if c <= FALSE_SHARE * r]
            limit = enough[-1] if enough else -1.0
            assert [result.sure for result in found] == [
                result.score is None or result.chance <= limit for result in found
            ]
            first = library.search(query, k=k, fold=False)
            assert [result.path for result in first] == [path for path, *_ in expected[:k]]
