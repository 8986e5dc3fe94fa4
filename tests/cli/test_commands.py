"""Each command does its job, prints what is documented, and ends with grep's exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from xmodal.cli.events import Events
from xmodal.ingest import pipeline
from xmodal.ingest.report import Progress

Run = Callable[..., Result]


def rows(result: Result) -> list[list[str]]:
    """The cells of tab-separated output."""
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_words_find_the_picture_that_shows_them(run: Run, indexed: Path) -> None:
    result = run("search", "red")
    assert result.exit_code == 0
    table = rows(result)
    assert [row[0] for row in table] == ["1", "2", "3"]
    assert {Path(row[-1]) for row in table} == set(indexed.rglob("00.*"))


def test_the_nearest_are_shown_on_request_also_where_chance_explains_them(
    run: Run, indexed: Path
) -> None:
    table = rows(run("search", "red", "--all"))
    assert [row[0] for row in table] == [str(i) for i in range(1, 11)]
    chances = [float(row[1]) for row in table]
    assert max(chances[:3]) < 0.01
    assert min(chances[3:]) > 0.1


def test_what_is_not_there_is_said_not_to_be_there(run: Run, indexed: Path) -> None:
    result = run("search", "hovercraft")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "nothing in this library matches; the nearest are " in result.stderr
    assert str(indexed) in result.stderr
    everything = run("search", "hovercraft", "--all")
    assert everything.exit_code == 1
    assert len(rows(everything)) == 10
    assert run("search", "hovercraft OR red", "--json").exit_code == 0


def test_unquoted_words_are_one_query(run: Run, indexed: Path) -> None:
    assert run("search", "red", "blue").stdout == run("search", "red blue").stdout


def test_a_picture_finds_itself_first(run: Run, indexed: Path) -> None:
    picture = indexed / "1" / "04.png"
    result = run("search", "--image", picture, "-k", 3)
    assert result.exit_code == 0
    assert len(rows(result)) == 3
    assert rows(result)[0][-1] == str(picture)


def test_search_json_has_exactly_the_documented_fields(run: Run, indexed: Path) -> None:
    result = run("search", "green", "--json", "-k", "4")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["rank"] for record in records] == [1, 2, 3]
    for record in records:
        assert list(record) == [
            *("rank", "path", "distance", "score", "chance", "sure", "seconds", "available"),
            *("taken", "caption", "keywords", "copies", "similar", "group", "explanation"),
        ]
        assert record["taken"] is None
        assert record["caption"] == "a green sheet"
        assert record["keywords"] == ["cool", "green"]
        assert (record["copies"], record["similar"]) == ([], 0)
        assert (record["group"], record["explanation"]) == (None, None)
        assert record["seconds"] is None
        assert Path(record["path"]).is_file()
        assert isinstance(record["distance"], int)
        assert isinstance(record["score"], float)
        assert isinstance(record["chance"], float)
        assert record["sure"] is True


def test_annotate_names_the_colour_from_the_captions(run: Run, indexed: Path) -> None:
    result = run("annotate", indexed / "0" / "02.jpg")
    assert result.exit_code == 0
    texts = [row[-1] for row in rows(result)]
    assert "blue" in texts[:4]
    assert "a blue sheet" in texts[:4]


def test_annotate_json_has_exactly_the_documented_fields(run: Run, indexed: Path) -> None:
    result = run("annotate", indexed / "0" / "02.jpg", "--json", "-k", 6)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["rank"] for record in records] == list(range(1, 7))
    for record in records:
        assert list(record) == ["rank", "text", "source", "distance", "score", "path"]
    sources = {record["source"] for record in records}
    assert "vocabulary" in sources
    assert sources <= {"caption", "keyword", "vocabulary"}


def events(result: Result) -> list[dict[str, Any]]:
    """What `index --json` printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_index_json_is_events_that_end_with_a_summary(run: Run, photo_folder: Path) -> None:
    told = events(run("index", photo_folder, "--encoder", "toy", "--json"))
    start = next(event for event in told if event["event"] == "start")
    assert start["path"] == str(photo_folder.resolve())
    assert (start["done"], start["total"]) == (0, 30)
    assert list(told[-1]) == [
        "event", "indexed", "unchanged", "moved", "removed", "failed", "words", "seconds",
    ]  # fmt: skip
    assert told[-1]["indexed"] == 30
    (photo_folder / "0" / "00.jpg").unlink()
    second = events(run("index", photo_folder, "--json"))
    assert (second[0]["event"], second[0]["done"], second[0]["total"]) == ("start", 29, 29)
    assert {**second[-1], "seconds": 0} == {
        "event": "done", "indexed": 0, "unchanged": 29,
        "moved": 0, "removed": 1, "failed": 0, "words": 0,
        "seconds": 0,
    }  # fmt: skip


