"""Filters find what a loop over all pictures finds, in real libraries."""

import fnmatch
import math
import os
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.orm import Session

from xmodal.query import filters as filters_module
from xmodal.query import newest as newest_module
from xmodal.query.filters import allowed_items
from xmodal.query.language import parse
from xmodal.query.newest import newest
from xmodal.query.places import EARTH_RADIUS, bounding_box, distances, path_prefixes
from xmodal.store.database import Database
from xmodal.store.models import Caption, Capture, File, Item, ItemKeyword, Keyword, Volume

VOLUMES = {1: "/photos", 2: "/media/disk/archive"}
RAW = {"cr2", "nef", "raf", "arw", "dng"}
JPEG = {"jpg", "jpeg", "jpe", "jfif", "mpo"}
VIDEO = {"mp4", "mov"}


@dataclass
class Picture:
    """What is known of one picture, as a brute force reads it."""

    files: list[tuple[int, str, str]]  # volume, path, state
    words: list[tuple[str, str]] = field(default_factory=list)  # kind, name
    captions: list[str] = field(default_factory=list)
    taken: datetime | None = None
    position: tuple[float, float] | None = None
    rating: int | None = None
    camera: str | None = None
    lens: str | None = None
    size: tuple[int, int] = (4000, 3000)

    @property
    def present(self) -> list[tuple[int, str]]:
        return [(volume, path) for volume, path, state in self.files if state == "present"]


def fill(session: Session, pictures: list[Picture]) -> None:
    """Write the pictures, with the ids 1, 2, …, into an empty library."""
    for table in (ItemKeyword, Keyword, Caption, Capture, File, Item, Volume):
        session.execute(delete(table))
    session.add_all(Volume(id=number, path=path) for number, path in VOLUMES.items())
    session.flush()
    texts: dict[str, int] = {}
    names: dict[str, int] = {}
    paths: set[tuple[int, str]] = set()

    def text_item(text: str) -> int:
        if text not in texts:
            texts[text] = 1000 + len(texts)
            digest = len(texts).to_bytes(16, "big")
            session.add(Item(id=texts[text], kind="text", content_hash=digest, text=text))
            session.flush()
        return texts[text]

    for number, each in enumerate(pictures, start=1):
        width, height = each.size
        session.add(
            Item(
                id=number, kind="image", content_hash=number.to_bytes(16, "big"),
                width=width, height=height,
            )
        )  # fmt: skip
        session.flush()
        each.files = [f for f in each.files if not (f[:2] in paths or paths.add(f[:2]))]
        for volume, path, state in each.files:
            session.add(
                File(
                    volume_id=volume, relative_path=path, size=1, mtime_ns=1, item_id=number,
                    state=state,
                )
            )  # fmt: skip
        for caption in set(each.captions):
            session.add(Caption(item_id=number, text_item_id=text_item(caption), source="csv"))
        for place, (kind, name) in enumerate(each.words):
            if name not in names:
                names[name] = 1 + len(names)
                session.add(Keyword(id=names[name], name=name, text_item_id=text_item(name)))
                session.flush()
            session.add(
                ItemKeyword(
                    item_id=number, keyword_id=names[name], source=f"source {place}", kind=kind
                )
            )
        if (each.taken, each.position, each.rating, each.camera, each.lens) != (None,) * 5:
            latitude, longitude = each.position or (None, None)
            session.add(
                Capture(
                    item_id=number, taken_at=each.taken, latitude=latitude, longitude=longitude,
                    rating=each.rating, camera=each.camera, lens=each.lens,
                )
            )  # fmt: skip
    session.flush()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database.open(tmp_path_factory.mktemp("filters") / "library.db")
    yield database
    database.close()


def filters_of(text: str):
    (clause,) = parse(text, date(2024, 3, 1)).clauses
    assert not clause.meanings
    assert not clause.without
    return clause.filters


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


# Each question beside what a person would check by looking at one picture.
def has_word(*wanted, kind=None):
    return lambda p: any(fold(n) in wanted and kind in (None, k) for k, n in p.words)


def in_folder(folder, volumes=(1, 2)):
    return lambda p: any(v in volumes and path.startswith(folder) for v, path in p.present)


def named(pattern):
    def found(picture):
        bases = [fold(path.split("/")[-1]) for _, path in picture.present]
        return any(fnmatch.fnmatchcase(base, pattern) for base in bases)

    return found


def suffixed(suffixes):
    return lambda p: any(path.lower().split(".")[-1] in suffixes for _, path in p.present)


