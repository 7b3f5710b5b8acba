"""A plan without what no exercise needs: no experiments, no figures, little time. Many runs cost little so."""

import threading
from dataclasses import replace

from grader.execution.plan import Plan
from grader.grading.assignment import Assignment
from grader.proving.slicing import needed_parts

ONE_PARSER = threading.Lock()
"""Python before 3.11.5 raises SystemError when two threads are in `ast.parse` (CPython issue 106905)."""

CELL_SECONDS = 12


def light(plan: Plan, assignment: Assignment) -> Plan:
    """The same plan, of the author's own cells only what some answer or hidden check reads."""
    own = {cell["id"] for cell in assignment.skeleton["cells"] if not cell["metadata"].get("nbgrader")}
    plain = [cell for cell in plan.cells if cell.id in own]
    readers = [cell.source for cell in plan.cells if cell.id not in own]
    answered = [name for check in assignment.hidden.values() for name in check.uses]
    with ONE_PARSER:
        parts = needed_parts([cell.source for cell in plain], readers, answered)
    shorter = {cell.id: replace(cell, source=part) for cell, part in zip(plain, parts, strict=True)}
    cells = tuple(shorter.get(cell.id, cell) for cell in plan.cells)
    return replace(plan, cells=cells, budget=replace(plan.budget, cell_seconds=CELL_SECONDS))
