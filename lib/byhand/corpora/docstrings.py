"""The docstrings of the standard library, each labelled with the package it comes from.

Read from the source files without importing them, so that nothing runs and every platform reads the same.
Leaves out modules written in C, tests, and
packages that only some Pythons have (tkinter, IDLE, distutils). Belongs to no chapter: a labelled set
(which package is this from?), a question-answering set and a retrieval set (first sentence, rest).
"""

import ast
import functools
import inspect
import re
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Tests, what a packager may leave out, and what later Pythons no longer have.
SKIPPED = frozenset(
    {
        *("test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"),
        *("tkinter", "idlelib", "turtle.py", "turtledemo", "ensurepip", "distutils", "lib2to3"),
    }
)


@dataclass(frozen=True)
class Docstring:
    """One docstring.

    Attributes:
        name: the dotted name of what it documents.
        package: the top-level package or module, the label of a classifier.
        text: cleaned of its indentation.
    """

    name: str
    package: str
    text: str

    @property
    def first_sentence(self) -> str:
        """The sentence it opens with: what a reader would ask for."""
        return split_first_sentence(self.text)[0]

    @property
    def rest(self) -> str:
        """All that follows the first sentence; empty where nothing does."""
        return split_first_sentence(self.text)[1]


def split_first_sentence(text: str) -> tuple[str, str]:
    r"""A text as its first sentence and the rest, the sentence on one line.

    A sentence ends at a full stop, question mark or exclamation mark before white space and a capital, or
    at a blank line.

    >>> split_first_sentence("Open a file.  Return\na stream.")
    ('Open a file.', 'Return\na stream.')
    >>> split_first_sentence("Sort, e.g. a list\n\nIn place.")
    ('Sort, e.g. a list', 'In place.')
    """
    end = re.search(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n", text)
    if end is None:
        return " ".join(text.split()), ""
    return " ".join(text[: end.start()].split()), text[end.end() :].strip()


@functools.cache
def docstrings() -> tuple[Docstring, ...]:
    """Every docstring of the standard library, no text twice, ordered by file and place; takes a few seconds.

    Raises:
        RuntimeError: where the standard library's sources are not on disk.

    >>> len(docstrings()) > 3000
    True
    """
    root = Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    found = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIPPED.isdisjoint(relative.parts):
            for entry in _docstrings_in(path, relative):
                if entry.text not in seen:
                    seen.add(entry.text)
                    found.append(entry)
    if not found:
        raise RuntimeError(
            f"there are no Python files in {root}: this Python keeps its library elsewhere "
            "(in a zip, perhaps); use one that has its sources on disk"
        )
    return tuple(found)


def _docstrings_in(path: Path, relative: Path) -> Iterator[Docstring]:
    names = [*relative.parts[:-1], relative.stem]
    module = ".".join(names[:-1] if names[-1] == "__init__" else names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old escapes in old modules
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:
            return  # a template, not a module
    yield from _walk(tree, module, relative.parts[0].removesuffix(".py"))


def _walk(node: ast.AST, name: str, package: str) -> Iterator[Docstring]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node, clean=False)
        if text and text.strip():
            yield Docstring(name, package, inspect.cleandoc(text))
    for child in ast.iter_child_nodes(node):
        inner = f"{name}.{child.name}" if isinstance(child, _NAMED) else name
        if isinstance(child, (*_NAMED, ast.If, ast.Try, ast.With)):
            yield from _walk(child, inner, package)


_NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
