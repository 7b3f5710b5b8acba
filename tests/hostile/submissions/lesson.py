"""Chapter 1 as the bank uses it: all of its exercises and hidden checks, without what they do not need."""

import copy
import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from grader.course import load_course
from grader.grading.assignment import Assignment, load_assignment
from grader.proving.slicing import is_import, needed_parts

COURSE = load_course(Path(__file__).absolute().parents[3])
CHAPTER = COURSE.chapters[0]
FIGURES = ("matplotlib", "tqdm")
ROBBED = "aaron"
"""The neighbour whose notebook some folders link to."""


@functools.cache
def light_assignment() -> Assignment:
    """The chapter without prose, figures and experiments: a submission then takes a second, not three.

    torch has a cell of its own before the first exercise that needs it, so that a tight limit on a cell does
    not meet the import on a busy machine.
    """
    whole = load_assignment(COURSE, CHAPTER)
    labels = {cell.metadata["nbgrader"]["grade_id"] for cell in whole.skeleton.cells if cell.metadata.get("nbgrader")}
    plain = [cell for cell in whole.skeleton.cells if cell.cell_type == "code" and not cell.metadata.get("nbgrader")]
    readers = [cell.source for cell in whole.source.cells if cell.metadata.get("nbgrader")]
    answered = [name for check in whole.hidden.values() for name in check.uses]
    parts = needed_parts([cell.source for cell in plain], readers, answered)
    needed = {cell.id: _without_figures(part) for cell, part in zip(plain, parts, strict=True)}
    shorter = [_shortened(notebook, labels, needed) for notebook in (whole.skeleton, whole.source)]
    return replace(whole, skeleton=shorter[0], source=shorter[1])


def _without_figures(source: str) -> str:
    import ast

    tree = ast.parse(source)
    heavy = (*FIGURES, "torch")
    tree.body = [
        node for node in tree.body if not (is_import(node) and any(name in ast.unparse(node) for name in heavy))
    ]
    return ast.unparse(tree)


def _shortened(notebook: Any, labels: set[str], needed: dict[str, str]) -> Any:
    short = copy.deepcopy(notebook)
    cells = []
    for cell in short.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if grade_id == "softmax":
            imports = copy.deepcopy(cells[0])
            imports.update(id="torch", source="import torch\nimport torch.nn.functional as F")
            cells.append(imports)
        if grade_id in labels:
            cells.append(cell)
        elif needed.get(cell.id):
            cell.source = needed[cell.id]
            cells.append(cell)
    short.cells = cells
    return short


SMALL = ("sequence-logprob", "table-parameters", "ngram", "bits-per-byte")
"""The exercises that need no torch: a submission then takes a third of a second. Attacks that need no other
exercise are graded on these."""


@functools.cache
def small_assignment() -> Assignment:
    """The same chapter with four of its eight exercises."""
    whole = light_assignment()
    kept = tuple(exercise for exercise in whole.exercises if exercise.label in SMALL)
    short = [copy.deepcopy(notebook) for notebook in (whole.skeleton, whole.source)]
    for notebook in short:
        notebook.cells = [cell for cell in notebook.cells if _is_of(cell, SMALL)]
    return replace(whole, skeleton=short[0], source=short[1], exercises=kept)


def _is_of(cell: Any, labels: Sequence[str]) -> bool:
    grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    return cell.id != "torch" and (not grade_id or grade_id.removesuffix("-checks") in labels)


@functools.cache
def solutions() -> dict[str, str]:
    """The right answers by label."""
    cells = [cell for cell in light_assignment().source.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    return {cell.metadata["nbgrader"]["grade_id"]: cell.source for cell in cells}


def points() -> dict[str, float]:
    """What each exercise is worth."""
    return {exercise.label: exercise.points for exercise in light_assignment().exercises}
