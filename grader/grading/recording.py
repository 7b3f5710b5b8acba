"""Write one student's verdicts: the autograded notebook and the gradebook, by nbgrader's own steps.

nbgrader's Autograde runs without its sanitising (the notebook is rebuilt already) and without Execute (it
has run elsewhere): what is left reads our verdicts from the outputs and writes the gradebook. It is driven
for one student at a time, because it stops a whole batch at the first odd notebook. Only this process ever
opens the gradebook.
"""

import contextlib
import copy
import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grader.errors import EnvironmentProblem
from grader.execution.plan import Outcome
from grader.files import write_whole
from grader.grading.assignment import Assignment
from grader.grading.classroom import Classroom
from grader.grading.extras import STUDENT_TAG
from grader.grading.judging import verdict_outputs
from grader.grading.sanitising import safe_markdown, safe_outputs
from grader.grading.skeleton import Prepared
from grader.hidden import Result

PREPARED = "prepared"
"""Where finished notebooks lie for the moment in which nbgrader reads them."""


class KeptLog(logging.Handler):
    """nbgrader's complaints, kept for an error message instead of printed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last line of a message: of a traceback, the exception."""
        self.lines.append(record.getMessage().strip().splitlines()[-1][:300])


def _quiet_log() -> tuple[logging.Logger, KeptLog]:
    log = logging.Logger("nbgrader-recording", logging.WARNING)
    kept = KeptLog()
    log.addHandler(kept)
    return log, kept


@contextlib.contextmanager
def _few_warnings() -> Iterator[None]:
    """SQLAlchemy 2 warns of the order in which nbgrader links new rows; what is stored is right."""
    from sqlalchemy.exc import SAWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object of type .* not in session", SAWarning)
        yield


def stubs() -> Any:
    """nbgrader's settings for what an unanswered cell holds: as in the student notebook."""
    from traitlets.config import Config

    from grader.authoring.notebooks import CODE_STUB, TEXT_STUB

    config = Config()
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    return config


def _course_directory(classroom: Classroom, assignment: Assignment, slug: str, **traits: Any) -> Any:
    from nbgrader.coursedir import CourseDirectory

    return CourseDirectory(
        root=str(classroom.root),
        db_url=classroom.db_url,
        course_id=slug,
        assignment_id=assignment.chapter.id,
        **traits,
    )


def register(classroom: Classroom, assignment: Assignment, slug: str) -> None:
    """Put the chapter into `source/` and `release/` and its cells into the gradebook, by nbgrader's
    GenerateAssignment.

    Raises:
        EnvironmentProblem: when nbgrader refuses: mostly because exercises were added or taken away after
            submissions.
    """
    import nbformat
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from sqlalchemy.exc import SQLAlchemyError

    chapter_id = assignment.chapter.id
    source = classroom.root / "source" / chapter_id / f"{assignment.stem}.ipynb"
    write_whole(source, nbformat.writes(assignment.source))
    log, kept = _quiet_log()
    directory = _course_directory(classroom, assignment, slug)
    converter = GenerateAssignment(coursedir=directory, log=log, force=True, config=stubs())
    _give_notebooks(converter, classroom.root / "source" / "." / chapter_id, source.name, student=".")
    try:
        with _few_warnings():
            converter.start()
    except (NbGraderException, SQLAlchemyError) as error:
        reasons = [line for line in kept.lines if "associated" in line] or kept.lines[-3:] or [str(error)]
        raise EnvironmentProblem(
            f"nbgrader could not put {chapter_id} into the gradebook: {reasons[0]}",
            "if exercises were added or removed after grading, grade into another --class folder, or take "
            f"the old submissions out with `nbgrader db assignment remove {chapter_id} --force`, "
            "run in the class folder",
        ) from None
    release = classroom.root / "release" / chapter_id / f"{assignment.stem}.ipynb"
    write_whole(release, nbformat.writes(assignment.skeleton))


def _give_notebooks(converter: Any, folder: Path, name: str, student: str) -> None:
    """Name the notebook instead of letting nbgrader search: it takes `[` and `*` in a path as a pattern."""
    # a plain string: pathlib would drop the "." that stands for "no student"
    where = str(folder) if student != "." else f"{folder.parent}/./{folder.name}"

    def init_notebooks() -> None:
        converter.notebooks = []
        converter.assignments = {where: [f"{where}/{name}"]}

    converter.init_notebooks = init_notebooks


