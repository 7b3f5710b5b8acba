"""What a student has to install: worked out from the imports of a bundle, with the pins of requirements.txt.

There is no second list to keep. Whatever the notebooks and the bundle's part of the library import, and whatever the
library's distribution asks for, becomes a line of its own; the versions are those the course is tested with.
"""

import ast
import functools
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from grader.errors import CourseError

WORKPLACE = ("jupyterlab", "ipywidgets")
"""Nothing imports these: where notebooks are opened, and what draws their progress bars."""

PIN = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*([^\s;#]+)")
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    """The lines `name==version` of a requirements file, by the name that pip compares; empty without the file."""
    if not path.is_file():
        return {}
    found = (PIN.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {canonical(pin[1]): f"{pin[1]}=={pin[2]}" for pin in found if pin}


def canonical(name: str) -> str:
    """A distribution's name as pip compares it.

    >>> canonical("Sphinx_Book.theme")
    'sphinx-book-theme'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_packages(sources: Iterable[str]) -> set[str]:
    """The top-level packages that some Python sources import, anywhere in them; no standard library.

    >>> sorted(imported_packages(["import numpy as np, json", "%pip list\\nfrom torch.nn import Linear"]))
    ['numpy', 'torch']
    """
    return {name for source in sources for name in _imports(source) if name not in sys.stdlib_module_names}


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MAGIC.sub("", source))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def requirement_lines(packages: Iterable[str], needed: Iterable[str], root: Path) -> list[str]:
    """The pinned lines for some imported packages and some distributions, by name.

    Args:
        packages: names of top-level packages.
        needed: requirements of the library's distribution.
        root: the course's folder, with requirements.txt and constraints.txt; a course without them pins nothing.

    Raises:
        CourseError: when a package is imported that no installed distribution provides.
    """
    pinned = {**pins(root / "constraints.txt"), **pins(root / "requirements.txt")}
    names = {canonical(name): name for name in WORKPLACE}
    for requirement in needed:
        name = re.split(r"[\s<>=!~;\[@(]", requirement.strip())[0]
        names[canonical(name)] = requirement
    for package in sorted(packages):
        name = _distribution(package, pinned)
        names.setdefault(canonical(name), name)
    return sorted(pinned.get(key, line) for key, line in names.items())


def _distribution(package: str, pinned: dict[str, str]) -> str:
    names = _installed().get(package, [])
    if not names:
        raise CourseError(
            f"the bundle imports {package}, which no installed package provides",
            "correct the import, or add the package to requirements.txt and install it",
        )
    return next((name for name in names if canonical(name) in pinned), names[0])


@functools.cache
def _installed() -> dict[str, list[str]]:
    return dict(packages_distributions())
