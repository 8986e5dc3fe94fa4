"""A folder of downloaded files, found by their names wherever they lie in it."""

from fnmatch import fnmatchcase
from pathlib import Path


class Folder:
    """All files in a folder and below it, listed once: it may hold the pictures too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # The least deep one of several files of a name is the first.
        files = (file for file in path.rglob("*") if file.is_file())
        self._files = sorted(files, key=lambda file: (len(file.parts), file))

    def find(self, name: str) -> Path | None:
        """The file of that name, whatever its case."""
        return next((file for file in self._files if file.name.lower() == name.lower()), None)

    def matching(self, pattern: str) -> list[Path]:
        """The files whose names match, such as ``captions_*.json``, in alphabetical order."""
        return sorted(
            file for file in self._files if fnmatchcase(file.name.lower(), pattern.lower())
        )
