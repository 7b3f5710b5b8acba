"""Which of a student's cells is which cell of the skeleton: by id, by label, by content."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grader.grading.loose import LooseCell, bare, defined_names


@dataclass(frozen=True)
class Slot:
    """A cell of the skeleton, and what a student's cell must look like to be taken for it."""

    index: int
    label: str
    cell_id: str
    code: bool
    role: str
    """answer, essay, checks or plain."""
    source: str

    @functools.cached_property
    def defines(self) -> frozenset[str]:
        """The functions and classes that the cell defines at its top level."""
        return defined_names(self.source) if self.code else frozenset()

    @property
    def taken_from_student(self) -> bool:
        """Whether the student's source replaces this cell's."""
        return self.role in ("answer", "essay")


def slots_of(notebook: Any) -> list[Slot]:
    """The cells of a student notebook by role."""
    slots = []
    for index, cell in enumerate(notebook.cells):
        nbgrader = cell.metadata.get("nbgrader", {})
        solution, grade = bool(nbgrader.get("solution")), bool(nbgrader.get("grade"))
        role = "essay" if solution and grade else "answer" if solution else "checks" if grade else "plain"
        slots.append(
            Slot(
                index,
                nbgrader.get("grade_id", "") if role != "plain" else "",
                cell.get("id", ""),
                cell.cell_type == "code",
                role,
                cell.source,
            )
        )
    return slots


def match_given_cells(slots: Sequence[Slot], cells: Sequence[LooseCell]) -> dict[int, int]:
    """Which of the student's cells are copies of given cells, as indices: cell -> slot.

    Given are all but the answers; an untouched answer cell counts as well.
    """
    by_source = {(slot.code, bare(slot.source)): slot.index for slot in slots}
    by_id = {slot.cell_id: slot for slot in slots if slot.cell_id}
    by_label = {slot.label: slot for slot in slots if slot.label}
    taken: dict[int, int] = {}
    for number, cell in enumerate(cells):
        exact = by_source.get((cell.kind == "code", cell.bare))
        known = by_label.get(cell.grade_id) or by_id.get(cell.cell_id)
        if exact is not None:
            taken[number] = exact
        elif known is not None and _is_edited_copy(cell, known, slots):
            taken[number] = known.index
    return taken


def _is_edited_copy(cell: LooseCell, known: Slot, slots: Sequence[Slot]) -> bool:
    """Whether a cell that carries a given cell's id is that cell, edited, and not an answer put there."""
    if any(slot.role == "answer" and slot.defines & cell.defines for slot in slots):
        return False
    return known.role == "checks" or (known.role == "plain" and known.code and cell.kind == "code")


def choose_answer(slot: Slot, slots: Sequence[Slot], cells: Sequence[LooseCell], taken: dict[int, int]) -> int | None:
    """The student's cell that answers a slot, or None.

    What a cell defines counts before its ids, because ids get lost and swapped; an edited cell counts before
    an untouched one.
    """
    best: tuple[tuple[bool, ...], int] | None = None
    for number, cell in enumerate(cells):
        defines = bool(slot.defines and slot.defines & cell.defines) and slot.code
        by_label, by_id = cell.grade_id == slot.label, bool(slot.cell_id) and cell.cell_id == slot.cell_id
        # a text cell that is nothing but Python was a code cell once
        if not (by_label or by_id or (defines and (cell.kind == "code" or parses(cell.source)))):
            continue
        if number in taken and slots[taken[number]].index != slot.index:
            continue
        edited = cell.bare != bare(slot.source)
        rank = (defines, edited, by_label, by_id, cell.kind == "code")
        if best is None or rank > best[0]:
            best = (rank, number)
    return None if best is None else best[1]


@functools.lru_cache(maxsize=256)
def parses(source: str) -> bool:
    """Whether a source is Python as it stands. Most cells of most students are the course's own, hence the memory."""
    import ast

    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
