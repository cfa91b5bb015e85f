"""Which of the repository's own files the Lambda package must hold, read from the code itself.

A list kept by hand forgets the module somebody adds next year; the function would then die at import, on
every call. So the modules are the import closure of `lambda_handler.py`, and only the data files are named.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRY: Final = "lambda_handler"
DATA: Final = ("build.json", "config/*", "schemas/*.schema.json")
"""Files the modules open when they start; `**` reaches into subfolders."""


def shipped_files(root: Path, entry: str = ENTRY) -> set[str]:
    """Give the own files that serving `entry` needs, as POSIX paths relative to `root`."""
    data = {path for pattern in DATA for path in root.glob(pattern) if path.is_file()}
    return {path.relative_to(root).as_posix() for path in import_closure(root, entry) | data}


def import_closure(root: Path, entry: str) -> set[Path]:
    """Give every file under `root` that importing the module `entry` can load, itself included."""
    found: set[Path] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        path = _file_of(root, name)
        if path is None or path in found:
            continue
        found.add(path)
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += [part for imported in _imports(path, package) for part in _with_parents(imported)]
    return found


def _file_of(root: Path, name: str) -> Path | None:
    base = root.joinpath(*name.split("."))
    candidates = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in candidates if path.is_file()), None)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _imports(path: Path, package: str) -> Iterator[str]:
    for node in _nodes_that_run(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree, but not into `if TYPE_CHECKING:`: those imports never happen."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _nodes_that_run(child)