def near(latitude, longitude, metres):
    """By the angle between two vectors: another formula than the one that is tested."""

    def vector(position):
        north, east = map(math.radians, position)
        return np.array(
            [math.cos(north) * math.cos(east), math.cos(north) * math.sin(east), math.sin(north)]
        )

    def found(picture):
        if picture.position is None:
            return False
        a, b = vector((latitude, longitude)), vector(picture.position)
        angle = math.atan2(float(np.linalg.norm(np.cross(a, b))), float(a @ b))
        return angle * EARTH_RADIUS <= metres

    return found


QUESTIONS = {
    "keyword:cat": has_word("cat"),
    "keyword:CAT,straße": has_word("cat", "strasse"),
    'keyword:"été"': has_word("été"),
    "person:anna": has_word("anna", kind="person"),
    "place:PARIS": has_word("paris", kind="place"),
    "caption:dog": lambda p: any("dog" in fold(c) for c in p.captions),
    "caption:ÉTÉ,100%": lambda p: any("été" in fold(c) or "100%" in c for c in p.captions),
    "caption:SS": lambda p: any("ss" in fold(c) for c in p.captions),
    "camera:fuji": lambda p: "fuji" in fold(p.camera or ""),
    "lens:MM,ø": lambda p: any(part in fold(p.lens or "") for part in ("mm", "ø")),
    "date:2023": lambda p: p.taken is not None and p.taken.year == 2023,
    "date:2023-06..2024-01-01": lambda p: (
        p.taken is not None and datetime(2023, 6, 1) <= p.taken < datetime(2024, 1, 2)
    ),
    "date:>=2024,<2023": lambda p: p.taken is not None and p.taken.year != 2023,
    "date:2023-12-31T23:59": lambda p: (
        p.taken is not None and p.taken.isoformat().startswith("2023-12-31T23:59")
    ),
    "rating:>=4": lambda p: (p.rating or 0) >= 4,
    "rating:none": lambda p: p.rating is None,
    "rating:none,..1": lambda p: p.rating is None or p.rating <= 1,
    "near:48.85,2.35,500km": near(48.85, 2.35, 500_000),
    "near:0,179.9,100km": near(0, 179.9, 100_000),
    "near:0,-179.9,100km": near(0, -179.9, 100_000),
    "near:89.5,0,200km": near(89.5, 0, 200_000),
    "near:-89.9,0,20000km": near(-89.9, 0, 20_000_000),
    "in:holidays/": in_folder("holidays/"),
    "in:holidays/2023": in_folder("holidays/2023/"),
    "in:Holidays": in_folder("Holidays/"),
    "in:/photos/holidays": in_folder("holidays/", (1,)),
    "in:/media": in_folder("", (2,)),
    "in:/photos/../photos/": in_folder("", (1,)),
    'in:"fête d\'été"': in_folder(("f\u00eate d'\u00e9t\u00e9/", "fe\u0302te d'e\u0301te\u0301/")),
    "name:img_*": named("img_*"),
    "name:*.JPG": named("*.jpg"),
    "name:img_?.jpg": named("img_?.jpg"),
    "name:*m*_*": named("*m*_*"),
    "name:IMG_1.jpg": named("img_1.jpg"),
    "name:ÉTÉ*": named("été*"),
    "name:x[1].jpg": named("x[[]1].jpg"),
    "name:*ss*": named("*ss*"),
    "type:raw": suffixed(RAW),
    "type:jpeg,video": suffixed(JPEG | VIDEO),
    "type:image": lambda p: any(
        path.lower().split(".")[-1] not in VIDEO for _, path in p.present
    ),
    "has:date": lambda p: p.taken is not None,
    "has:gps,rating": lambda p: p.position is not None or p.rating is not None,
    "has:keyword": lambda p: bool(p.words),
    "has:person": lambda p: any(kind == "person" for kind, _ in p.words),
    "has:place": lambda p: any(kind == "place" for kind, _ in p.words),
    "has:caption": lambda p: bool(p.captions),
    "has:camera,lens": lambda p: bool(p.camera or p.lens),
    "width:>=4000": lambda p: p.size[0] >= 4000,
    "height:..3000": lambda p: p.size[1] <= 3000,
    "orientation:portrait": lambda p: p.size[0] < p.size[1],
    "orientation:landscape,square": lambda p: p.size[0] >= p.size[1],
}  # fmt: skip

