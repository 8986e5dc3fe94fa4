"""The query language: what queries mean, that they can be written back, and what errors say."""

import subprocess
import sys
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmodal.errors import QueryError
from xmodal.ingest.identity import clean_text
from xmodal.query.language import parse
from xmodal.query.terms import (
    Filter,
    Meaning,
    Query,
    TooManyClausesError,
    all_of,
    any_of,
    none_of,
)
from xmodal.query.values import FILTERS, HAS, TYPES, Between, Missing, Near, Span

TODAY = date(2024, 3, 1)


def clause(text):
    (found,) = parse(text, TODAY).clauses
    return found


def meanings(text):
    return [meaning.source for meaning in clause(text).meanings]


def value(text):
    (found,) = clause(text).filters
    return found.values[0]


@pytest.mark.parametrize(
    "text",
    [
        "C++", "rock'n'roll", "3*4", "10:30", "http://example.org/a?b=c", "-", "--", "a - b", "--x",
        "🐶", "犬と海", "l’été", ":)", "f(x)", "->", '6" pipe', "or", "Or", "ORANGE", "AND", "2*",
        "*", "a:b", "日付:2023", "C:\\photos", "50%", "#tag", "@me", "it's", "2* beach", "e.g.",
    ],
)  # fmt: skip
def test_what_looks_odd_is_still_a_word(text):
    assert clause(text).meanings == (Meaning(text),)


def test_adjacent_words_are_one_sentence_and_other_terms_part_them():
    assert meanings("a  dog\ton the　beach") == ["a dog on the beach"]
    assert meanings('a "red car" b') == ["a", "red car", "b"]
    assert meanings("a dog date:2023 a cat") == ["a dog", "a cat"]
    assert meanings("a dog (a cat)") == ["a dog", "a cat"]
    assert meanings("a dog 2*beach at noon") == ["a dog", "beach", "at noon"]


@pytest.mark.parametrize("quotes", ['""', "“”", "„“", "„”", "””", "«»", "»«", "「」", "『』"])
def test_every_kind_of_quotes_keeps_a_sentence_together(quotes):
    opening, closing = quotes
    assert meanings(f"a {opening}red car{closing} b") == ["a", "red car", "b"]
    assert value(f"keyword:{opening}hot dog{closing}") == "hot dog"


def test_a_doubled_quote_stands_for_itself():
    assert meanings('"6"" pipe"') == ['6" pipe']


def test_minus_excludes_a_meaning_and_negates_a_filter():
    found = clause('beach -people -"two dogs" -like:a.jpg -date:2023')
    assert found.meanings == (Meaning("beach"),)
    assert found.without == (Meaning("people"), Meaning("two dogs"), Meaning("a.jpg", "image"))
    assert [each.negated for each in found.filters] == [True]


def test_minus_before_a_group_holds_where_the_group_does_not():
    both = parse("-(dog date:2023)", TODAY).clauses
    assert [(len(one.without), len(one.filters)) for one in both] == [(1, 0), (0, 1)]
    assert parse("-(-dog)", TODAY) == parse("dog", TODAY)


def test_a_weight_counts_where_its_word_is_wanted_and_nowhere_else():
    assert parse("-(-(2*dog) cat)", TODAY).clauses[0].meanings == (Meaning("dog", weight=2.0),)
    assert parse("-(2*dog)", TODAY).clauses == parse("-dog", TODAY).clauses


def test_or_is_a_connective_in_capitals_only():
    assert [each.meanings[0].source for each in parse("red dog OR black cat").clauses] == [
        "red dog",
        "black cat",
    ]
    assert meanings("red or black") == ["red or black"]
    assert meanings('red "OR" black') == ["red", "OR", "black"]


def test_parentheses_bind_before_or():
    found = parse("(dog OR cat) (beach OR sea) -rating:1").clauses
    assert [[meaning.source for meaning in each.meanings] for each in found] == [
        ["dog", "beach"], ["dog", "sea"], ["cat", "beach"], ["cat", "sea"],
    ]  # fmt: skip
    assert all(len(each.filters) == 1 for each in found)


def test_a_parenthesis_inside_a_word_is_part_of_it():
    assert meanings("(f(x) g)") == ["f(x) g"]


def test_filters_are_known_in_letters_of_either_case():
    assert clause("KEYWORD:Cat").filters == (Filter("keyword", ("Cat",)),)
    assert clause("Type:RAW").filters == (Filter("type", ("raw",)),)


