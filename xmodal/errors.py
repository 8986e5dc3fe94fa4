"""Errors a user can act on: each message says what happened, where, and what to do next."""


class XmodalError(Exception):
    """Base of every error xmodal raises on purpose; the CLI prints it and exits with 2."""


class UsageError(XmodalError):
    """An argument is wrong: an empty query, ``k < 1``, a path that does not exist."""


class QueryError(UsageError):
    """A query cannot be understood: ``reason`` says why and what to write instead.

    ``position`` is the index of the character that it is about; ``pointer`` are two lines for a
    terminal, the query and a caret below that character.
    """

    def __init__(self, reason: str, pointer: str, position: int) -> None:
        super().__init__(f"{reason}\n{pointer}" if pointer else reason)
        self.reason = reason
        self.pointer = pointer
        self.position = position


class NothingThereError(UsageError):
    """A folder to be indexed is not there, cannot be read or holds no pictures."""


class LibraryError(XmodalError):
    """The library file cannot be used: not a library, too new, locked or damaged."""


class LibraryBusyError(LibraryError):
    """Another process is writing to the library."""


class DiskFullError(LibraryError):
    """The disk of the library is full; what was committed before stays."""


class EncoderError(XmodalError):
    """An encoder is unknown, cannot be loaded, or belongs to another feature space."""


class HasherError(XmodalError, ValueError):
    """A hasher is unknown, not fitted, or was given arrays that it cannot take."""


class CodesError(XmodalError, ValueError):
    """Codes, ids or ``k`` given to the Hamming engine have the wrong shape, dtype or value."""


class NotEnoughMemoryError(XmodalError, MemoryError):
    """What was asked for needs more memory than is free; nothing was allocated."""


class MediaError(XmodalError):
    """A file cannot be decoded; the message is the reason, without the path."""


class CaptionsError(XmodalError):
    """A captions file cannot be read; the message names the file and the line."""


class IndexInterrupted(KeyboardInterrupt):
    """Ctrl-C during an index run; ``report`` says what was committed before it.

    Not an :class:`XmodalError`: whoever catches errors must not swallow an interrupt.
    """

    def __init__(self, report: object) -> None:
        super().__init__("indexing was interrupted")
        self.report = report
