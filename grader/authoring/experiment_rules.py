"""Nothing that is graded may lean on a measurement: grading passes over cells tagged `experiment`."""

import ast

from grader.authoring.cell_rules import syntax_tree
from grader.authoring.page import Page
from grader.authoring.problems import Problems

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def check_experiments(page: Page, problems: Problems) -> None:
    """Report every name that only experiments bind and that another cell reads."""
    measured: dict[str, int] = {}
    bound: set[str] = set()
    for cell in page.cells:
        tree = syntax_tree(cell.source) if cell.kind == "code" else None
        if tree is None:
            continue
        names = _bound(tree)
        if "experiment" in cell.tags:
            measured.update(dict.fromkeys(names - bound, cell.line))
            if cell.role is not None:
                problems.add(
                    page.path,
                    cell.opening,
                    "a graded cell that is an experiment",
                    "take the tag `experiment` away",
                )
            continue
        for name, line in sorted(_read(tree).items()):
            if name in measured and name not in names:
                problems.add(
                    page.path,
                    cell.line + line - 1,
                    f"reads {name}, which only the experiment on line {measured[name]} binds",
                    "grading passes over experiments: tag this cell `experiment` too, or bind the name before",
                )
        bound |= names
        for name in names:
            measured.pop(name, None)


def _bound(tree: ast.Module) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, DEFINITIONS)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return names | {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _read(tree: ast.Module) -> dict[str, int]:
    """The names that are read, each with its first line in the cell."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found[node.id] = min(node.lineno, found.get(node.id, node.lineno))
    return found