def finished_notebook(
    assignment: Assignment, prepared: Prepared, outcome: Outcome, results: Mapping[str, Result]
) -> Any:
    """The rebuilt notebook with verdicts in its checks cells and cleaned outputs in all others."""
    notebook = copy.deepcopy(prepared.notebook)
    by_checks = {exercise.checks: exercise for exercise in assignment.exercises}
    untouched = {cell.id: cell.source for cell in assignment.skeleton.cells if cell.cell_type == "markdown"}
    for cell in notebook.cells:
        own = STUDENT_TAG in cell.metadata.get("tags", ())
        label = "" if own else cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if cell.cell_type != "code":
            if untouched.get(cell.id) != cell.source:
                cell.source = safe_markdown(cell.source)
            continue
        cell.execution_count = None
        if label in by_checks:
            cell.outputs = verdict_outputs(by_checks[label], results.get(by_checks[label].label))
        else:
            cell.outputs = safe_outputs(outcome.outputs.get(cell.id, []))
    return notebook


def record(classroom: Classroom, assignment: Assignment, slug: str, student: str, claimed: str, notebook: Any) -> float:
    """Write one student's notebook to `autograded/` and its scores to the gradebook; the points it has there.

    Raises:
        EnvironmentProblem: when nbgrader cannot write them.
    """
    import nbformat
    from nbgrader.converters import Autograde
    from nbgrader.converters.base import NbGraderException
    from sqlalchemy.exc import SQLAlchemyError

    chapter_id = assignment.chapter.id
    folder = classroom.root / PREPARED / student / chapter_id
    write_whole(folder / f"{assignment.stem}.ipynb", nbformat.writes(notebook))
    if claimed:
        write_whole(folder / "timestamp.txt", f"{claimed}\n")
    log, kept = _quiet_log()
    directory = _course_directory(classroom, assignment, slug, submitted_directory=PREPARED)
    converter = Autograde(
        coursedir=directory,
        log=log,
        force=True,
        sanitize_preprocessors=[],
        autograde_preprocessors=_recording_steps(),
    )
    _give_notebooks(converter, folder, f"{assignment.stem}.ipynb", student)
    try:
        with _few_warnings():
            _reset_scores(classroom, assignment, slug, student)
            converter.start()
    except (NbGraderException, SQLAlchemyError) as error:
        raise EnvironmentProblem(
            f"nbgrader could not record {student}: {'; '.join(kept.lines[-3:]) or error}",
            "see that the gradebook can be written and that the disk has room, then grade again",
        ) from None
    finally:
        shutil.rmtree(classroom.root / PREPARED / student, ignore_errors=True)
        with contextlib.suppress(OSError):
            (classroom.root / PREPARED).rmdir()
    return scores_in_gradebook(classroom, assignment, student)[student]


def scores_in_gradebook(classroom: Classroom, assignment: Assignment, only: str | None = None) -> dict[str, float]:
    """The points that the gradebook holds, a teacher's corrections included: of all students, or of one."""
    from nbgrader.api import Gradebook

    chapter_id = assignment.chapter.id
    with Gradebook(classroom.db_url) as gradebook:
        if only is not None:
            return {only: float(gradebook.find_submission(chapter_id, only).score)}
        submissions = gradebook.assignment_submissions(chapter_id)
        return {submission.student_id: float(submission.score) for submission in submissions}


def _recording_steps() -> list[Any]:
    from nbconvert.preprocessors import ClearMetadataPreprocessor
    from nbgrader.preprocessors import (
        AssignLatePenalties,
        CheckCellMetadata,
        IgnorePattern,
        LimitOutput,
        SaveAutoGrades,
    )

    return [
        IgnorePattern,
        ClearMetadataPreprocessor,
        LimitOutput,
        SaveAutoGrades,
        AssignLatePenalties,
        CheckCellMetadata,
    ]


def _reset_scores(classroom: Classroom, assignment: Assignment, slug: str, student: str) -> None:
    """Take back an earlier run's automatic scores and time; a teacher's scores and comments stay."""
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(classroom.db_url, slug) as gradebook:
        try:
            submission = gradebook.find_submission(assignment.chapter.id, student)
        except MissingEntry:
            return
        submission.timestamp = None
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                grade.auto_score = None
        gradebook.db.commit()
