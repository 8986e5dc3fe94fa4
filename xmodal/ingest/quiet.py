"""Keeps decoders' warnings about odd metadata away from the user."""

import threading
import warnings
from types import TracebackType
from typing import Any


class _QuietDecoders:
    """While any thread is inside, Pillow's warnings about odd metadata are not shown.

    ``warnings.catch_warnings`` alone must not be nested across threads: the filters of whoever
    leaves last would stay.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters: warnings.catch_warnings[Any] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.|pillow_heif")
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._filters is not None:
                self._filters.__exit__(kind, error, trace)
                self._filters = None


quiet_decoders = _QuietDecoders()
