"""Files of named arrays, read one at a time: .npz, HDF5, and MATLAB's .mat of both kinds."""

import zipfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import UsageError

HDF5 = b"\x89HDF\r\n\x1a\n"
# MATLAB 7.3 puts its own header before the HDF5 it writes.
HDF5_OFFSETS = (0, 512)


class Container(ABC):
    """A file of named arrays."""

    transposed = False
    """Whether arrays may come with their axes in MATLAB's order, the items last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = self._names()

    @abstractmethod
    def _names(self) -> list[str]:
        """The variables in the file."""

    @abstractmethod
    def read(self, name: str) -> NDArray[Any]:
        """One variable."""

    @abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """Its shape, as cheaply as the format allows."""


def open_container(path: Path) -> Container:
    """The container in a file, told by its first bytes; UsageError if it is none."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.read(max(HDF5_OFFSETS) + len(HDF5))
    if any(head[offset:].startswith(HDF5) for offset in HDF5_OFFSETS):
        return _Hdf5(path)
    if zipfile.is_zipfile(path):
        return _Npz(path)
    if head.startswith(b"MATLAB 5.0") or path.suffix == ".mat":
        return _Matlab(path)
    raise UsageError(f"{path}: expected .npz, .mat or HDF5, found none of them")


class _Npz(Container):
    def _names(self) -> list[str]:
        with np.load(self.path, allow_pickle=False) as stored:
            return list(stored.files)

    def read(self, name: str) -> NDArray[Any]:
        with np.load(self.path, allow_pickle=False) as stored:
            return np.asarray(stored[name])

    def shape(self, name: str) -> tuple[int, ...]:
        return self.read(name).shape


class _Matlab(Container):
    """MATLAB's own format up to version 7."""

    def _names(self) -> list[str]:
        self._io = _optional("scipy.io", "scipy", self.path)
        try:
            self._shapes = {name: shape for name, shape, _ in self._io.whosmat(self.path)}
        except (ValueError, TypeError, NotImplementedError) as error:
            raise UsageError(f"{self.path}: not a readable .mat file ({error})") from error
        return list(self._shapes)

    def read(self, name: str) -> NDArray[Any]:
        value = self._io.loadmat(self.path, variable_names=[name])[name]
        return np.asarray(value.toarray() if hasattr(value, "toarray") else value)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._shapes[name])


class _Hdf5(Container):
    """MATLAB 7.3 and plain HDF5. Which of the two wrote it decides the order of the axes."""

    transposed = True

    def _names(self) -> list[str]:
        self._h5py = _optional("h5py", "h5py", self.path)
        with self._h5py.File(self.path, "r") as file:
            return [name for name in file if not name.startswith("#")]

    def read(self, name: str) -> NDArray[Any]:
        with self._h5py.File(self.path, "r") as file:
            stored = file[name]
            if "MATLAB_sparse" in stored.attrs:
                return _sparse(stored)
            if not isinstance(stored, self._h5py.Dataset):
                raise UsageError(f"{self.path}: {name}: expected an array, found a group")
            return np.asarray(stored[()])

    def shape(self, name: str) -> tuple[int, ...]:
        with self._h5py.File(self.path, "r") as file:
            stored = file[name]
            if "MATLAB_sparse" in stored.attrs:
                return (len(stored["jc"]) - 1, int(stored.attrs["MATLAB_sparse"]))
            return tuple(getattr(stored, "shape", ()))


def _sparse(group: Any) -> NDArray[Any]:
    """A sparse MATLAB matrix, its axes reversed as those of every array in such a file."""
    starts = np.asarray(group["jc"]).astype(np.int64)
    out = np.zeros((len(starts) - 1, int(group.attrs["MATLAB_sparse"])), np.float32)
    if "data" in group:
        columns = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        out[columns, np.asarray(group["ir"]).astype(np.int64)] = np.asarray(group["data"])
    return out


def _optional(module: str, package: str, path: Path) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{path}: reading it needs {package}: pip install 'xmodal[datasets]'"
        ) from error
