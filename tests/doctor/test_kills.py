"""A repair that is killed leaves a library that can be read, and repaired by the next one."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damages import HARMS

from xmodal.library import Library

MENDER = Path(__file__).with_name("mender.py")
HARMED = ("codes gone", "file without picture", "no default encoder", "killed replacement")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("steps", [0, 1, 5, 9])
def test_kill_at_any_moment_leaves_a_library_that_the_next_repair_completes(
    library_file: Path, changing: Callable[[Path], Any], answers: Callable[..., Any], steps: int
) -> None:
    with Library.open(library_file) as library:
        before = answers(library)
    with changing(library_file) as sql:
        for name in HARMED:
            HARMS[name].inflict(sql, random.Random(0))
    with subprocess.Popen(
        [sys.executable, MENDER, library_file], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "repairing\n"
        for _ in range(steps):
            assert process.stdout.readline() == "coding\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with Library.open(library_file) as library:
        library.search("red")
        kinds = {finding.kind for finding in library.doctor().findings}
        assert "file" not in kinds
        assert kinds
        assert library.doctor(repair=True).healthy
        assert library.doctor().findings == []
        assert answers(library) == before
