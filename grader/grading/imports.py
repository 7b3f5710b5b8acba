"""Which modules a Python text imports, and which files of the course stand behind them.

Read from the text alone: `importlib.import_module(name)` is not seen.
"""

import ast
from collections.abc import Iterator
from pathlib import Path


def imported_modules(source: str, package: str = "", members: bool = False) -> list[str]:
    """The modules that a text imports anywhere in it, in order and once; none for what is no Python.

    Args:
        source: Python, IPython's line magics included.
        package: what relative imports are relative to.
        members: also what is taken out of a module, which may be a module itself.

    >>> imported_modules("import a.b\\ndef f():\\n    from .c import d", package="p", members=True)
    ['a.b', 'p.c', 'p.c.d']
    """
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(dict.fromkeys(_names(tree, package, members)))


def _names(tree: ast.Module, package: str, members: bool) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join(filter(None, [*above, node.module or ""]))
            yield base
            if members:
                yield from (f"{base}.{alias.name}" for alias in node.names)


def files_behind(path: Path, roots: tuple[Path, ...]) -> list[Path]:
    """A Python file and all that it imports, directly or not, from below `roots`, by path.

    Args:
        path: where to begin.
        roots: folders from which modules are imported; others (installed packages) are not followed.
    """
    found = {path}
    waiting = [(path, "")]
    while waiting:
        file, package = waiting.pop()
        for name in imported_modules(file.read_text(encoding="utf-8", errors="replace"), package, members=True):
            for other, home in _module_files(name, (*roots, path.parent)):
                if other not in found:
                    found.add(other)
                    waiting.append((other, home))
    return sorted(found)


def _module_files(name: str, roots: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    """The file of a module and those of the packages around it, each with the package it belongs to."""
    parts = name.split(".")
    for root in roots:
        for size in range(1, len(parts) + 1):
            folder, dotted = root.joinpath(*parts[:size]), ".".join(parts[:size])
            if (folder / "__init__.py").is_file():
                yield folder / "__init__.py", dotted
            elif folder.with_suffix(".py").is_file():
                yield folder.with_suffix(".py"), dotted.rpartition(".")[0]
