"""What must be true between a page and its hidden checks, wrong answers and alternatives."""

import ast
import builtins
import inspect
import textwrap
from pathlib import Path
from typing import Any

from grader.authoring.cell_names import read_names
from grader.authoring.cell_rules import syntax_tree
from grader.authoring.page import Page, counted
from grader.authoring.problems import Problems
from grader.errors import AuthoringError
from grader.hidden import HiddenCheck, probe_source
from grader.loading import load_alternatives, load_checks, load_mistakes


def check_hidden(page: Page, problems: Problems) -> None:
    """Report what is missing or wrong in `hidden.py`, `mistakes.py` and `alternatives.py`."""
    graded = [exercise for exercise in page.exercises if not exercise.essay]
    try:
        checks = load_checks(page.chapter.hidden) if graded or page.chapter.hidden.is_file() else {}
    except AuthoringError as error:
        problems.take(error)
        return
    labels = {cell.label for cell in page.cells if cell.role == "answer"}
    for exercise in graded:
        if exercise.label not in checks:
            problems.add(
                page.path,
                exercise.line,
                f"no hidden check for {exercise.label!r}",
                f"write a class with exercise = {exercise.label!r} in {page.chapter.hidden.name}",
            )
    for label, check in checks.items():
        if label not in labels:
            problems.add(
                page.chapter.hidden,
                _line(type(check)),
                f"a hidden check for {label!r}, which is no exercise of the page",
                f"the page has {', '.join(sorted(filter(None, labels)))}",
            )
            continue
        _check_one(page, label, check, problems)
    _check_answers(page, labels, problems)


def _line(thing: Any) -> int:
    return inspect.getsourcelines(thing)[1]


def _check_one(page: Page, label: str, check: HiddenCheck, problems: Problems) -> None:
    path = page.chapter.hidden
    points = next((cell.points for cell in page.cells if cell.label == f"{label}-checks"), None)
    total = sum(check.criteria.values())
    if points is not None and abs(total - points) > 1e-9:
        problems.add(
            path,
            _line(type(check)),
            f"the criteria of {label!r} sum to {counted(total, 'point')}, the page says points-{points:g}",
            "make them equal",
        )
    defined = _names_defined(page, label)
    for name in check.uses:
        if name not in defined:
            problems.add(
                path,
                _line(type(check)),
                f"{label!r} uses {name!r}, which no answer up to its checks defines",
                f"the answer defines {', '.join(sorted(defined)) or 'nothing'}",
            )
    _check_probe(path, check, problems)


def _names_defined(page: Page, label: str) -> set[str]:
    names: set[str] = set()
    for cell in page.cells:
        if cell.label == f"{label}-checks":
            break
        tree = syntax_tree(cell.source) if cell.kind == "code" and cell.role == "answer" else None
        for node in tree.body if tree else ():
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
                names.add(node.name)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                parts = (part for part in ast.walk(node) if isinstance(part, ast.Name))
                names.update(part.id for part in parts if isinstance(part.ctx, ast.Store))
    return names


def _check_probe(path: Path, check: HiddenCheck, problems: Problems) -> None:
    """A probe travels as its text alone, so every global it reads must be a builtin."""
    probe = vars(type(check))["probe"]
    if not isinstance(probe, staticmethod):
        problems.add(
            path,
            _line(probe),
            f"the probe of {check.exercise!r} is not static",
            "write @staticmethod above it",
        )
        return
    first = _line(probe.__func__)
    source = textwrap.dedent(inspect.getsource(probe.__func__))
    function = ast.parse(source).body[0]
    if not isinstance(function, ast.FunctionDef) or len(function.args.args) != 2:
        problems.add(
            path,
            first,
            f"the probe of {check.exercise!r} has not two parameters",
            "write probe(student, inputs)",
        )
        return
    (travels,) = ast.parse(probe_source(check)).body
    for name in sorted(read_names(travels) - set(dir(builtins))):
        uses = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
        problems.add(
            path,
            first + min(uses, default=1) - 1,
            f"the probe of {check.exercise!r} uses {name!r}, which does not travel with it",
            f"import or define {name} inside the probe, or pass it through the case's inputs",
        )


def _check_answers(page: Page, labels: set[str | None], problems: Problems) -> None:
    for path, load in (
        (page.chapter.mistakes, load_mistakes),
        (page.chapter.alternatives, load_alternatives),
    ):
        if not path.is_file():
            continue
        try:
            items = load(path)
        except AuthoringError as error:
            problems.take(error)
            continue
        seen = set()
        for item in items:
            line = _line_naming(path, item.name)
            if item.exercise not in labels:
                problems.add(
                    path,
                    line,
                    f"{item.name!r} answers {item.exercise!r}, which is no exercise of the page",
                    f"the page has {', '.join(sorted(filter(None, labels)))}",
                )
            if (item.exercise, item.name) in seen:
                problems.add(path, line, f"a second {item.name!r} for {item.exercise!r}", "give each a name of its own")
            seen.add((item.exercise, item.name))


def _line_naming(path: Path, name: str) -> int | None:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if repr(name)[1:-1] in line and "name" in line), None)
