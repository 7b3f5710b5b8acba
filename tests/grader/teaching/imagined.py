"""A class that nobody graded: gradebook rows and results written directly, so that ten thousand take seconds.

Points and results agree, as they do after `course grade`. Everything is drawn from a seed.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbgrader.api import (
    Assignment,
    BaseCell,
    Grade,
    Gradebook,
    GradeCell,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import insert

from grader.grading.classroom import Classroom, programs_on_path

CHAPTER = "07-imagined"
STEM = "imagined"


@dataclass(frozen=True)
class Task:
    """An exercise: its criteria with points, and the words for those who fail, with a place for a number."""

    label: str
    title: str
    criteria: dict[str, float]
    words: str = "the sum of [{a}, {b}] is not {c}: is every number added, whatever its sign?"
    essay: bool = False

    @property
    def points(self) -> float:
        return sum(self.criteria.values())

    @property
    def cell(self) -> str:
        return self.label if self.essay else f"{self.label}-checks"


TASKS = tuple(
    Task(f"task-{number}", f"7.{number} Task number {number}", {"values": 1.0, "edge cases": 1.0 + number % 2})
    for number in range(1, 9)
)


@dataclass(frozen=True)
class Imagined:
    """The class folder and what is in it."""

    classroom: Classroom
    tasks: tuple[Task, ...]
    students: tuple[str, ...]

    @property
    def names(self) -> dict[str, str]:
        return {task.cell: task.title for task in self.tasks}


def names_of(count: int) -> list[str]:
    return [f"student-{number:05}" for number in range(count)]


def imagine(
    root: Path,
    students: Sequence[str],
    tasks: Sequence[Task] = TASKS,
    *,
    seed: int = 7,
    missing: Sequence[str] = (),
    chapter: str = CHAPTER,
    stem: str = STEM,
    db_url: str | None = None,
    pages: bool = True,
) -> Imagined:
    """Write a graded class into `root`. Weak students fail more, and fail the later criterion first."""
    (root / "submitted").mkdir(parents=True, exist_ok=True)
    classroom = Classroom(root, db_url or f"sqlite:///{root / 'gradebook.db'}")
    draw = random.Random(seed)
    records = {student: _record(draw, student, tasks, chapter) for student in students}
    fill_gradebook(classroom.db_url, chapter, stem, tasks, records, missing)
    for student, record in records.items():
        folder = classroom.feedback(student, chapter)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
        if pages:
            (folder / "feedback.html").write_text(f"<!doctype html><title>{len(record)}</title>", encoding="utf-8")
    return Imagined(classroom, tuple(tasks), tuple(students))


def fill_gradebook(
    db_url: str,
    chapter: str,
    stem: str,
    tasks: Sequence[Task],
    records: dict[str, dict[str, Any]],
    missing: Sequence[str] = (),
) -> None:
    """The rows that nbgrader would have written for these results, in one transaction."""
    programs_on_path()
    with Gradebook(db_url) as gradebook:
        gradebook.db.commit()
        engine = gradebook.engine
    cells = [{"id": f"{chapter} {task.cell}", "task": task} for task in tasks]
    rows: dict[type, list[dict[str, Any]]] = {
        Assignment: [{"id": chapter, "name": chapter, "course_id": "default_course"}],
        Notebook: [{"id": chapter, "name": stem, "assignment_id": chapter}],
        BaseCell: [
            {"id": cell["id"], "name": cell["task"].cell, "notebook_id": chapter, "type": "GradeCell"} for cell in cells
        ],
        GradeCell: [
            {
                "id": cell["id"],
                "max_score": cell["task"].points,
                "cell_type": "markdown" if cell["task"].essay else "code",
            }
            for cell in cells
        ],
        Student: [{"id": name} for name in (*records, *missing)],
        SubmittedAssignment: [],
        SubmittedNotebook: [],
        Grade: [],
    }
    for number, (student, record) in enumerate(records.items()):
        own = f"{chapter} {number}"
        rows[SubmittedAssignment].append({"id": own, "assignment_id": chapter, "student_id": student})
        rows[SubmittedNotebook].append({"id": own, "assignment_id": own, "notebook_id": chapter, "flagged": False})
        points = {exercise["exercise"]: exercise["points"] for exercise in record["exercises"]}
        rows[Grade] += [
            {
                "id": f"{own} {index}",
                "notebook_id": own,
                "cell_id": cell["id"],
                "auto_score": points.get(cell["task"].label),
                "needs_manual_grade": cell["task"].label not in points,
            }
            for index, cell in enumerate(cells)
        ]
    with engine.begin() as connection:
        for kind, values in rows.items():
            if values:
                connection.execute(insert(kind.__table__), values)
    engine.dispose()


def _record(draw: random.Random, student: str, tasks: Sequence[Task], chapter: str) -> dict[str, Any]:
    skill = draw.gauss(0.7, 0.2)
    exercises = []
    for place, task in enumerate(tasks):
        if task.essay:
            continue
        findings = []
        for hardness, (name, points) in enumerate(task.criteria.items()):
            met = draw.random() < skill + 0.3 - 0.03 * place - 0.15 * hardness
            shown = {key: draw.randint(1, 99) for key in "abc"}
            words = "" if met else f"{name}: {task.words.format(**shown)}"
            findings.append(
                {"name": name, "met": met, "points": points * met, "max_points": points, "words": words},
            )
        spent = round(draw.uniform(0.01, 0.3) * (place + 1), 3)
        exercises.append(
            {
                "exercise": task.label,
                "title": task.title,
                "points": sum(each["points"] for each in findings),
                "max_points": task.points,
                "criteria": findings,
                "note": "",
                "spent": spent,
                "seed": "1",
            }
        )
    return {
        "chapter": chapter,
        "student": student,
        "points": sum(each["points"] for each in exercises),
        "max_points": sum(task.points for task in tasks),
        "problem": "",
        "exercises": exercises,
        "repairs": [f"The answer cell of {tasks[0].label} is missing; it counts as not answered."]
        * (draw.random() < 0.04),
        "attempt": f"{draw.getrandbits(256):064x}",
        "isolation": "bubblewrap",
        "start": "warm" if draw.random() < 0.98 else "cold",
        "remark": "",
        "suspicious": [],
        "used": {
            "seconds": round(sum(each["spent"] for each in exercises), 2),
            "cpu_seconds": round(sum(each["spent"] for each in exercises) * 0.9, 2),
            "peak_mb": draw.randint(180, 420),
        },
        "notes": {},
    }


def change_result(imagined: Imagined, student: str, **changes: Any) -> None:
    """Put other values into one student's result."""
    path = imagined.classroom.feedback(student, CHAPTER) / "result.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**record, **changes}), encoding="utf-8")