def test_index_says_what_it_did_in_one_line(run: Run, photo_folder: Path) -> None:
    result = run("index", photo_folder, "--encoder", "toy")
    assert result.stdout.startswith("30 indexed, 0 unchanged, 0 moved, 0 removed, 0 failed in ")
    assert result.stdout.count("\n") == 1


def test_index_and_info_say_how_much_was_found_written(run: Run, photo_folder: Path) -> None:
    (photo_folder / "0" / "00.txt").write_text("A red sheet on a table", encoding="utf-8")
    result = run("index", photo_folder, "--encoder", "toy")
    assert ", 0 failed, 1 captions and keywords found in " in result.stdout
    told = dict(rows(run("info")))
    assert (told["captions"], told["people"], told["places"]) == ("1", "0", "0")
    assert told["pictures with"] == "a time: 0, a position: 0, a rating: 0"


def test_a_file_that_cannot_be_read_is_listed_and_the_rest_goes_on(
    run: Run, photo_folder: Path
) -> None:
    broken = photo_folder / "broken.jpg"
    broken.write_bytes(b"not a picture")
    result = run("index", photo_folder, "--encoder", "toy", "--json")
    assert result.exit_code == 2
    assert events(result)[-1]["indexed"] == 30
    assert events(result)[-1]["failed"] == 1
    assert [event["path"] for event in events(result) if event["event"] == "failed"] == [
        str(broken)
    ]
    assert f"xmodal: skipped {broken}: " in run("index", photo_folder).stderr
    assert run("search", "red").exit_code == 0


def test_info_counts_and_checks(run: Run, indexed: Path, library_file: Path) -> None:
    facts = json.loads(run("info", "--json").stdout)
    assert facts["path"] == str(library_file)
    assert facts["pictures"] == 30
    assert facts["encoders"] == ["toy:1"]
    assert facts["problems"] == []
    table = dict(row for row in rows(run("info")) if row[0] in ("pictures", "folder"))
    assert table == {"pictures": "30", "folder": str(indexed)}


def test_info_names_damage(run: Run, indexed: Path, library_file: Path) -> None:
    import sqlite3

    with sqlite3.connect(library_file) as database:
        database.execute("UPDATE segment SET codes = zeroblob(length(codes))")
    database.close()
    result = run("info")
    assert result.exit_code == 2
    assert "xmodal: damaged: " in result.stderr