def test_a_comma_lists_what_will_do_also_with_a_space_behind_it():
    assert clause('keyword:cat,"a, b", dog x').filters[0].values == ("cat", "a, b", "dog")


def span(*numbers):
    return Span(datetime(*numbers[:3]), datetime(*numbers[3:]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023", span(2023, 1, 1, 2024, 1, 1)),
        ("2023-12", span(2023, 12, 1, 2024, 1, 1)),
        ("2024-2-29", span(2024, 2, 29, 2024, 3, 1)),
        ("2023-06..2024", span(2023, 6, 1, 2025, 1, 1)),
        ("2023-06-01T10", Span(datetime(2023, 6, 1, 10), datetime(2023, 6, 1, 11))),
        ('"2023-06-01 10:30"', Span(datetime(2023, 6, 1, 10, 30), datetime(2023, 6, 1, 10, 31))),
        ("2023-06-01T10:30:15..", Span(datetime(2023, 6, 1, 10, 30, 15), None)),
        ("..2023", Span(None, datetime(2024, 1, 1))),
        (">2023", Span(datetime(2024, 1, 1), None)),
        (">=2023-05", Span(datetime(2023, 5, 1), None)),
        ("<2023", Span(None, datetime(2023, 1, 1))),
        ("<=2023", Span(None, datetime(2024, 1, 1))),
        ("=2023", span(2023, 1, 1, 2024, 1, 1)),
        ("today", span(2024, 3, 1, 2024, 3, 2)),
        ("Yesterday", span(2024, 2, 29, 2024, 3, 1)),
        ("9999", Span(datetime(9999, 1, 1), None)),
    ],
)
def test_dates_are_read_as_far_as_they_are_written(text, expected):
    assert value(f"date:{text}") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rating:4", Between(4, 4)),
        ("rating:>=4", Between(4, None)),
        ("rating:>4", Between(5, None)),
        ("rating:<3", Between(None, 2)),
        ("rating:2..4", Between(2, 4)),
        ("rating:-1", Between(-1, -1)),
        ("rating:none", Missing()),
        ("width:..1000", Between(None, 1000)),
        ("near:48.85,2.35,5km", Near(48.85, 2.35, 5000)),
        ("near:-33.9,151.2", Near(-33.9, 151.2, 1000)),
        ("near:48.85, 2.35, 500M", Near(48.85, 2.35, 500)),
        ("near:0,0,1mi", Near(0, 0, 1609.344)),
    ],
)
def test_numbers_and_places(text, expected):
    assert value(text) == expected


ERRORS = {
    "": (0, "query is empty"),
    " \n ": (0, "query is empty"),
    "beach camra:fuji": (6, "did you mean camera:?"),
    "dtae:2023": (0, "did you mean date:?"),
    "beach (sunset": (6, "never closed"),
    "beach ) sunset": (6, "no parenthesis is open"),
    ")": (0, "no parenthesis is open"),
    "beach ()": (7, "nothing in these parentheses"),
    "OR beach": (0, "OR stands between"),
    "beach OR": (8, "OR stands between"),
    "a OR OR b": (5, "OR stands between"),
    "(a OR )": (6, "OR stands between"),
    'a "red car': (2, "quote is never closed"),
    'a ""': (2, "nothing between these quotes"),
    "a date:": (7, "a value is missing"),
    "a keyword:cat,": (14, "a value is missing"),
    'keyword:"a"b': (11, "a space or a comma"),
    "date:soon": (5, "is no date"),
    "date:2023-13": (5, "month must be in 1..12"),
    "date:2023,2024-02-30": (10, "is no date"),
    "date:2024..2023": (5, "ends before it begins"),
    "rating:good": (7, "no whole number"),
    "rating:5..1": (7, "ends before it begins"),
    "rating:>=": (7, "nothing to compare with"),
    "near:here": (5, "latitude,longitude"),
    "near:95,0": (5, "-90 to 90"),
    "near:0,0,0": (5, "greater than 0"),
    "type:tree": (5, "choose from"),
    "has:wings": (4, "choose from"),
    "orientation:up": (12, "portrait"),
    "0*beach": (0, "greater than 0"),
    "2*date:2023": (0, "a weight belongs to"),
    "2*(a b)": (0, "a weight belongs to"),
    "-2*beach": (1, "no weight"),
    "(" * 30: (20, "nested"),
    " ".join(f"(a{i} OR b{i})" for i in range(7)): (0, "more than 64"),
    "x \udcff": (0, "UTF-8"),
    "word " * 2001: (10_000, "longer than 10,000"),
}


