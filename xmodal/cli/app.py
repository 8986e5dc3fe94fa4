"""The program: its commands, and the edge where errors become one line and an exit code."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from xmodal.cli.annotate import annotate
from xmodal.cli.benchmark import benchmark
from xmodal.cli.demo import demo
from xmodal.cli.doctor import doctor
from xmodal.cli.duplicates import duplicates
from xmodal.cli.evaluate import evaluate
from xmodal.cli.index import index
from xmodal.cli.info import info
from xmodal.cli.options import LibraryFile, Offline, Shared
from xmodal.cli.output import note, prepare_streams, report, stop_writing
from xmodal.cli.purge import purge
from xmodal.cli.query_command import QueryCommand
from xmodal.cli.search import search
from xmodal.cli.shell import shell
from xmodal.cli.train import train
from xmodal.cli.tune import tune
from xmodal.errors import XmodalError

FOUND, NOTHING_FOUND, ERROR, INTERRUPTED = 0, 1, 2, 130


class Program(TyperGroup):
    """Runs a command; what may go wrong in any of them is handled here, once."""

    def invoke(self, ctx: Any) -> Any:
        prepare_streams()
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            # The reader has seen enough, as in `xmodal search sea | head -1`.
            stop_writing()
            raise typer.Exit(FOUND) from None
        except (XmodalError, OSError) as error:
            report(error)
            raise typer.Exit(ERROR) from error
        except KeyboardInterrupt:
            note("interrupted")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    # Plain help: it is printed in the time of importing typer, and docs/cli.md holds it as it is.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from xmodal import __version__

        typer.echo(f"xmodal {__version__}")
        raise typer.Exit()


@app.callback()
def program(
    context: typer.Context,
    library: LibraryFile = None,
    offline: Offline = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """A photo library that answers words.

    \b
    Begin with a folder, then ask:
      xmodal index ~/Photos
      xmodal search "a dog on the beach"
      xmodal search --image dog.jpg
      xmodal annotate dog.jpg

    \b
    --library and --offline may stand before or after the command.
    Exit codes: 0 found, 1 nothing found, 2 error.
    """
    context.obj = Shared(library, offline)


COMMANDS = (
    *(index, search, shell, duplicates, annotate, train, tune, evaluate, info, doctor),
    *(purge, benchmark, demo),
)
for command in COMMANDS:
    app.command(cls=QueryCommand if command is search else None)(command)
