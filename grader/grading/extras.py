"""The student's own code cells, put where they stood."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from grader.grading.loose import LooseCell, bare
from grader.grading.matching import Slot, parses

MAX_EXTRAS = 500

STUDENT_TAG = "student-code"
"""Marks a cell of the student's own in the rebuilt notebook."""


def place_extras(
    skeleton: Sequence[Any],
    slots: Sequence[Slot],
    cells: Sequence[LooseCell],
    places: Mapping[int, int],
    answered: str,
) -> tuple[list[Any], str]:
    """The skeleton's cells with the student's own code cells after the ones that they stood behind.

    An edited copy of a cell that asks for nothing takes its place if it still binds every name, and else
    runs after it: a lost import must not cost an answer.

    Args:
        skeleton: the cells of the rebuilt notebook.
        slots: what each of them is.
        cells: the student's cells.
        places: which of the student's cells is which of the skeleton's, as indices.
        answered: the answers' sources, in which the rest of a split cell may have gone.

    Returns:
        The cells, and a sentence about what was left out, or nothing.
    """
    behind: dict[int, list[str]] = {}
    replaced: set[int] = set()
    anchor, count = -1, 0
    for number, cell in enumerate(cells):
        if number in places:
            anchor = places[number]
            if not _is_edited(cell, slots[anchor]):
                continue
            if bound_names(slots[anchor].source) <= bound_names(cell.source):
                replaced.add(anchor)
        elif cell.kind != "code" or not cell.bare or (cell.source in answered and not parses(cell.source)):
            continue
        count += 1
        if count <= MAX_EXTRAS:
            behind.setdefault(anchor, []).append(cell.source)
    rebuilt: list[Any] = []
    own = 0
    for index in range(-1, len(slots)):
        if index >= 0 and index not in replaced:
            rebuilt.append(skeleton[index])
        for source in behind.get(index, []):
            own += 1
            rebuilt.append(_student_cell(f"student-{own}", source))
    left_out = f"Of {count:,} further code cells only the first {MAX_EXTRAS} were run."
    return rebuilt, left_out if count > MAX_EXTRAS else ""


def _is_edited(cell: LooseCell, slot: Slot) -> bool:
    """Whether a copy of a cell that asks for nothing was changed."""
    return slot.role == "plain" and slot.code and cell.bare != bare(slot.source)


def bound_names(source: str) -> frozenset[str]:
    """The names that a cell binds at its top level; for what does not parse, one that no other cell binds."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset({""})
    names = set()
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(statement.name)
        else:
            names |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return frozenset(names)


def _student_cell(cell_id: str, source: str) -> Any:
    from nbformat.v4 import new_code_cell

    return new_code_cell(source, id=cell_id, metadata={"tags": [STUDENT_TAG]})
