"""Good and half-good submissions of a real chapter, as a student's JupyterLab would have saved them.

Every answer is one that the chapter itself lists: its reference, its alternatives, its mistakes, its stub.
"""

import copy
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.course import Chapter, Course, load_course
from grader.demo.students import fill_in
from grader.grading.assignment import Assignment, load_assignment
from grader.loading import load_alternatives, load_mistakes
from grader.proving.material import read_material

ROOT = Path(__file__).resolve().parents[2]

PROFILES = (
    # shares of right answers, mistakes and stubs
    (1.0, 0.0, 0.0),
    (0.75, 0.25, 0.0),
    (0.6, 0.2, 0.2),
    (0.4, 0.3, 0.3),
)
COUNT = 20
"""How many different submissions are damaged."""


@dataclass(frozen=True)
class Undamaged:
    """One submission before anything happened to it, as plain JSON."""

    name: str
    notebook: dict[str, Any]


@dataclass(frozen=True)
class Material:
    """A chapter and the submissions that are damaged."""

    course: Course
    chapter: Chapter
    assignment: Assignment
    skeleton: dict[str, Any]
    drafts: dict[str, list[str]]
    """By exercise, wrong answers that somebody may have begun with."""
    submissions: tuple[Undamaged, ...]


def load_material(chapter_id: str | None = None) -> Material:
    """A chapter, the first where none is named, and its submissions, the same ones each time."""
    course = load_course(ROOT)
    chapter = course.chapter(chapter_id) if chapter_id else course.chapters[0]
    assignment = load_assignment(course, chapter)
    right: dict[str, list[str]] = {}
    stubs: dict[str, str] = {}
    for cell in read_material(course, chapter):
        if cell.role == "answer":
            right[cell.exercise], stubs[cell.exercise] = [cell.solution], cell.source
    for other in load_alternatives(chapter.alternatives):
        right[other.exercise].append(other.code)
    wrong = {label: [m.code for m in load_mistakes(chapter.mistakes) if m.exercise == label] for label in right}
    submissions = []
    for number in range(COUNT):
        rng = random.Random(f"undamaged {number}")
        shares = PROFILES[number % len(PROFILES)]
        codes = {}
        for label in right:
            (kind,) = rng.choices(("right", "wrong", "stub"), shares)
            choices = {"right": right[label], "wrong": wrong[label], "stub": [stubs[label]]}[kind]
            codes[label] = rng.choice(choices)
        notebook = json.loads(json.dumps(fill_in(assignment.skeleton, codes)))
        _run_by_hand(notebook)
        submissions.append(Undamaged(f"submission {number}", notebook))
    skeleton = json.loads(json.dumps(assignment.skeleton))
    return Material(course, chapter, assignment, skeleton, wrong, tuple(submissions))


def _run_by_hand(notebook: dict[str, Any]) -> None:
    """Leave outputs and counts behind, as a session does."""
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell["execution_count"] = count
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [f"ran as number {count}\n"]}]


def fresh(submission: Undamaged) -> dict[str, Any]:
    """A copy that may be damaged."""
    return copy.deepcopy(submission.notebook)
