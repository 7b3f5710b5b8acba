"""A chapter imports only what earlier chapters built: otherwise it would hold its own answers."""

import ast
from collections.abc import Iterator

from grader.authoring.cell_rules import syntax_tree
from grader.authoring.page import Page
from grader.authoring.problems import Problems
from grader.course import Course, module_matches, module_name


def check_imports(course: Course, page: Page, problems: Problems) -> None:
    """Report every import of a library module that is outside the chapter's slice, or does not exist."""
    package = str(course.settings["library"]["package"])
    existing = {module_name(path) for path in course.library_files() if path.suffix == ".py"}
    allowed = course.library_slice(page.chapter)
    for cell in page.cells:
        tree = syntax_tree(cell.source) if cell.kind == "code" else None
        for name, line in _imports(tree, existing) if tree else ():
            if name.split(".")[0] != package:
                continue
            place = cell.line + line - 1
            if name not in existing:
                problems.add(
                    page.path,
                    place,
                    f"the library has no module {name}",
                    "correct the name, or write the module",
                )
            elif not module_matches(name, allowed):
                problems.add(
                    page.path,
                    place,
                    f"imports {name}, which is outside this chapter's part of the library",
                    f"the chapter may import {', '.join(allowed)}",
                )


def _imports(tree: ast.Module, existing: set[str]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno
            for alias in node.names:
                if f"{node.module}.{alias.name}" in existing:
                    yield f"{node.module}.{alias.name}", node.lineno
