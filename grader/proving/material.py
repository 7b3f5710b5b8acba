"""What of a chapter is put to the proof: its code cells in order, with stub and solution of every answer."""

from dataclasses import dataclass
from typing import Literal

from grader.course import Chapter, Course

Role = Literal["plain", "answer", "checks"]


@dataclass(frozen=True)
class CodeCell:
    """One code cell as a student sees it.

    Attributes:
        role: "answer" and "checks" belong to an exercise, "plain" is everything else.
        exercise: the label of the exercise, "" for a plain cell.
        source: the text in the student notebook: a stub where it is an answer, visible checks alone where
            it checks.
        solution: the whole reference answer; "" unless the role is "answer".
        points: what the checks are worth.
    """

    role: Role
    exercise: str
    source: str
    solution: str = ""
    points: float = 0.0


def read_material(course: Course, chapter: Chapter) -> list[CodeCell]:
    """The chapter's code cells, from the student notebook and, for the solutions, the page.

    Raises:
        AuthoringError: what is wrong with the page.
    """
    from grader.authoring import load_page
    from grader.authoring.notebooks import student_notebook

    solutions = {cell.label: cell.source for cell in load_page(course, chapter).cells if cell.role == "answer"}
    cells = []
    for cell in student_notebook(course, chapter).cells:
        marks = cell.metadata.get("nbgrader", {})
        label = str(marks.get("grade_id", ""))
        if cell.cell_type != "code":
            continue
        if label in solutions:
            cells.append(CodeCell("answer", label, cell.source, solution=solutions[label]))
        elif marks.get("grade"):
            exercise = label.removesuffix("-checks")
            cells.append(CodeCell("checks", exercise, cell.source, points=float(marks["points"])))
        else:
            cells.append(CodeCell("plain", "", cell.source))
    return cells
