"""Mutants of a reference answer: one small change each, made by a table of operators on its syntax tree.

A hidden check that gives a mutant full marks has a hole where that change is, or the change changes nothing
(an equivalent mutant). Left out on purpose: messages (`raise`, f-strings), docstrings, annotations and
imports, which no score should depend on, and mutants of mutants.
"""

import ast
import copy
import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from grader.proving.operators import expression_changes, statement_changes

Site = tuple[ast.AST, str, int | None, ast.stmt]
"""(parent, field, index in the field if it is a list, statement that the place belongs to)."""


@dataclass(frozen=True)
class Mutant:
    """One changed reference answer.

    Attributes:
        id: exercise and a hash of the changed statement before and after, so that it stays the same
            while other parts of the answer change.
        change: what was done, in two or three words.
        code: the whole changed answer.
        diff: the lines that differ.
    """

    id: str
    change: str
    code: str
    diff: str


def make_mutants(exercise: str, code: str) -> list[Mutant]:
    """Every mutant of `code`, each a program of its own that compiles, in the order of the text.

    >>> for mutant in make_mutants("area", "def area(a, b):\\n    return a * b"):
    ...     print(mutant.change, "|", mutant.diff.splitlines()[-1])
    drop the value | +    return None
    * becomes / | +    return a / b
    """
    original = bare(code)
    text = ast.unparse(original)
    seen = {text}
    taken: dict[str, int] = {}
    mutants = []
    for change, before, after, tree in _changed_trees(original):
        changed = ast.unparse(ast.fix_missing_locations(tree))
        if changed in seen or not _compiles(changed):
            continue
        seen.add(changed)
        key = hashlib.sha256("\0".join([change, before, after]).encode()).hexdigest()[:8]
        taken[key] = taken.get(key, 0) + 1
        suffix = f"-{taken[key]}" if taken[key] > 1 else ""
        mutants.append(Mutant(f"{exercise}-{key}{suffix}", change, changed, _diff(text, changed)))
    return mutants


def bare(code: str) -> ast.Module:
    """The tree of `code` without what no score depends on: docstrings and annotations."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            if not isinstance(node, ast.ClassDef):
                node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.fix_missing_locations(tree)


def _changed_trees(tree: ast.Module) -> Iterator[tuple[str, str, str, ast.Module]]:
    """(change, statement before, statement after, whole changed tree)."""
    for number, (parent, field, index, statement) in enumerate(_sites(tree)):
        node = _get(parent, field, index)
        changes = statement_changes(node) if isinstance(node, ast.stmt) else expression_changes(node, parent)
        for change, replacement in changes:
            before = _header(statement)
            changed = copy.deepcopy(tree)
            twin_parent, _, _, twin_statement = list(_sites(changed))[number]
            _set(twin_parent, field, index, copy.deepcopy(replacement))
            after = _header(replacement) if isinstance(replacement, ast.stmt) else _header(twin_statement)
            yield change, before, after, changed


def _sites(tree: ast.AST) -> Iterator[Site]:
    """Every place that an operator may change."""

    def visit(node: ast.AST, statement: ast.stmt | None) -> Iterator[Site]:
        if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
            return
        for field, value in ast.iter_fields(node):
            if field in ("decorator_list", "annotation", "ctx", "msg"):
                continue
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(child, ast.AST):
                    continue
                owner = child if isinstance(child, ast.stmt) else statement
                if owner is not None:
                    yield node, field, index, owner
                yield from visit(child, owner)

    yield from visit(tree, None)


def _get(parent: ast.AST, field: str, index: int | None) -> ast.AST:
    value = getattr(parent, field)
    node: ast.AST = value if index is None else value[index]
    return node


def _set(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _header(statement: ast.AST) -> str:
    """A statement's text; of a compound one the first line, so that ids do not depend on what is below."""
    return ast.unparse(ast.fix_missing_locations(statement)).split("\n", 1)[0]


def _compiles(code: str) -> bool:
    try:
        compile(code, "<mutant>", "exec")
    except SyntaxError:
        return False
    return True


def _diff(before: str, after: str) -> str:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
