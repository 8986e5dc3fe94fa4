"""A command whose words may begin with a minus: ``xmodal search beach -people``."""

from typing import Any

from typer.core import TyperCommand

# Put before such a word, so that it is no option to the parser; no argument can hold it.
_GUARD = "\0"


class QueryCommand(TyperCommand):
    """Takes ``-people`` for a word, ``-k 5`` and ``-k5`` for options, and ``--jsn`` for a mistake.

    Options of one letter are those that the command declares; longer words with one minus never
    are. Words are given to the parameter ``words`` as they were written.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, self._guarded(ctx, args))
        words = ctx.params.get("words")
        if words:
            ctx.params["words"] = type(words)(word.removeprefix(_GUARD) for word in words)
        return list(rest)

    def _guarded(self, ctx: Any, args: list[str]) -> list[str]:
        options = [option for option in self.get_params(ctx) if option.param_type_name == "option"]
        flags = {
            name for option in options if getattr(option, "is_flag", False) for name in option.opts
        }
        valued = {name for option in options for name in option.opts} - flags
        guarded: list[str] = []
        is_value = False
        for place, word in enumerate(args):
            if word == "--" and not is_value:
                return guarded + args[place:]
            is_word = word[:1] == "-" and word[1:2] not in ("", "-") and word not in flags | valued
            joined = word[:2] in valued and word[2:].isdigit()
            guarded.append(_GUARD + word if is_word and not joined and not is_value else word)
            is_value = word in valued and not is_value
        return guarded
