"""Finds weights in the hub's cache and fetches them; the only place that opens a connection."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from xmodal.errors import EncoderError

_PROBE_SECONDS = 3.0
# An answer by a proxy or gateway that lets nothing through is no answer by the hub.
_NO_WAY_THROUGH = (403, 407, 502, 503, 504)
_WAYS_OUT = (
    "use the encoder 'bundled', name a local file (open_clip:MODEL/FILE.safetensors), or load "
    "the encoder once on a machine with a network and copy its hub cache here (HF_HOME)"
)


def is_offline(offline: bool = False) -> bool:
    """Whether connections are forbidden: by argument, XMODAL_OFFLINE or HF_HUB_OFFLINE."""
    no = ("", "0", "no", "false", "off")
    variables = ("XMODAL_OFFLINE", "HF_HUB_OFFLINE")
    return offline or any(os.environ.get(name, "").lower() not in no for name in variables)


@contextlib.contextmanager
def hub_offline(offline: bool) -> Iterator[None]:
    """For the length of the block the hub's library opens no connection, if ``offline``."""
    if not offline:
        yield
        return
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported …
    constants = sys.modules.get("huggingface_hub.constants")
    imported_before = getattr(constants, "HF_HUB_OFFLINE", False)
    if constants is not None:  # … and this one afterwards
        constants.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before
        constants = sys.modules.get("huggingface_hub.constants")
        if constants is not None:
            constants.HF_HUB_OFFLINE = imported_before  # type: ignore[attr-defined]


def cached_file(repository: str, name: str) -> Path | None:
    """A file of a hub repository as the hub's cache holds it, without any connection."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name)
    return Path(found) if isinstance(found, str) else None


def fetch_file(repository: str, names: list[str], *, offline: bool = False) -> Path:
    """The first of ``names`` that a hub repository has: from the cache, else downloaded.

    Decides within 10 seconds that the hub cannot be reached; a download may take its time.

    Raises:
        EncoderError: if offline, unreachable, or the repository or the files do not exist.
    """
    for name in names:
        cached = cached_file(repository, name)
        if cached is not None:
            return cached
    if is_offline(offline):
        raise EncoderError(
            f"{names[0]} of {repository} is not in the hub cache, and connections are forbidden "
            f"(--offline, XMODAL_OFFLINE or HF_HUB_OFFLINE); {_WAYS_OUT}"
        )
    if not hub_reachable():
        raise EncoderError(
            f"{names[0]} of {repository} is not in the hub cache, and {hub_address()} cannot be "
            f"reached; {_WAYS_OUT}"
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names:
        try:
            return Path(hf_hub_download(repository, name, etag_timeout=5))
        except EntryNotFoundError as error:
            # The local kind means that the connection failed, not that the file is missing.
            if isinstance(error, LocalEntryNotFoundError):
                raise EncoderError(_failed(repository, name, error)) from error
        # The hub's library raises its own, its HTTP client's and the system's errors.
        except Exception as error:
            raise EncoderError(_failed(repository, name, error)) from error
    raise EncoderError(
        f"{repository} on {hub_address()} has none of {', '.join(names)}; check the name"
    )


def _failed(repository: str, name: str, error: Exception) -> str:
    reason = next(iter(str(error).strip().splitlines()), repr(error))
    return f"cannot fetch {name} of {repository} from {hub_address()}: {reason}; {_WAYS_OUT}"


def hub_address() -> str:
    """The hub's address as its library knows it (HF_ENDPOINT)."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def hub_reachable(seconds: float = _PROBE_SECONDS) -> bool:
    """Whether the hub answers one small request, decided within about ``seconds``.

    Asked through the proxies of the environment. The library's own retries take much longer to
    come to the same answer.
    """
    import urllib.error
    import urllib.request

    address = hub_address()
    answered: list[bool] = []

    def probe() -> None:
        request = urllib.request.Request(address, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=seconds):
                answered.append(True)
        except urllib.error.HTTPError as error:
            answered.append(error.code not in _NO_WAY_THROUGH)
        except (OSError, ValueError):
            answered.append(False)

    # A thread, because the time limit of a socket does not bound the look-up of a name.
    thread = threading.Thread(target=probe, name="hub-probe", daemon=True)
    thread.start()
    thread.join(seconds + 0.5)
    return bool(answered) and answered[0]
