"""Index photographs and print how near the run is to what its stages allow on the same cores.

    python benchmarks/index.py [FOLDER] [--photos 400] [--encoder bundled] [--repeat 3]
    python benchmarks/index.py [FOLDER] --rclip VENV/bin/rclip

Without a FOLDER, photographs of 12 megapixels are made (``photos.py``) and kept in the cache.
Each of these is a process of its own, and they alternate:

- *encoder alone*: pictures that are decoded already, in the batches of an index run;
- *decoder alone*: the same decoder processes and threads, nothing else;
- *reader alone*: content hashes and metadata;
- *end to end*: ``Library.index`` into a new library, from loading the encoder to the last commit.

The *limit* is cores / (processor seconds a picture of the three, each measured alone): what a run
would reach in which no core ever waits and nothing else costs anything. *ratio* is end to end
before that limit. *others* is the share of the cores that other programs took meanwhile, with
this script among them. Where that is much, the second ratio tells more: of the processor seconds
that the run used or nobody used, the share that the stages need. What lowers it is *overhead*, what
the run used beyond its stages, and *idle*, the share that nobody used.

Memory is the sum of the resident memory of all processes of the run, sampled 20 times a second;
pages that they share count several times.

With ``--rclip`` the same folder goes through rclip 3 and through xmodal with the same architecture
and the same random weights (ViT-B-32-256, which is rclip's; speed does not depend on the weights).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from photos import make_photos
from standin import rclip_standin

from xmodal.encoders.runtime import cache_dir

LAUNCHER = Path(__file__).parents[1] / "cli.py"
TICKS = os.sysconf("SC_CLK_TCK")
STAGES = ("encoder", "decoder", "reader")


@dataclass(frozen=True)
class Run:
    """A command that was watched: what it printed, seconds, processor seconds, peak bytes.

    ``busy`` and ``idle`` are processor seconds of the whole machine meanwhile.
    """

    output: str
    seconds: float
    cpu: float
    memory: int
    busy: float
    idle: float


def watch(command: Sequence[str | Path], **env: str) -> Run:
    """Run a command to its end, and look at it and its children meanwhile."""
    busy, idle = machine_seconds()
    started = time.monotonic()
    with subprocess.Popen(
        list(map(str, command)), env=os.environ | env, stdout=subprocess.PIPE, text=True
    ) as process:
        peak, cpu = 0, 0.0
        while process.poll() is None:
            memory, used = tree(process.pid)
            peak, cpu = max(peak, memory), max(cpu, used)
            time.sleep(0.05)
        assert process.stdout is not None
        output = process.stdout.read()
    seconds = time.monotonic() - started
    if process.returncode not in (0, 2):
        raise SystemExit(f"{command} ended with {process.returncode}")
    busy_after, idle_after = machine_seconds()
    return Run(output, seconds, cpu, peak, busy_after - busy, idle_after - idle)


def machine_seconds() -> tuple[float, float]:
    """Seconds of all cores since the start, busy and idle."""
    user, nice, system, idle, wait, irq, soft, *_ = (
        int(field) / TICKS for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    )
    return user + nice + system + irq + soft, idle + wait


def tree(root: int) -> tuple[int, float]:
    """Resident bytes and processor seconds of a process and all below it."""
    parents, sizes, ticks = {}, {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # The name, in brackets, may hold anything.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pid = int(folder.name)
            parents[pid] = int(fields[1])
            sizes[pid] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            ticks[pid] = int(fields[11]) + int(fields[12])
    members = []
    for pid in parents:
        ancestor = pid
        while ancestor not in (0, root):
            ancestor = parents.get(ancestor, 0)
        if ancestor == root:
            members.append(pid)
    return sum(sizes[pid] for pid in members), sum(ticks[pid] for pid in members) / TICKS


def spent() -> float:
    """Processor seconds of this process and of its decoders, which live as long."""
    return tree(os.getpid())[1]


def measure_stage(stage: str, folder: Path, encoder: str, most: int) -> None:
    """In a process of its own: print pictures, seconds and processor seconds of one stage."""
    from concurrent.futures import ThreadPoolExecutor

    from xmodal.encoders import load_encoder
    from xmodal.errors import MediaError
    from xmodal.ingest.decode import Picture
    from xmodal.ingest.decoders import decoders
    from xmodal.ingest.identity import content_hash
    from xmodal.ingest.pipeline import BATCH
    from xmodal.ingest.reading import THREADS
    from xmodal.ingest.walk import walk
    from xmodal.metadata import read_embedded, read_sidecars

    loaded = load_encoder(encoder, offline=True)
    files = list(walk(folder))
    files = files[:: max(1, len(files) // most)][:most]

    def decode(path: Path) -> Picture | None:
        try:
            return decoders.decode(path, loaded.image_size)
        except (MediaError, OSError):
            return None

    def decode_all(paths: Sequence[Path]) -> list[Picture]:
        with ThreadPoolExecutor(THREADS) as pool:
            return [picture for picture in pool.map(decode, paths) if picture is not None]

    def read(path: Path, sidecars: tuple) -> None:
        with path.open("rb") as stream:
            content_hash(stream)
            read_embedded(stream)
            read_sidecars(path.parent, sidecars)

    paths = [folder / file.relative_path for file in files]
    if stage == "encoder":
        images = [picture.image for picture in decode_all(paths)]
        loaded.encode_images(images[:BATCH])
    elif stage == "decoder":
        decode_all(paths[: 2 * THREADS])  # the processes are there, as they are in a long run
    before, started = spent(), time.monotonic()
    if stage == "encoder":
        for start in range(0, len(images), BATCH):
            loaded.encode_images(images[start : start + BATCH])
    elif stage == "decoder":
        decode_all(paths)
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(read, paths, [file.sidecars for file in files]))
    seconds = time.monotonic() - started
    print(json.dumps({"pictures": len(paths), "seconds": seconds, "cpu": spent() - before}))


def index_folder(folder: Path, encoder: str, library: Path) -> None:
    """In a process of its own: index, and print the counts, seconds and processor seconds."""
    from xmodal.library import Library

    before = spent()
    with Library.open(library, offline=True) as opened:
        report = opened.index([folder], encoder=encoder)
    cpu = spent() - before
    print(json.dumps({"pictures": report.indexed, "failed": report.failed,
                      "seconds": report.seconds, "cpu": cpu}))  # fmt: skip


def part(name: str, folder: Path, encoder: str, *options: str | Path) -> tuple[Run, dict]:
    """What this script prints as a process that does one of its parts."""
    run = watch([sys.executable, __file__, folder, "--part", name, "--encoder", encoder, *options])
    return run, json.loads(run.output)


def compare_with_limit(folder: Path, encoder: str, repeat: int, most: int) -> None:
    cores = len(os.sched_getaffinity(0))
    rows = []
    for number in range(repeat):
        stages = [part(name, folder, encoder, "--most", str(most))[1] for name in STAGES]
        with tempfile.TemporaryDirectory() as place:
            run, found = part("run", folder, encoder, "--library", Path(place) / "library.db")
            _, again = part("run", folder, encoder, "--library", Path(place) / "library.db")
        cpus = [stage["cpu"] / stage["pictures"] for stage in stages]
        limit = cores / sum(cpus)
        reached = found["pictures"] / found["seconds"]
        useful = sum(cpus) * found["pictures"]
        others = max(0.0, run.busy - found["cpu"]) / (run.idle + run.busy)
        rows.append(
            {f"{name} alone, pictures/s": stage["pictures"] / stage["seconds"]
             for name, stage in zip(STAGES, stages, strict=True)}
            | {f"{name}, processor ms a picture": 1e3 * cpu
               for name, cpu in zip(STAGES, cpus, strict=True)}
            | {
                f"limit of {cores} cores, pictures/s": limit,
                "end to end, pictures/s": reached,
                "ratio": reached / limit,
                "others": others,
                "**ratio of what others left**": useful / (found["cpu"] + run.idle),
                "overhead": found["cpu"] / useful - 1,
                "idle": run.idle / (run.idle + run.busy),
                "peak memory, MB": run.memory / 1e6,
                "second run, s": again["seconds"],
            }
        )  # fmt: skip
        print(f"round {number + 1}: {reached:.1f} of {limit:.1f} a second", file=sys.stderr)
    print(f"\n| {found['pictures']} pictures, {found['failed']} failed, {encoder} | median of "
          f"{repeat} |\n|---|---|")  # fmt: skip
    for name in rows[0]:
        print(f"| {name} | {median(row[name] for row in rows):.3g} |")


def compare_with_rclip(folder: Path, rclip: Path, repeat: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        encoder, data = rclip_standin(Path(place))
        rows = []
        # The first round is not counted: it exports the model.
        for number in range(repeat + 1):
            library = Path(place) / f"{number}.db"
            run = [sys.executable, LAUNCHER, "--offline", "--library", library, "index", folder]
            ours, ours_again = (watch([*run, "--encoder", encoder]) for _ in range(2))
            pictures = int(ours.output.partition(" ")[0].replace(",", ""))
            (data / "db.sqlite3").unlink(missing_ok=True)
            command = ["env", "-C", folder, rclip, "--filepath-only", "--top", "1", "sea"]
            theirs, theirs_again = (watch(command, RCLIP_DATADIR=str(data)) for _ in range(2))
            print(f"round {number}: {ours.seconds:.1f} and {theirs.seconds:.1f} s", file=sys.stderr)
            rows.append({
                "pictures/s": (pictures / ours.seconds, pictures / theirs.seconds),
                "processor ms a picture": (1e3 * ours.cpu / pictures, 1e3 * theirs.cpu / pictures),
                "peak memory, MB": (ours.memory / 1e6, theirs.memory / 1e6),
                "second run, s": (ours_again.seconds, theirs_again.seconds),
                "idle cores": (ours.idle / ours.seconds, theirs.idle / theirs.seconds),
            })  # fmt: skip
    print(f"\n| {pictures} pictures, whole commands, median of {repeat} | xmodal | rclip |")
    print("|---|---|---|")
    for name in rows[0]:
        ours, theirs = (median(row[name][i] for row in rows[1:]) for i in (0, 1))
        print(f"| {name} | {ours:.3g} | {theirs:.3g} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--photos", type=int, default=400, help="how many are made")
    parser.add_argument("--encoder", default="bundled")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--most", type=int, default=200, help="pictures that a stage takes")
    parser.add_argument("--rclip", type=Path, help="the program, in an environment of its own")
    parser.add_argument("--part", choices=(*STAGES, "run"), help=argparse.SUPPRESS)
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder
    if folder is None:
        folder = cache_dir() / "benchmarks" / f"photos-{arguments.photos}"
        make_photos(folder, arguments.photos)
    folder = folder.absolute()
    if arguments.part == "run":
        index_folder(folder, arguments.encoder, arguments.library)
    elif arguments.part:
        measure_stage(arguments.part, folder, arguments.encoder, arguments.most)
    elif arguments.rclip:
        compare_with_rclip(folder, arguments.rclip.absolute(), arguments.repeat)
    else:
        compare_with_limit(folder, arguments.encoder, arguments.repeat, arguments.most)


if __name__ == "__main__":
    main()
