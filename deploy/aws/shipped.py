"""Which of the repository's own files the package must hold: what the entry point imports, and the data files.

A list kept by hand forgets the module somebody adds next year; the function would then fail on every call.
"""

from __future__ import annotations

from modulefinder import ModuleFinder
from pathlib import Path
from typing import Final

ENTRY: Final = "lambda_handler"
DATA: Final = ("build.json", "config/*", "schemas/*.schema.json")
"""Files that the modules open."""


def shipped_files(root: Path, entry: str = ENTRY) -> set[str]:
    """Return the files under root that the module `entry` needs, as POSIX paths relative to root."""
    finder = ModuleFinder(path=[str(root)])
    finder.import_hook(entry)
    files = (getattr(module, "__file__", None) for module in finder.modules.values())
    data = {path for pattern in DATA for path in root.glob(pattern) if path.is_file()}
    return {path.relative_to(root).as_posix() for path in {*map(Path, filter(None, files)), *data}}
