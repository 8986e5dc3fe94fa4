"""An encoder that is loaded when it is first asked for something."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from xmodal.encoders.base import Encoder


def lazy_encoder(load: Callable[[], Encoder]) -> Encoder:
    """What ``load`` gives, loaded once something of it is used; what that raises is raised then.

    Loading takes up to seconds, and a run that finds nothing new has nothing to encode.
    """
    return cast(Encoder, _Lazy(load))


class _Lazy:
    def __init__(self, load: Callable[[], Encoder]) -> None:
        self._load = load

    @cached_property
    def _encoder(self) -> Encoder:
        return self._load()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)
