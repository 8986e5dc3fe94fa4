"""`train`, `tune` and `evaluate` print what they found in words, and as JSON what is documented."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Run = Callable[..., Result]


def test_tune_prints_the_curve_the_steps_and_the_next_command(run: Run, indexed: Path) -> None:
    result = run("tune")
    assert result.exit_code == 0, result.output
    table = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in table[:4]] == ["32", "64", "128", "256"]
    assert [row[1] for row in table[:4]] == ["4", "8", "16", "32"]
    told = dict(row for row in table if len(row) == 2)
    assert told["32 → 64 bits"].startswith("4 bytes more a picture, 4 MB for a million, would buy:")
    assert " bits, the shortest that keep 98 % of the best" in told["recommended"]
    recommended = told["recommended"].split()[0]
    expected = f"xmodal train --bits {recommended}"
    assert told["next"] == ("nothing, this length is in use" if recommended == "128" else expected)


def test_tune_json_is_one_record(run: Run, indexed: Path) -> None:
    report = json.loads(run("tune", "--json", "--keep", "0.5").stdout)
    assert list(report) == [
        "bits", "recommended", "keep", "sure", "pictures", "curve", "steps", "command", "seconds",
    ]  # fmt: skip
    assert report["keep"] == 0.5


def test_evaluate_prints_three_rankings_and_says_what_they_were_measured_on(
    run: Run, indexed: Path
) -> None:
    result = run("evaluate", "-k", "3")
    assert result.exit_code == 0, result.output
    table = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in table] == [
        "features", "code, 128 bits", "both, as searches do", "measured on", "training",
    ]  # fmt: skip
    assert all(" ± " in cell for row in table[:3] for cell in row[1:])
    assert table[3][1] == "30 pictures with 12 keywords and 30 captions"
    assert "xmodal train" in table[4][1]


def test_evaluate_json_is_one_record(run: Run, indexed: Path) -> None:
    report = json.loads(run("evaluate", "--json").stdout)
    assert list(report) == [
        "hasher", "bits", "pictures", "keywords", "captions", "k", "features", "code", "both",
        "trained", "seconds",
    ]  # fmt: skip


def test_what_is_missing_is_told_with_exit_code_2(run: Run, photo_folder: Path) -> None:
    assert run("index", photo_folder, "--encoder", "toy").exit_code == 0
    for command in (["evaluate"], ["tune"], ["train"]):
        result = run(*command)
        assert result.exit_code == 2
        assert result.stdout == ""
    assert "--captions FILE.csv" in run("evaluate").stderr


def test_train_names_rows_that_fit_no_picture_and_where_a_file_is_wrong(
    run: Run, indexed: Path, tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    rows = [f"{path.as_posix()},{'light' if path.stem < '05' else 'dark'}"
            for path in indexed.rglob("*.*") if path.suffix != ".csv"]  # fmt: skip
    file.write_text("\n".join(["file,labels", *rows, "none.jpg,dark"]) + "\n")
    result = run("train", "--labels", file, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "none.jpg: no such picture in the library" in result.stderr
    assert result.stdout.splitlines()[0].endswith("(dry run)")
    file.write_text("file,labels\n,dark\n")
    result = run("train", "--labels", file)
    assert result.exit_code == 2
    assert f"error: {file}, line 2: the column 'file' is empty" in result.stderr