FOLDERS = [
    "", "holidays/", "holidays/2023/", "holidays2/", "Holidays/", "img_/", "été/",
    "f\u00eate d'\u00e9t\u00e9/", "fe\u0302te d'e\u0301te\u0301/",
]  # fmt: skip
STEMS = [
    "IMG_1", "img_12", "imgx1", "ÉTÉ 1", "e\u0301te\u0301", "x[1]", "a%b_c", "Straße", "ſs",
    "m\udce9",
]  # fmt: skip
SUFFIXES = ["jpg", "JPG", "png", "CR2", "nef", "heic", "mp4", "MOV", "jpeg"]
STATES = ["present", "present", "present", "missing", "failed"]
NAMES = ["cat", "Cat", "CATS", "Anna", "Paris", "Straße", "STRASSE", "e\u0301te\u0301", "Été"]
CAPTIONS = [
    "a dog", "DOGS", "L'ÉTÉ", "e\u0301te\u0301", "100% dog", "1000", "Straße", "ſſ", "a\x00dog",
]  # fmt: skip
TIMES = [
    None, datetime(2022, 12, 31, 23, 59, 59), datetime(2023, 1, 1), datetime(2023, 6, 15, 12, 30),
    datetime(2023, 12, 31, 23, 59, 30), datetime(2024, 1, 1), datetime(2024, 1, 2),
    datetime(2023, 12, 31, 23, 59, 59, 999_999),
]  # fmt: skip
LATITUDES = [0.0, 0.3, 48.8, 52.0, 89.0, 89.9, 90.0, -89.9, -90.0]
LONGITUDES = [0.0, 2.4, 7.0, 179.95, -179.95, 180.0, -180.0, 179.0, -90.0]
RATINGS = [None, -1, 1, 3, 4, 5]
CAMERAS = [None, "FUJIFILM X-T5", "Fuji", "Canon"]
LENSES = [None, "35MM", "Ø 50"]
SIZES = [(4000, 3000), (3000, 4000), (100, 100), (4001, 2999)]


def a_picture(choose) -> Picture:
    """A picture of which ``choose(list)`` chooses every part."""
    return Picture(
        files=[
            (choose([1, 2]), f"{choose(FOLDERS)}{choose(STEMS)}.{choose(SUFFIXES)}", choose(STATES))
            for _ in range(choose([1, 1, 2, 3]))
        ],
        words=[
            (choose(["keyword", "person", "place"]), choose(NAMES))
            for _ in range(choose([0, 1, 3]))
        ],
        captions=[choose(CAPTIONS) for _ in range(choose([0, 1, 2]))],
        taken=choose(TIMES),
        position=choose([None, (choose(LATITUDES), choose(LONGITUDES))]),
        rating=choose(RATINGS),
        camera=choose(CAMERAS),
        lens=choose(LENSES),
        size=choose(SIZES),
    )


@st.composite
def any_picture(draw: st.DrawFn) -> Picture:
    return a_picture(lambda options: draw(st.sampled_from(options)))


pictures = any_picture()


def expected(library: list[Picture], query: list[tuple[str, bool]]) -> list[int]:
    """Ids of the pictures that answer (question, whether it is negated) pairs."""
    return [
        number
        for number, picture in enumerate(library, start=1)
        if picture.present
        and all(QUESTIONS[question](picture) != negated for question, negated in query)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_each_filter_and_its_negation_find_what_a_look_at_every_picture_finds(database, seed):
    choose = random.Random(seed).choice
    library = [a_picture(choose) for _ in range(250)]
    with database.transaction() as session:
        fill(session, library)
        for question in QUESTIONS:
            for negated in (False, True):
                found = allowed_items(session, filters_of(f"{'-' if negated else ''}{question}"))
                assert found.tolist() == expected(library, [(question, negated)]), question


@settings(max_examples=40, deadline=None)
@given(
    st.lists(pictures, max_size=8),
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(sorted(QUESTIONS)), st.booleans()), min_size=1, max_size=3
        ),
        min_size=8,
        max_size=8,
    ),
    st.booleans(),
)
def test_filters_together_find_what_passes_all_of_them(database, library, queries, in_parts):
    with database.transaction() as session, pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters_module, "_IDS_A_TEXT", 3 if in_parts else 1 << 25)
        fill(session, library)
        for query in queries:
            text = " ".join(f"{'-' if negated else ''}{question}" for question, negated in query)
            found = allowed_items(session, filters_of(text)).tolist()
            assert found == expected(library, query), text


