"""The notebooks of a class folder: the chapter's own, registered with nbgrader, and each student's with verdicts.

A chapter is registered by nbgrader's GenerateAssignment. A student's finished notebook holds our verdicts in
the outputs that nbgrader scores, lies where its formgrader looks, and has no output that could run there.
"""

import copy
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grader.errors import EnvironmentProblem
from grader.execution.plan import Outcome
from grader.files import write_whole
from grader.grading.assignment import Assignment
from grader.grading.classroom import Classroom
from grader.grading.extras import STUDENT_TAG
from grader.grading.judging import WITHOUT_SANDBOX, verdict_outputs
from grader.grading.ledger import few_warnings
from grader.grading.new_gradebook import make_gradebook
from grader.grading.sanitising import safe_markdown, safe_outputs
from grader.grading.skeleton import Prepared
from grader.hidden import Result

ANCHOR = re.compile(r'<a id="[^"]*"></a>')
READ_ONLY = 0o444
"""nbgrader's permission for what it has autograded."""


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
        make_gradebook(classroom.db_url)
        with few_warnings():
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
    mark = WITHOUT_SANDBOX if outcome.isolation == "none" else ""
    for cell in notebook.cells:
        own = STUDENT_TAG in cell.metadata.get("tags", ())
        label = "" if own else cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if cell.cell_type != "code":
            if untouched.get(cell.id) != cell.source:
                cell.source = safe_markdown(cell.source)
            elif not label:
                # formgrader finds the field for an answer's points by its id, and would find these instead
                cell.source = ANCHOR.sub("", cell.source)
            continue
        cell.execution_count = None
        if label in by_checks:
            cell.outputs = verdict_outputs(by_checks[label], results.get(by_checks[label].label), mark)
        else:
            cell.outputs = safe_outputs(outcome.outputs.get(cell.id, []))
    return notebook


def write_notebook(classroom: Classroom, assignment: Assignment, student: str, claimed: str, notebook: Any) -> None:
    """Write one student's finished notebook to `autograded/`, as nbgrader's Autograde leaves it there.

    Beside it lie the claimed time and what a teacher put beside the source notebook, as nbgrader's formgrader
    and feedback expect.
    """
    import nbformat
    from nbgrader.preprocessors import LimitOutput

    chapter_id = assignment.chapter.id
    folder = classroom.root / "autograded" / student / chapter_id
    shutil.rmtree(folder, ignore_errors=True)
    limited, _ = LimitOutput().preprocess(notebook, {})
    write_whole(folder / f"{assignment.stem}.ipynb", nbformat.v4.writes(limited) + "\n", mode=READ_ONLY)
    if claimed:
        write_whole(folder / "timestamp.txt", f"{claimed}\n", mode=READ_ONLY)
    source = classroom.root / "source" / chapter_id
    for path in source.rglob("*"):
        if path.is_file() and path.suffix != ".ipynb":
            write_whole(folder / path.relative_to(source), path.read_bytes(), mode=READ_ONLY)
