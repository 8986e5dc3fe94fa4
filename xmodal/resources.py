"""Where the files that ship with xmodal lie: inside an installed wheel or beside the checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_path(name: str) -> Path:
    """Path of ``migrations`` or ``assets``, or of something below them.

    A wheel carries both inside the package (see ``force-include`` in pyproject.toml); in a
    checkout they lie at the top level.
    """
    installed = _PACKAGE / name
    return installed if installed.exists() else _PACKAGE.parent / name