def test_every_question_is_answered_by_some_picture_and_not_by_another(database):
    """Else the comparison above could agree on nothing."""
    examples = [
        Picture(
            [(1, "holidays/2023/IMG_1.jpg", "present")], [("keyword", "Cat")], ["a dog"],
            datetime(2023, 12, 31, 23, 59, 30), (48.8, 2.4), 5, "Fuji", "35MM",
        ),
        Picture(
            [(2, "Holidays/ÉTÉ.CR2", "present")], [("person", "Anna"), ("place", "Paris")], ["ÉTÉ"],
            datetime(2024, 1, 2), (0.0, 179.95), 1, size=(3000, 4000),
        ),
        Picture(
            [(1, "fe\u0302te d'e\u0301te\u0301/x[1].jpg", "present")], [("keyword", "été")],
            ["Straße"], None, (89.9, 90.0), size=(100, 100),
        ),
        Picture([(1, "Straße.mp4", "present")]),
        Picture([(1, "holidays/gone.jpg", "missing")], position=(-90.0, 0.0), rating=4),
    ]  # fmt: skip
    with database.transaction() as session:
        fill(session, examples)
        for question in QUESTIONS:
            assert 0 < len(allowed_items(session, filters_of(question))) < 4, question


def test_a_library_without_pictures_allows_nothing(database):
    with database.transaction() as session:
        fill(session, [])
        assert allowed_items(session, ()).tolist() == []
        assert allowed_items(session, filters_of("-date:2023")).tolist() == []


def test_the_newest_come_first_then_those_without_a_date_by_path(database):
    library = [
        Picture([(1, "b.jpg", "present")], taken=datetime(2023, 1, 1)),
        Picture([(1, "a.jpg", "present")], taken=datetime(2023, 1, 1)),
        Picture([(1, "d.jpg", "present")], rating=1),
        Picture([(2, "z.jpg", "present"), (1, "z.jpg", "present")]),
        Picture([(1, "new.jpg", "present")], taken=datetime(2024, 1, 1)),
    ]
    with database.transaction() as session:
        fill(session, library)
        # /media/disk/archive stands before /photos.
        assert newest(session, np.arange(1, 6), 9).tolist() == [5, 2, 1, 4, 3]
        assert newest(session, np.array([1, 3, 5]), 2).tolist() == [5, 1]


@settings(max_examples=40, deadline=None)
@given(st.lists(pictures, min_size=1, max_size=12), st.integers(1, 14), st.integers(0, 4095))
def test_of_many_pictures_the_newest_are_those_that_sorting_all_finds(database, library, k, some):
    with database.transaction() as session, pytest.MonkeyPatch.context() as patch:
        fill(session, library)
        ids = np.array([i for i in allowed_items(session, ()).tolist() if some >> (i - 1) & 1], int)
        sorted_all = newest(session, ids, k).tolist()
        patch.setattr(newest_module, "_FEW", 0)
        assert newest(session, ids, k).tolist() == sorted_all
    assert len(sorted_all) == min(k, len(ids))


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-90, 90), st.floats(-180, 180), st.floats(1, 2e7), st.floats(0, 1),
    st.floats(0, 2 * math.pi),
)  # fmt: skip
def test_a_bounding_box_holds_every_point_of_its_circle(latitude, longitude, metres, part, bearing):
    north, angle = math.radians(latitude), part * metres / EARTH_RADIUS
    sine = math.sin(north) * math.cos(angle) + math.cos(north) * math.sin(angle) * math.cos(bearing)
    up = math.asin(max(-1.0, min(1.0, sine)))
    along = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(north),
        math.cos(angle) - math.sin(north) * sine,
    )
    there = math.degrees(up), (longitude + math.degrees(along) + 540) % 360 - 180
    far = distances(latitude, longitude, np.array([there[0]]), np.array([there[1]]))[0]
    south, top, sides = bounding_box(latitude, longitude, metres)
    if far <= metres:
        assert south <= there[0] <= top
        assert any(west <= there[1] <= east for west, east in sides)


def test_folders_may_be_written_from_where_one_is_or_from_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    assert path_prefixes("~/photos/x/", "/home/me/photos") == {"x"}
    monkeypatch.chdir(tmp_path)
    here = Path(os.getcwd())
    assert path_prefixes("./a", str(here)) == {"a"}
    assert path_prefixes("..", str(here)) == {""}
    assert path_prefixes("./a", "/elsewhere") == set()
    assert path_prefixes("a/../b//c", "/x") == {"b/c"}
