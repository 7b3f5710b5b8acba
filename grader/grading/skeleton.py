"""Rebuild a submission on the instructor's notebook, taking only the sources of answers from the student.

That one decision makes deleted, duplicated, edited, retyped, renamed and unlocked check cells harmless,
honest or not: check cells, points, ids and flags are always the instructor's. The student's own further
code cells are kept as untrusted code where they stood, because an answer may need what they define.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.grading.extras import place_extras
from grader.grading.loose import LooseCell, bare
from grader.grading.matching import Slot, choose_answer, match_given_cells, slots_of
from grader.grading.mending import mended


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


def rebuild(skeleton: Any, cells: Sequence[LooseCell]) -> Prepared:
    """Put a student's answers into a copy of the instructor's student notebook.

    Answers are found by grade id, then by cell id, then by what they define. Where several cells could be
    the answer, the first edited one is, and later ones stay behind it as the student's own code, so that
    running the notebook from top to bottom means what it meant to the student.
    """
    notebook = copy.deepcopy(skeleton)
    slots = slots_of(notebook)
    cells = mended(cells, slots)
    prepared = Prepared(notebook)
    taken = match_given_cells(slots, cells)
    answers: dict[int, int] = {}
    for slot in slots:
        if slot.taken_from_student:
            chosen = choose_answer(slot, slots, cells, taken)
            if chosen is not None:
                answers[slot.index] = chosen
            source = slot.source if chosen is None else cells[chosen].source
            notebook.cells[slot.index].source = source
            if slot.role == "answer":
                prepared.answers[slot.label] = source
            _note_answer(slot, chosen, cells, prepared)
    _note_checks(slots, cells, taken, prepared)
    places = taken | {number: index for index, number in answers.items()}
    answered = "\n".join(prepared.answers.values())
    notebook.cells, dropped = place_extras(notebook.cells, slots, cells, places, answered)
    prepared.repairs += [dropped] if dropped else []
    return prepared


def _note_answer(slot: Slot, chosen: int | None, cells: Sequence[LooseCell], prepared: Prepared) -> None:
    if chosen is None:
        prepared.repairs.append(f"The answer cell of {slot.label} is missing; it counts as not answered.")
        return
    cell = cells[chosen]
    if cell.grade_id != slot.label and cell.cell_id != slot.cell_id:
        prepared.repairs.append(f"The answer cell of {slot.label} had lost its label; it was found by what it defines.")
    elif slot.code and cell.kind != "code":
        prepared.repairs.append(f"The answer cell of {slot.label} was no code cell any more; it was read as code.")
    if cell.mended:
        prepared.repairs.append(f"The answer cell of {slot.label} {cell.mended}.")


def _note_checks(slots: Sequence[Slot], cells: Sequence[LooseCell], taken: dict[int, int], prepared: Prepared) -> None:
    for slot in slots:
        if slot.role != "checks":
            continue
        copies = [number for number, index in taken.items() if index == slot.index]
        edited = any(cells[number].bare != bare(slot.source) for number in copies)
        if not copies:
            prepared.repairs.append(f"The cell {slot.label} was missing; the course's own was used.")
        elif edited:
            prepared.repairs.append(f"The cell {slot.label} had been changed; the course's own was used.")
        elif len(copies) > 1:
            prepared.repairs.append(f"The cell {slot.label} was there {len(copies)} times; the course's own was used.")
