"""Rebuild a submission on the instructor's notebook, taking from the student only the sources of answer
cells.

That one decision makes deleted, duplicated, edited, retyped, renamed and unlocked check cells harmless,
honest or not: check cells, points, ids and flags are always the instructor's. The student's own further
code cells are kept as untrusted code where they stood, because an answer may need what they define.
"""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.grading.loose import LooseCell

MAX_EXTRAS = 500

STUDENT_TAG = "student-code"
"""Marks a cell of the student's own in the rebuilt notebook."""


@dataclass
class Prepared:
    """A rebuilt submission.

    Attributes:
        notebook: the instructor's student notebook with the student's sources in its answer cells.
        answers: the source of each answer cell by exercise label, as the student left it.
        repairs: what was mended, in words for the student.
    """

    notebook: Any
    answers: dict[str, str] = field(default_factory=dict)
    repairs: list[str] = field(default_factory=list)


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

    @property
    def defines(self) -> frozenset[str]:
        """The functions and classes that the cell defines at its top level."""
        return defined_names(self.source) if self.code else frozenset()

    @property
    def taken_from_student(self) -> bool:
        """Whether the student's source replaces this cell's."""
        return self.role in ("answer", "essay")


def defined_names(source: str) -> frozenset[str]:
    """Functions and classes at the top level, also of a source that does not parse.

    >>> sorted(defined_names("def f(x):\\n    def g(): ...\\nclass C: pass\\nx = (1"))
    ['C', 'f']
    """
    return frozenset(re.findall(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", source, re.MULTILINE))


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


def rebuild(skeleton: Any, cells: Sequence[LooseCell]) -> Prepared:
    """Put a student's answers into a copy of the instructor's student notebook.

    Answers are found by grade id, then by cell id, then by what they define. Where several cells could be
    the answer, the first edited one is, and later ones stay behind it as the student's own code, so that
    running the notebook from top to bottom means what it meant to the student.
    """
    notebook = copy.deepcopy(skeleton)
    slots = slots_of(notebook)
    prepared = Prepared(notebook)
    taken = _match_given_cells(slots, cells)
    answers: dict[int, int] = {}
    for slot in slots:
        if slot.taken_from_student:
            chosen = _choose_answer(slot, slots, cells, taken)
            if chosen is not None:
                answers[slot.index] = chosen
            source = slot.source if chosen is None else _source_of(slot, chosen, cells)
            notebook.cells[slot.index].source = source
            if slot.role == "answer":
                prepared.answers[slot.label] = source
            _note_answer(slot, chosen, cells, prepared)
    _note_checks(slots, cells, taken, prepared)
    _place_extras(slots, cells, taken, answers, prepared)
    return prepared


def _match_given_cells(slots: Sequence[Slot], cells: Sequence[LooseCell]) -> dict[int, int]:
    """Which student's cells are copies of cells that are not the student's to change: cell index -> slot
    index."""
    by_source = {(slot.code, _bare(slot.source)): slot.index for slot in slots}
    by_id = {slot.cell_id: slot for slot in slots if slot.cell_id}
    by_label = {slot.label: slot for slot in slots if slot.label}
    taken: dict[int, int] = {}
    for number, cell in enumerate(cells):
        exact = by_source.get((cell.kind == "code", _bare(cell.source)))
        known = by_label.get(cell.grade_id) or by_id.get(cell.cell_id)
        if exact is not None:
            taken[number] = exact
        elif known is not None and _is_edited_copy(cell, known, slots):
            taken[number] = known.index
    return taken


def _is_edited_copy(cell: LooseCell, known: Slot, slots: Sequence[Slot]) -> bool:
    """Whether a cell that carries a given cell's id is that cell, edited, and not an answer put there."""
    if known.role == "checks":
        return not _defines_an_answer(cell, slots)
    return known.role == "plain" and known.code and cell.kind == "code"


def _defines_an_answer(cell: LooseCell, slots: Sequence[Slot]) -> bool:
    found = defined_names(cell.source)
    return any(slot.role == "answer" and slot.defines & found for slot in slots)


def _choose_answer(
    slot: Slot, slots: Sequence[Slot], cells: Sequence[LooseCell], taken: dict[int, int]
) -> int | None:
    """The student's cell that answers a slot, or None: found by its names, its ids, and whether it was
    edited."""
    best: tuple[tuple[bool, bool, bool, bool], int] | None = None
    for number, cell in enumerate(cells):
        defines = bool(slot.defines and slot.defines & defined_names(cell.source)) and slot.code
        by_label, by_id = cell.grade_id == slot.label, bool(slot.cell_id) and cell.cell_id == slot.cell_id
        if not (by_label or by_id or (defines and cell.kind == "code")):
            continue
        if number in taken and slots[taken[number]].index != slot.index:
            continue
        if not defines and _answers_another(slot, cell, slots):
            continue
        edited = _bare(cell.source) != _bare(slot.source)
        rank = (defines, edited, by_label, by_id)
        if best is None or rank > best[0]:
            best = (rank, number)
    return None if best is None else best[1]


def _answers_another(slot: Slot, cell: LooseCell, slots: Sequence[Slot]) -> bool:
    """Whether a cell that carries this slot's id defines what another exercise asks for: ids were swapped."""
    found = defined_names(cell.source)
    return slot.code and any(
        other.role == "answer" and other.index != slot.index and other.defines & found for other in slots
    )


def _source_of(slot: Slot, chosen: int, cells: Sequence[LooseCell]) -> str:
    """The chosen cell's source, joined with what a split cut off it.

    A cell cut in two keeps its grade id in both parts, or leaves an indented rest; the first part alone
    does not parse.
    """
    source = cells[chosen].source
    if not slot.code or _parses(source):
        return source
    joined = source
    for cell in cells[chosen + 1 : chosen + 6]:
        if not (cell.grade_id == slot.label or cell.source.startswith((" ", "\t"))):
            break
        joined = f"{joined.rstrip()}\n{cell.source}"
        if _parses(joined):
            return joined
    return source


def _parses(source: str) -> bool:
    import ast

    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _note_answer(slot: Slot, chosen: int | None, cells: Sequence[LooseCell], prepared: Prepared) -> None:
    if chosen is None:
        prepared.repairs.append(f"The answer cell of {slot.label} is missing; it counts as not answered.")
        return
    cell = cells[chosen]
    if cell.grade_id != slot.label and cell.cell_id != slot.cell_id:
        prepared.repairs.append(
            f"The answer cell of {slot.label} had lost its label; it was found by what it defines."
        )
    elif slot.code and cell.kind != "code":
        prepared.repairs.append(
            f"The answer cell of {slot.label} was no code cell any more; it was read as code."
        )
    if slot.code and prepared.notebook.cells[slot.index].source != cell.source:
        prepared.repairs.append(f"The answer cell of {slot.label} had been split; its parts were joined.")


def _note_checks(
    slots: Sequence[Slot], cells: Sequence[LooseCell], taken: dict[int, int], prepared: Prepared
) -> None:
    for slot in slots:
        if slot.role != "checks":
            continue
        copies = [number for number, index in taken.items() if index == slot.index]
        edited = any(_bare(cells[number].source) != _bare(slot.source) for number in copies)
        if not copies:
            prepared.repairs.append(f"The cell {slot.label} was missing; the course's own was used.")
        elif edited:
            prepared.repairs.append(f"The cell {slot.label} had been changed; the course's own was used.")
        elif len(copies) > 1:
            prepared.repairs.append(
                f"The cell {slot.label} was there {len(copies)} times; the course's own was used."
            )


def _place_extras(
    slots: Sequence[Slot],
    cells: Sequence[LooseCell],
    taken: dict[int, int],
    answers: dict[int, int],
    prepared: Prepared,
) -> None:
    """Insert the student's own code cells after the cell of the skeleton that they stood behind.

    An edited copy of a cell that asks for nothing takes its place if it still binds every name, and else
    runs after it: a lost import must not cost an answer.
    """
    slot_of = {number: index for index, number in answers.items()}
    joined = "\n".join(prepared.answers.values())
    behind: dict[int, list[str]] = {}
    replaced: set[int] = set()
    anchor, count = -1, 0
    for number, cell in enumerate(cells):
        if number in slot_of or number in taken:
            anchor = slot_of.get(number, taken.get(number, anchor))
            edited_plain = number in taken and slots[anchor].role == "plain" and slots[anchor].code
            if not edited_plain or _bare(cell.source) == _bare(slots[anchor].source):
                continue
            if bound_names(slots[anchor].source) <= bound_names(cell.source):
                replaced.add(anchor)
        elif (
            cell.kind != "code"
            or not cell.source.strip()
            or (not _parses(cell.source) and cell.source in joined)
        ):
            continue
        count += 1
        if count <= MAX_EXTRAS:
            behind.setdefault(anchor, []).append(cell.source)
    if count > MAX_EXTRAS:
        prepared.repairs.append(f"Of {count:,} further code cells only the first {MAX_EXTRAS} were run.")
    rebuilt, number = [], 0
    for index in range(-1, len(slots)):
        sources = behind.get(index, [])
        if index >= 0 and index not in replaced:
            rebuilt.append(prepared.notebook.cells[index])
        for source in sources:
            number += 1
            rebuilt.append(_student_cell(f"student-{number}", source))
    prepared.notebook.cells = rebuilt


def bound_names(source: str) -> frozenset[str]:
    """The names that a cell binds at its top level; of a source that does not parse, one that nothing
    binds."""
    import ast

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


def _bare(source: str) -> str:
    """A source without what editors change by themselves: line ends and white space at the ends of lines."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())
