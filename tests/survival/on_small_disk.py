"""A program that runs commands where a disk of its own is mounted: ``on_small_disk.py DISK KB``.

It takes a JSON list of commands and prints a JSON list of [exit code, stdout, stderr]. A command is
one of xmodal, or ``fill KB`` (until so much is free), ``grow KB`` (the disk) or ``read-only``. The
disk vanishes with the process.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from xmodal.cli.app import app


def mount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], check=True)


def fill(disk: Path, left: int) -> None:
    """A file that leaves only so many KB."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    filler.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - 1024 * left)))


def run(disk: Path, command: list[str]) -> tuple[int, str, str]:
    match command:
        case ["fill", left]:
            fill(disk, int(left))
        case ["grow", size]:
            mount(disk, f"remount,size={size}k")
        case ["read-only"]:
            mount(disk, "remount,ro")
        case _:
            result = CliRunner().invoke(app, command, prog_name="xmodal")
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            return result.exit_code, result.stdout, result.stderr
    return 0, "", ""


def main() -> None:
    disk = Path(sys.argv[1])
    mount(disk, f"size={sys.argv[2]}k")
    print(json.dumps([run(disk, command) for command in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
