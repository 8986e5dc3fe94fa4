"""The engines by name, and the choice between them."""

from collections.abc import Callable

from xmodal.errors import CodesError
from xmodal.hamming.engine import Engine
from xmodal.hamming.numpy_engine import NumpyEngine


def _compiled() -> Engine:
    from xmodal.hamming.compiled_engine import CompiledEngine

    return CompiledEngine()


ENGINES: dict[str, Callable[[], Engine]] = {"numpy": NumpyEngine, "compiled": _compiled}


def create_engine(name: str) -> Engine:
    """The engine of that name; CodesError for an unknown one."""
    name = "numpy" if name == "auto" else name
    if name not in ENGINES:
        raise CodesError(f"no engine {name!r}; choose auto or one of: {', '.join(ENGINES)}")
    return ENGINES[name]()
