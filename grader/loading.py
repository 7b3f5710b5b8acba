"""Reading the Python files that belong to a chapter: `hidden.py`, `mistakes.py` and `alternatives.py`."""

import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from grader.errors import AuthoringError
from grader.hidden import Alternative, HiddenCheck, Mistake


def load_checks(path: Path) -> dict[str, HiddenCheck]:
    """Import a chapter's `hidden.py` and return its checks by exercise label, in the order they are written.

    Raises:
        AuthoringError: when the file cannot be imported, defines an exercise twice, or leaves out a part.
    """
    module = load_module(path)
    checks: dict[str, HiddenCheck] = {}
    for kind in _check_classes(module):
        line = inspect.getsourcelines(kind)[1]
        for name in ("exercise", "uses", "criteria"):
            if not hasattr(kind, name):
                raise AuthoringError(path, line, f"{kind.__name__} has no `{name}`", f"add `{name} = …` to the class")
        for name in ("cases", "probe", "judge"):
            if name not in vars(kind):
                raise AuthoringError(path, line, f"{kind.__name__} has no `{name}`", f"write {kind.__name__}.{name}")
        if kind.exercise in checks:
            raise AuthoringError(
                path, line, f"a second hidden check for {kind.exercise!r}", "keep one class for each exercise"
            )
        checks[kind.exercise] = kind()
    return checks


def _check_classes(module: ModuleType) -> Iterator[type[HiddenCheck]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, HiddenCheck) and value.__module__ == module.__name__:
            yield value


def load_module(path: Path) -> ModuleType:
    """Import one of a chapter's own files (`hidden.py`, `mistakes.py`, `alternatives.py`) by its path."""
    name = f"_chapter_{path.parent.name.replace('-', '_')}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise AuthoringError(path, None, "the file is missing", f"write {path.name} beside the chapter's page")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no __pycache__ beside a chapter's sources
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = error.lineno if isinstance(error, SyntaxError) else None
        raise AuthoringError(
            path,
            line,
            f"cannot be imported: {type(error).__name__}: {error}",
            "run it with python to see the trace",
        ) from error
    finally:
        sys.dont_write_bytecode = written
    return module


def load_mistakes(path: Path) -> list[Mistake]:
    """The `MISTAKES` of a chapter's `mistakes.py`."""
    return _load_list(path, "MISTAKES", Mistake)


def load_alternatives(path: Path) -> list[Alternative]:
    """The `ALTERNATIVES` of a chapter's `alternatives.py`."""
    return _load_list(path, "ALTERNATIVES", Alternative)


def _load_list(path: Path, name: str, kind: type) -> list[Any]:
    module = load_module(path)
    items = getattr(module, name, None)
    if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
        raise AuthoringError(path, None, f"`{name}` is not a list of {kind.__name__}", f"define {name} = [...]")
    return items
