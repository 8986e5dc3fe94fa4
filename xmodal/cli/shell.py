"""`xmodal shell`: many searches of a library that stays loaded."""

import time
from typing import Annotated

import typer

from xmodal.cli.conversation import Conversation
from xmodal.cli.options import (
    AsJson,
    Count,
    Everything,
    LibraryFile,
    Offline,
    SearchEncoder,
    Timing,
    open_library,
    use_one_blas_thread,
)
from xmodal.cli.prompt import lines_of
from xmodal.stopwatch import OFF, Stopwatch


def shell(
    context: typer.Context,
    k: Count = 10,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Take each line as one sentence, whatever signs are in it."),
    ] = False,
    everything: Everything = False,
    as_json: AsJson = False,
    timing: Timing = False,
    encoder: SearchEncoder = None,
    library: LibraryFile = None,
    offline: Offline = False,
) -> None:
    """Search again and again without loading anything twice.

    \b
    Examples:
      xmodal shell
      printf 'a dog\\na cat date:2023\\n' | xmodal shell --json

    Each line is a query, in the language of docs/query.md, written as it is: no shell takes its
    quotes away. Pictures that are indexed meanwhile are found. Lines that begin with a colon are
    commands; :help lists them. The Tab key completes filters, keywords, people and places; the
    arrow keys bring back earlier lines, which are kept in your state folder. Ctrl-C gives up a line
    or a search, Ctrl-D ends.

    In a pipe lines are read without a prompt, and printed is what `xmodal search` prints in one.
    Exit codes then: 0 something was found, 1 nothing was, 2 a line was in error; the lines after it
    are answered all the same.
    """
    use_one_blas_thread()
    watch = Stopwatch() if timing else OFF
    before = time.process_time()
    with open_library(context, library, offline, watch=watch) as opened:
        talk = Conversation(opened, k, everything, plain, as_json, timing, encoder)
        talk.say_timing(watch, before)
        for line in lines_of(opened, talk):
            if not talk.answer(line):
                break
    if not talk.interactive:
        raise typer.Exit(talk.exit_code)
