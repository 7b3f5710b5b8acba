"""One chapter as the grader needs it: skeleton, hidden checks, points, library slice, and the hashes of all
of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.course import Chapter, Course
from grader.errors import AuthoringError
from grader.execution.plan import Library
from grader.grading.imports import imported_modules
from grader.grading.keys import digest, judge_key
from grader.grading.matching import slots_of
from grader.hidden import HiddenCheck
from grader.loading import load_checks

EXPERIMENT_TAG = "experiment"
"""Of the author's own measurements, which grading leaves out."""


@dataclass(frozen=True)
class GradedExercise:
    """One exercise with a hidden check, in the order of the notebook.

    Attributes:
        label: the label of its answer cell.
        checks: the label of its checks cell, which carries the points.
        number: such as 1.3; empty where the page gives none.
        title: such as "Softmax with temperature".
        points: what a right answer earns.
    """

    label: str
    checks: str
    number: str
    title: str
    points: float

    @property
    def name(self) -> str:
        """Number and title for people."""
        return f"{self.number} {self.title}".strip()


@dataclass(frozen=True)
class Assignment:
    """Everything about a chapter that is the same for each student."""

    chapter: Chapter
    edition: str
    skeleton: Any
    """The student notebook, as nbformat gives it."""
    source: Any
    """nbgrader's source notebook, with solutions and hidden parts. Never leaves the grader."""
    exercises: tuple[GradedExercise, ...]
    hidden: Mapping[str, HiddenCheck]
    library: Library
    checks_digest: str
    library_digest: str

    @property
    def stem(self) -> str:
        """The notebook's name without `.ipynb`, which is also its name in the gradebook."""
        return self.chapter.page.stem


def load_assignment(course: Course, chapter: Chapter) -> Assignment:
    """Build a chapter's notebooks and load its hidden checks.

    Raises:
        AuthoringError: for every author's mistake, before anything is run or written.
    """
    from grader.authoring.notebooks import hand_out, source_notebook

    source = source_notebook(course, chapter)
    skeleton = hand_out(source)
    hidden = load_checks(chapter.hidden)
    exercises = _exercises(chapter, skeleton, hidden, _headings(course, chapter))
    files = tuple((str(path), (course.library_root / path).read_bytes()) for path in course.library_files(chapter))
    library = Library(files, _imports(skeleton))
    return Assignment(
        chapter=chapter,
        edition=str(course.settings["course"]["edition"]),
        skeleton=skeleton,
        source=source,
        exercises=exercises,
        hidden=hidden,
        library=library,
        checks_digest=digest(judge_key(course, chapter).encode(), json.dumps(source, sort_keys=True).encode()),
        library_digest=library.digest,
    )


def _imports(skeleton: Any) -> tuple[str, ...]:
    """The modules that the course's own cells import when they are run."""
    given = [cell.source for cell in skeleton.cells if cell.cell_type == "code" and not _is_measurement(cell)]
    names = {name for source in given for name in imported_modules(source)}
    return tuple(sorted(names))


def _is_measurement(cell: Any) -> bool:
    return EXPERIMENT_TAG in cell.metadata.get("tags", ())


def _headings(course: Course, chapter: Chapter) -> dict[str, tuple[str, str]]:
    """Number and title of each exercise, from the page."""
    from grader.authoring.checking import load_page

    page = load_page(course, chapter)
    return {exercise.label: (exercise.number, exercise.title) for exercise in page.exercises}


def _exercises(
    chapter: Chapter,
    skeleton: Any,
    hidden: Mapping[str, HiddenCheck],
    headings: Mapping[str, tuple[str, str]],
) -> tuple[GradedExercise, ...]:
    points = {
        cell.metadata["nbgrader"]["grade_id"]: cell.metadata["nbgrader"].get("points", 0)
        for cell in skeleton.cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    exercises = []
    for slot in slots_of(skeleton):
        if slot.role != "checks":
            continue
        label = slot.label.removesuffix("-checks")
        check = hidden.get(label)
        if check is None:
            raise AuthoringError(
                chapter.hidden, None, f"no hidden check for {label!r}", "write a class with this exercise"
            )
        total = sum(check.criteria.values())
        if abs(total - points[slot.label]) > 1e-9:
            raise AuthoringError(
                chapter.hidden,
                None,
                f"the criteria of {label!r} add up to {total:g}, but its checks cell has {points[slot.label]:g} points",
                f"make the criteria add up to points-{points[slot.label]:g}",
            )
        number, title = headings.get(label, ("", label))
        exercises.append(GradedExercise(label, slot.label, number, title, float(points[slot.label])))
    return tuple(exercises)
