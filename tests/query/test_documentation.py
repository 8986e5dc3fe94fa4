"""docs/query.md says what the parser does, and names every filter."""

import re
import shlex
from pathlib import Path

import pytest

from xmodal.errors import QueryError
from xmodal.query.language import parse
from xmodal.query.shell import from_arguments
from xmodal.query.values import FILTERS, HAS, TYPES

PAGE = (Path(__file__).parents[2] / "docs" / "query.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
COMMANDS = re.findall(r"^    xmodal search ([^#\n]+)", PAGE + README, re.MULTILINE)


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_of_the_tables_is_understood_as_more_than_a_sentence(query):
    understood = parse(query)
    assert parse(str(understood)) == understood
    if query != "a dog on the beach":
        (clause, *others) = understood.clauses
        extra = clause.filters or clause.without or len(clause.meanings) > 1 or others
        assert extra or clause.meanings[0].modality == "image"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_a_query(command):
    arguments = shlex.split(command)
    words = [word for word in arguments if word != "--"]
    if "--image" not in words:
        valued = ("-k", "--html", "--sort", "--group")
        options = {place for place, word in enumerate(words) if word in valued}
        kept = [w for i, w in enumerate(words) if i not in options and i - 1 not in options]
        kept = [word for word in kept if not word.startswith("--")]
        assert parse(from_arguments(kept)).clauses


def test_the_page_names_every_filter_and_every_choice():
    filters = {query.partition(":")[0] for query in QUERIES if query.partition(":")[0] in FILTERS}
    assert filters | {"height"} == set(FILTERS)
    rows = dict(re.findall(r"^\| `(\w+):[^`]*` \| (.+) \|$", PAGE, re.MULTILINE))
    assert set(TYPES) - {"jpg"} <= set(re.findall(r"`(\w+)`", rows["type"]))
    assert set(HAS) <= set(re.findall(r"`(\w+)`", rows["has"]))


def test_the_error_on_the_page_is_the_one_that_is_raised():
    with pytest.raises(QueryError) as caught:
        parse("beach camra:fuji")
    assert caught.value.reason in PAGE
    assert all(line in PAGE for line in caught.value.pointer.splitlines())


@pytest.mark.parametrize("name", FILTERS)
def test_the_example_of_a_filter_is_one_of_it(name):
    (clause,) = parse(FILTERS[name].example).clauses
    assert [each.name for each in clause.filters] == [name]
