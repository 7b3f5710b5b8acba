"""Nothing that is graded may lean on a measurement: grading passes over cells tagged `experiment`."""

import ast

from grader.authoring.cell_names import bound_names, outer_names
from grader.authoring.cell_rules import syntax_tree
from grader.authoring.page import Page
from grader.authoring.problems import Problems


def check_experiments(page: Page, problems: Problems) -> None:
    """Report every name that only experiments bind and that another cell reads."""
    measured: dict[str, int] = {}
    bound: set[str] = set()
    for cell in page.cells:
        tree = syntax_tree(cell.source) if cell.kind == "code" else None
        if tree is None:
            continue
        names = {name for node in tree.body for name in bound_names(node)}
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
        for name in sorted(outer_names(cell.source)):
            if name in measured:
                problems.add(
                    page.path,
                    cell.line + _first_line(name, tree) - 1,
                    f"reads {name}, which only the experiment on line {measured[name]} binds",
                    "grading passes over experiments: tag this cell `experiment` too, or bind the name before",
                )
        bound |= names
        for name in names:
            measured.pop(name, None)


def _first_line(name: str, tree: ast.Module) -> int:
    return min((node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name), default=1)
