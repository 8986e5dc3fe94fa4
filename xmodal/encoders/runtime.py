"""Runs encoders in ONNX Runtime: the cache folder, the export from PyTorch, and sessions."""

import contextlib
import errno
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xmodal.errors import EncoderError

if TYPE_CHECKING:
    import torch

# An ONNX file is one protobuf message, which cannot exceed 2 GiB; above this the weights go
# into a second file beside it.
_ONE_FILE_BYTES = 1_800_000_000
_EXPORT_TOLERANCE = 1e-3
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cache_dir() -> Path:
    """Where derived files are kept that can be made again: exported models, backgrounds.

    The environment variable ``XMODAL_CACHE``, or the user's cache folder of the system. The
    folder may not exist yet; whoever writes makes it (see :func:`replacing`).
    """
    chosen = os.environ.get("XMODAL_CACHE")
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("xmodal", appauthor=False))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path in a private folder to write to, moved to ``path`` when the block ends well.

    Readers see the old file or the whole new one, never half of it, and two processes that
    write at once do not disturb each other. A file named like the yielded path with a suffix
    added (``model.onnx.data``) moves along, before it.

    Raises:
        EncoderError: if the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        private = Path(tempfile.mkdtemp(prefix=".writing-", dir=path.parent))
    except OSError as error:
        raise EncoderError(_cannot_write(path, error)) from error
    try:
        yield private / path.name
        for written in sorted(private.iterdir(), key=lambda file: -len(file.name)):
            os.replace(written, path.parent / written.name)
    except OSError as error:
        raise EncoderError(_cannot_write(path, error)) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _cannot_write(path: Path, error: OSError) -> str:
    return (
        f"cannot write {path}: {error.strerror or error}; "
        "make room or set XMODAL_CACHE to a folder that can be written to"
    )


def export_onnx(
    module: "torch.nn.Module",
    example: "torch.Tensor",
    path: Path,
    *,
    input_name: str,
    output_name: str,
) -> None:
    """Write a PyTorch module of one input and one output as an ONNX file, once and whole.

    Args:
        module: in evaluation mode, on the CPU.
        example: an input with a batch of 2 or more (a batch of 1 would be taken for a constant);
            axis 0 of the input and of the output is free in the exported model.
        path: where the file goes; replaced in one step. A model over 2 GiB also gets
            ``path.data`` beside it.

    Raises:
        EncoderError: if no exporter makes a model that computes what the module computes
            (relative error at most 1e-3), or if the cache is not writable.
    """
    import torch

    # The TorchScript exporter needs a tenth of the time of its successor, but is deprecated,
    # writes one file only, and takes fewer models: the successor is there for what is left.
    exporters = [_export_traced, _export_captured]
    if _needs_second_file(module):
        exporters.remove(_export_traced)
    # One row more than the example, so that a batch size baked into the model shows.
    check = torch.cat([example, example[:1]])
    reasons = []
    for exporter in exporters:
        with replacing(path) as target, torch.no_grad():
            try:
                with quiet():
                    exporter(module, example, target, input_name, output_name)
                difference = _relative_difference(Session(target), module, check)
            # The exporters raise many unrelated types, some of them bare Exceptions.
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _NO_ROOM:
                    raise
                reasons.append(_root_cause(error))
            else:
                if difference <= _EXPORT_TOLERANCE:
                    return
                reasons.append(f"the result is off by {difference:.2g} (relative)")
            for failed in target.parent.iterdir():
                failed.unlink()
    raise EncoderError(
        f"PyTorch {torch.__version__} cannot export this model for ONNX Runtime: "
        f"{' / '.join(reasons)}; update torch, onnx, onnxscript and onnxruntime, "
        "or choose another encoder"
    )


def _export_traced(
    module: "torch.nn.Module",
    example: "torch.Tensor",
    target: Path,
    input_name: str,
    output_name: str,
) -> None:
    import torch

    # The fused attention of evaluation mode has no ONNX counterpart.
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        torch.onnx.export(
            module,
            (example,),
            str(target),
            dynamo=False,
            opset_version=17,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_axes={input_name: {0: "batch"}, output_name: {0: "batch"}},
        )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _export_captured(
    module: "torch.nn.Module",
    example: "torch.Tensor",
    target: Path,
    input_name: str,
    output_name: str,
) -> None:
    import torch

    torch.onnx.export(
        module,
        (example,),
        str(target),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=_needs_second_file(module),
        verbose=False,
        input_names=[input_name],
        output_names=[output_name],
    )


def _root_cause(error: BaseException) -> str:
    """The first line of what went wrong first; an exporter's message only says at which step."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), "") or repr(error)


def _needs_second_file(module: "torch.nn.Module") -> bool:
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) > _ONE_FILE_BYTES


def _relative_difference(
    session: "Session", module: "torch.nn.Module", inputs: "torch.Tensor"
) -> float:
    expected = module(inputs).numpy()
    got = session.run(inputs.numpy())
    return float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-12))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings, log lines and prints of PyTorch and its friends from the terminal."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


class Session:
    """An ONNX model of one input and one output, on the CPU.

    Args:
        path: the ``.onnx`` file.
        threads: how many threads one ``run`` uses; all usable CPUs if None.

    Raises:
        EncoderError: if the file is missing, truncated or not a model.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Said explicitly, since the default tries to pin threads to CPUs that a container may
        # not own, and complains on the terminal.
        options.intra_op_num_threads = threads or _usable_cpus()
        # Waiting threads must not burn the cores that decode the next pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's exceptions share no base class of their own.
        except Exception as error:
            raise EncoderError(
                f"cannot load the model {path}: {error}; delete the file, it is made again"
            ) from error
        self._input = self._session.get_inputs()[0].name

    def run(self, array: NDArray[Any]) -> NDArray[Any]:
        """The model's output for an input whose axis 0 is the batch."""
        return self._session.run(None, {self._input: array})[0]


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