def test_train_reports_quality_before_and_after(run: Run, indexed: Path) -> None:
    result = run("train", "--bits", "32", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["bits"] == 32
    assert set(report["before"]) == set(report["after"])
    facts = run("info").stdout
    assert "[" not in facts
    assert "{" not in facts
    told = dict(rows(run("train", "--bits", "32")))
    assert list(told)[:3] == ["code", "reason", "learned from"]
    assert " → " in told["words to pictures"]
    assert run("search", "red").exit_code == 0


def test_train_without_keywords_says_what_it_found_and_needs(run: Run, photo_folder: Path) -> None:
    assert run("index", photo_folder, "--encoder", "toy").exit_code == 0
    result = run("train")
    assert result.exit_code == 2
    assert "keyword" in result.stderr


def test_search_writes_a_page_of_what_it_found(run: Run, indexed: Path, tmp_path: Path) -> None:
    page = tmp_path / "found.html"
    result = run("search", "red", "--html", page)
    assert result.exit_code == 0
    assert "<html" in page.read_text(encoding="utf-8")
    assert len(rows(result)) == 3


@pytest.mark.parametrize("before", [True, False])
def test_shared_options_stand_before_or_after_the_command(
    run: Run, photo_folder: Path, tmp_path: Path, library_file: Path, before: bool
) -> None:
    other = tmp_path / "other" / "other.db"
    shared = ["--library", other, "--offline"]
    for command in (["index", photo_folder, "--encoder", "toy"], ["search", "red"], ["info"]):
        result = run(*shared, *command) if before else run(*command, *shared)
        assert result.exit_code == 0, result.output
    assert other.is_file()
    assert not library_file.exists()


def test_the_option_after_the_command_wins(run: Run, indexed: Path, library_file: Path) -> None:
    assert run("--library", "nowhere.db", "search", "red", "--library", library_file).exit_code == 0


def test_ctrl_c_keeps_what_was_indexed_and_the_next_run_continues(
    run: Run, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Events.show

    def impatient(self: Events, step: Progress) -> None:
        real(self, step)
        if step.done == 17:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Events, "show", impatient)
        patch.setattr(pipeline, "BATCH", 8)
        stopped = run("index", photo_folder, "--encoder", "toy", "--json")
    assert stopped.exit_code == 130
    assert "interrupted after 16 of 30 files; what was indexed stays" in stopped.stderr
    last = events(stopped)[-1]
    assert (last["event"], last["indexed"], last["left"]) == ("interrupted", 16, 14)
    rest = run("index", photo_folder)
    assert rest.stderr.splitlines()[0] == "xmodal: 16 of 30 files done, 14 left"
    assert rest.stdout.startswith("14 indexed, 16 unchanged, ")


def test_an_error_is_the_last_event(run: Run, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("index", tmp_path / "empty", "--json")
    assert result.exit_code == 2
    assert events(result)[-1]["event"] == "error"
    assert events(result)[-1]["message"] in result.stderr


ERRORS = {
    "empty query": (["search", "  "], "query is empty"),
    "no query": (["search"], "a query, an image, or both"),
    "k of zero": (["search", "red", "-k", "0"], "k must be at least 1, not 0"),
    "no picture": (["search", "--image", "none.jpg"], "none.jpg: no such picture"),
    "nothing to annotate": (["annotate", "none.jpg"], "none.jpg: no such picture"),
    "annotate k of zero": (["annotate", __file__, "-k", "0"], "k must be at least 1"),
    "not a picture": (["annotate", __file__], ""),
    "path missing": (["index", "nowhere"], "nowhere: no such file or folder"),
    "encoder missing": (["index", ".", "--encoder", "toi"], "toy"),
    "library missing": (["search", "red", "--library", "nowhere.db"], "nowhere.db"),
    "library is none": (["info", "--library", __file__], "test_commands.py"),
    "bits": (["train", "--bits", "12"], "12"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_one_line_and_exit_code_2(run: Run, indexed: Path, case: str) -> None:
    arguments, expected = ERRORS[case]
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("xmodal: error: ")
    assert expected in result.stderr
    assert "Traceback" not in result.stderr


def test_a_mistyped_option_is_exit_code_2(run: Run) -> None:
    assert run("search", "red", "--jsn").exit_code == 2
    assert run("serach").exit_code == 2


def test_nothing_found_is_exit_code_1(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"not a picture")
    assert run("index", folder, "--encoder", "toy").exit_code == 2
    for command in (["search", "red"], ["search", "red", "--json"]):
        result = run(*command)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr == "xmodal: nothing found\n"


def test_version_is_printed(run: Run) -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("xmodal ")


def test_index_reads_what_patterns_leave(run: Run, photo_folder: Path) -> None:
    index = ("index", photo_folder, "--encoder", "toy", "--json")
    (photo_folder / "0").rename(photo_folder / ".0")
    found = events(run(*index, "--include", "*.png", "--include", "*.webp"))[-1]
    assert found["indexed"] == 20
    found = events(run(*index, "--hidden", "--exclude", "*.PNG"))[-1]
    assert (found["indexed"], found["unchanged"], found["removed"]) == (10, 10, 10)
    refused = run(*index, "--exclude", "!")
    assert refused.exit_code == 2
    assert ".gitignore" in refused.stderr
