"""Hashers as files: an ``.npz`` with a JSON header, nothing that runs code when it is read."""

import json
import os
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import HasherError
from xmodal.hashing.base import Hasher, fitted_state
from xmodal.hashing.registry import hasher_class, make_hasher

FORMAT = 1
# Attributes of a hasher inside a hasher are stored under its attribute's name and this sign.
NESTED = "/"

# What NumPy and zipfile raise for files that are cut off, damaged or something else entirely.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
)


def save_hasher(hasher: Hasher, file: str | Path | BinaryIO) -> None:
    """Write a fitted hasher; a path is replaced in one step, so a crash leaves the old file."""
    arrays: dict[str, NDArray[Any]] = {}
    header = _describe(hasher, arrays, "")
    buffer = BytesIO()
    # savez types its keyword arguments as flags of its own.
    np.savez(buffer, header=np.array(json.dumps(header, default=_plain)), **arrays)  # type: ignore[arg-type]
    if not isinstance(file, str | Path):
        file.write(buffer.getbuffer())
        return
    path = Path(file)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(buffer.getbuffer())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_hasher(file: str | Path | BinaryIO) -> Hasher:
    """The hasher in a file written by ``Hasher.save``, whichever class it is.

    Raises HasherError if the file is not one, is damaged, or is from a newer xmodal.
    """
    where = f"{file}: " if isinstance(file, str | Path) else ""
    try:
        with np.load(file, allow_pickle=False) as stored:
            header = json.loads(str(stored["header"]))
            arrays = {name: stored[name] for name in stored.files if name != "header"}
    except FileNotFoundError:
        raise HasherError(f"{where}no such file; expected a hasher written by save()") from None
    except _UNREADABLE as error:
        raise _not_a_hasher(where, error) from error
    if not isinstance(header, dict) or not isinstance(header.get("format"), int):
        raise _not_a_hasher(where, "its header names no format")
    if header["format"] > FORMAT:
        raise HasherError(
            f"{where}expected hasher format up to {FORMAT}, found {header['format']}; "
            "it was written by a newer xmodal: upgrade xmodal to read it"
        )
    try:
        return _restore(header, arrays, "")
    except (KeyError, TypeError) as error:
        raise _not_a_hasher(where, error) from error


def _plain(value: object) -> object:
    """NumPy numbers among the parameters as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise HasherError(f"parameters: expected JSON values, found {value!r}")


def _not_a_hasher(where: str, reason: object) -> HasherError:
    return HasherError(
        f"{where}expected a hasher written by save(), found something else: {reason}"
    )


def _describe(hasher: Hasher, arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, Any]:
    """The JSON header of a hasher; its arrays are put into ``arrays``."""
    nested, shapes, values = {}, {}, {}
    for name, value in fitted_state(hasher).items():
        if isinstance(value, Hasher):
            nested[name] = _describe(value, arrays, f"{prefix}{name}{NESTED}")
        elif isinstance(value, np.ndarray):
            arrays[prefix + name] = value
            shapes[name] = value.shape
        else:
            values[name] = value
    return {
        "format": FORMAT,
        "class": hasher.name,
        "params": hasher.get_params(),
        "arrays": shapes,
        "values": values,
        "nested": nested,
    }


def _restore(header: dict[str, Any], arrays: dict[str, NDArray[Any]], prefix: str) -> Hasher:
    hasher = make_hasher(hasher_class(header["class"]), header["params"])
    state = dict(header["values"])
    for name, child in header["nested"].items():
        state[name] = _restore(child, arrays, f"{prefix}{name}{NESTED}")
    for name, shape in header["arrays"].items():
        state[name] = arrays[prefix + name]
        if list(state[name].shape) != shape:
            raise TypeError(f"{name} has shape {state[name].shape}, its header says {shape}")
    for name, value in state.items():
        if not name.endswith("_") or name.startswith("_"):
            raise TypeError(f"{name} is no fitted attribute")
        setattr(hasher, name, value)
    return hasher
