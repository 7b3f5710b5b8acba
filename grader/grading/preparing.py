"""A class folder before the first submission: what nbgrader needs to release a chapter and to collect it."""

from pathlib import Path

from grader.course import Chapter, Course
from grader.errors import EnvironmentProblem
from grader.grading.assignment import load_assignment
from grader.grading.classroom import Classroom, open_classroom, programs_on_path, write_settings
from grader.grading.one_writer import one_writer
from grader.grading.recording import register


def prepare_class(course: Course, chapter: Chapter, root: Path, db_url: str | None = None) -> Classroom:
    """Make the class folder where there is none, and put a chapter into it: settings, `source/`, `release/`, the
    gradebook's rows.

    Args:
        course: the course.
        chapter: the chapter.
        root: the class folder.
        db_url: the gradebook, as `open_classroom` takes it.

    Raises:
        AuthoringError: for an author's mistake. Nothing is written then.
        EnvironmentProblem: when the folder or the gradebook cannot be written.
    """
    assignment = load_assignment(course, chapter)
    try:
        (root / "submitted").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"the class folder cannot be made: {error}", "name a folder that you can write to with --class"
        ) from None
    classroom = open_classroom(root, db_url)
    programs_on_path()
    with one_writer(classroom):
        classroom.secret()
        register(classroom, assignment, str(course.settings["course"]["slug"]))
        write_settings(classroom, course, chapter.budget.cell_seconds)
    return classroom