@pytest.mark.parametrize("text", ERRORS)
def test_an_error_has_its_place_and_its_advice(text):
    with pytest.raises(QueryError) as caught:
        parse(text, TODAY)
    position, reason = ERRORS[text]
    assert (caught.value.position, reason in caught.value.reason) == (position, True), caught.value


def test_the_caret_stands_below_the_letter_also_after_wide_ones():
    with pytest.raises(QueryError) as caught:
        parse("犬と海 date:soon")
    query, caret = caught.value.pointer.splitlines()
    assert query == "  犬と海 date:soon"
    # Three letters of two columns, a space, and "date:".
    assert caret.index("^") == 2 + 6 + 1 + 5


def test_a_long_query_is_cut_around_the_error_and_shows_no_control_characters():
    with pytest.raises(QueryError) as caught:
        parse("\x1b[31m" + "word " * 100 + "date:soon" + " word" * 100)
    query, caret = caught.value.pointer.splitlines()
    assert len(query) < 130
    assert query[caret.index("^") :].startswith("soon")
    with pytest.raises(QueryError) as caught:
        parse("a\x1b[31m date:soon")
    assert "\x1b" not in caught.value.pointer


signs = st.sampled_from(
    [
        "OR", "-", "(", ")", '"', "“", "”", "«", "»", "2*", ".5*", "*", ":", ",", "..", ">=", " ",
        "a", "cat", "C++", "like:", "in:", "date:", "2023-06", "rating:", "near:", "48.8,2.3,5km",
        "camra:", "名", "\ud800", "é", "e\u0301", "\x00", "9" * 12, "0001", "9999", "none",
        *(f"{name}:" for name in FILTERS), *(kind.example for kind in FILTERS.values()),
    ]
)  # fmt: skip
odd_texts = st.one_of(st.text(), st.lists(signs, max_size=14).map("".join))


@settings(max_examples=600, deadline=None)
@given(odd_texts)
def test_any_text_is_a_query_that_can_be_written_back_or_a_query_error(text):
    try:
        query = parse(text, TODAY)
    except QueryError as caught:
        error = caught
    else:
        assert parse(str(query), TODAY) == query
        return
    assert 0 <= error.position <= len(text)
    assert str(error).startswith(error.reason)


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(clean_text).filter(bool)
paths = st.text(min_size=1).filter(str.strip)
weights = st.one_of(st.just(1.0), st.integers(1, 9000).map(lambda n: n / 9))
seconds = st.integers(0, 10**11).map(lambda s: datetime.min + timedelta(seconds=s))
spans = st.builds(
    lambda start, length, is_open: Span(start, None if is_open else start + length),
    seconds,
    st.integers(1, 10**8).map(lambda s: timedelta(seconds=s)),
    st.booleans(),
)
numbers = st.builds(
    lambda low, more: Between(low, None if more is None else low + more),
    st.integers(-5, 10**9),
    st.none() | st.integers(0, 10**9),
)
places = st.builds(Near, st.floats(-90, 90), st.floats(-180, 180), st.floats(1e-3, 2e7))


def any_value_of(name):
    strategies = {
        "date": spans, "rating": numbers | st.just(Missing()), "near": places, "width": numbers,
        "height": numbers, "type": st.sampled_from(TYPES), "has": st.sampled_from(HAS),
        "orientation": st.sampled_from(["portrait", "landscape", "square"]), "in": paths,
        "name": paths,
    }  # fmt: skip
    values = strategies.get(name, words)
    most = 3 if FILTERS[name].listed else 1
    return st.lists(values, min_size=1, max_size=most, unique=True).map(tuple)


filters = st.sampled_from(sorted(FILTERS)).flatmap(
    lambda name: st.builds(Filter, st.just(name), any_value_of(name), st.booleans())
)
leaves = (
    st.builds(Meaning, words, st.just("text"), weights)
    | st.builds(Meaning, paths, st.just("image"), weights)
    | filters
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(all_of),
        st.lists(inner, min_size=2, max_size=3).map(any_of),
        inner.map(none_of),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(trees)
def test_any_tree_is_written_as_a_query_that_means_it(tree):
    try:
        query = Query.of(tree)
    except TooManyClausesError:
        return
    assert parse(str(query), TODAY) == query


def test_the_language_is_read_without_numpy_and_the_database():
    """A command that mistypes a query is told so at once."""
    code = "import sys; from xmodal.query.language import parse; parse('beach date:2023'); "
    code += "sys.exit(bool({'numpy', 'sqlalchemy', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
