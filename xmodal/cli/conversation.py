"""What `xmodal shell` does with a line: a query is answered, a command is obeyed."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from xmodal.cli.found import chosen, print_found, remark
from xmodal.cli.output import note, report
from xmodal.errors import UsageError, XmodalError
from xmodal.stopwatch import OFF, Stopwatch

if TYPE_CHECKING:
    from xmodal.library import Library
    from xmodal.results import SearchResult

HELP = """\
A line is a query, such as: beach -people date:2023 keyword:"Anna Maria"
  :k N        show at most N results
  :all        show the nearest also where chance explains them, or no longer
  :json       print JSON, or no longer
  :timing     say where the milliseconds went, or no longer
  :open N     open the picture of rank N of the last results
  :html FILE  write a page with the last results
  :help       this list
  :quit       end; Ctrl-D does it, too"""
COMMANDS = (":all", ":help", ":html", ":json", ":k", ":open", ":quit", ":timing")


@dataclass
class Conversation:
    """The settings that last from line to line, and what was found last."""

    library: "Library"
    k: int
    everything: bool
    plain: bool
    as_json: bool
    timing: bool
    encoder: str | None
    interactive: bool = field(default_factory=lambda: sys.stdin.isatty() and sys.stdout.isatty())
    _query: str = ""
    _results: list["SearchResult"] = field(default_factory=list)
    _matched: bool = False
    _failed: bool = False

    @property
    def exit_code(self) -> int:
        """Of all lines together: 2 where one was in error, 0 where any matched, else 1."""
        return 2 if self._failed else 0 if self._matched else 1

    def answer(self, line: str) -> bool:
        """Do what a line asks for and print what comes of it; false where it asks to end."""
        line = line.strip()
        if line == ":quit":
            return False
        try:
            if line.startswith(":"):
                self._obey(*line.partition(" ")[::2])
            elif line:
                self._search(line)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except (XmodalError, OSError) as error:
            self._failed = True
            report(error)
        except KeyboardInterrupt:
            if not self.interactive:
                raise
            note("interrupted")
        return True

    def say_timing(self, watch: Stopwatch, before: float = 0.0) -> None:
        """Say on stderr where the time went, if that is wanted."""
        if self.timing:
            note(watch.told(before))

    def _search(self, query: str) -> None:
        watch = Stopwatch() if self.timing else OFF
        found = self.library.search(
            query, k=self.k, encoder=self.encoder, plain=self.plain, watch=watch
        )
        self._query, self._results = query, chosen(found, self.everything)
        self._matched |= any(result.sure for result in self._results)
        with watch.part("print"):
            print_found(self._results, "json" if self.as_json else "table")
            remark(found, self._results, ":all")
        self.say_timing(watch)

    def _obey(self, command: str, argument: str) -> None:
        argument = argument.strip()
        if command == ":k":
            self.k = _number(":k", argument)
        elif command in (":all", ":json", ":timing"):
            name = {":all": "everything", ":json": "as_json", ":timing": "timing"}[command]
            setattr(self, name, not getattr(self, name))
            note(f"{command[1:]} is {'on' if getattr(self, name) else 'off'}")
        elif command == ":open":
            self._open(_number(":open", argument))
        elif command == ":html":
            self._write_page(argument)
        elif command == ":help":
            print(HELP)
        else:
            raise UsageError(f"there is no command {command}; :help lists them")

    def _open(self, rank: int) -> None:
        known = {result.rank: result.path for result in self._results}
        if rank not in known:
            raise UsageError(f"no result {rank} was shown; search first, then :open its number")
        if typer.launch(str(known[rank])):
            raise UsageError(f"{known[rank]}: no program was found that opens it")

    def _write_page(self, file: str) -> None:
        from xmodal.gallery import write_search_page

        if not file:
            raise UsageError("say where the page goes, such as :html found.html")
        if not self._query:
            raise UsageError("there are no results yet; search first, then :html FILE")
        note(f"written: {write_search_page(Path(file).expanduser(), self._query, self._results)}")


def _number(command: str, argument: str) -> int:
    if not (argument.isdecimal() and argument.isascii() and 0 < int(argument[:9]) == int(argument)):
        raise UsageError(f"{command} needs a whole number from 1 on, such as {command} 20")
    return int(argument)
