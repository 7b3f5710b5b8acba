"""Scores read from nbgrader's gradebook with a few queries: its own objects ask one query for each number.

The rules are nbgrader's: a person's score counts before the automatic one, extra credit is added to
whichever counts, and a late penalty takes from the total but never below 0. One thing is kept apart: a cell
that nobody has scored yet is 0 for nbgrader and None here, so that a mean can leave it out.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """What the gradebook holds of one student.

    Attributes:
        student: the student's name there.
        points: by cell, or by chapter; None where a person still has to grade.
        penalty: what a late submission costs.
        waiting: how many cells wait for a person.
    """

    student: str
    points: dict[str, float | None]
    penalty: float = 0.0
    waiting: int = 0


@dataclass(frozen=True)
class Scores:
    """A chapter, or all chapters, of a gradebook.

    Attributes:
        max_points: what there is to earn, by cell or by chapter; empty where the gradebook knows neither.
        entries: one for each student with a submission, by name.
        missing: the students without a submission, by name.
    """

    max_points: dict[str, float] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    missing: tuple[str, ...] = ()


@contextmanager
def _connection(db_url: str) -> Iterator[Any]:
    from sqlalchemy import create_engine

    engine = create_engine(db_url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def read_chapter(db_url: str, chapter_id: str) -> Scores:
    """The scores of one chapter by graded cell. A gradebook that does not know it has no cells and no entries."""
    from nbgrader.api import Assignment, BaseCell, Grade, Notebook, SubmittedNotebook
    from nbgrader.api import SubmittedAssignment as Submission
    from sqlalchemy import select

    graded, cell, notebook, mark = _graded_cells(), BaseCell.__table__, Notebook.__table__, Grade.__table__
    submission, book = Submission.__table__, SubmittedNotebook.__table__
    with _connection(db_url) as connection:
        here = select(Assignment.__table__.c.id).where(Assignment.name == chapter_id).scalar_subquery()
        cells = connection.execute(
            select(cell.c.id, cell.c.name, notebook.c.name, graded.c.max_score)
            .join(graded, graded.c.id == cell.c.id)
            .join(notebook, notebook.c.id == cell.c.notebook_id)
            .where(notebook.c.assignment_id == here)
            .order_by(notebook.c.name, cell.c.name)
        ).all()
        marks = connection.execute(
            select(
                submission.c.student_id,
                mark.c.cell_id,
                mark.c.auto_score,
                mark.c.manual_score,
                mark.c.extra_credit,
                mark.c.needs_manual_grade,
            )
            .join(book, book.c.id == mark.c.notebook_id)
            .join(submission, submission.c.id == book.c.assignment_id)
            .where(submission.c.assignment_id == here)
        ).all()
        students, penalties = _submissions(connection, here)
    names = _cell_names(cells)
    points: dict[str, dict[str, float | None]] = {student: {} for student in penalties}
    waiting = dict.fromkeys(penalties, 0)
    for student, cell_id, automatic, manual, extra, by_hand in marks:
        score = automatic if manual is None else manual
        points[student][names.get(cell_id, cell_id)] = None if score is None else float(score) + float(extra or 0)
        waiting[student] += bool(by_hand)
    return Scores(
        {names[cell_id]: float(most) for cell_id, _, _, most in cells},
        tuple(Entry(student, points[student], penalties[student], waiting[student]) for student in sorted(points)),
        tuple(sorted(set(students) - set(penalties))),
    )


def _cell_names(cells: Sequence[Any]) -> dict[str, str]:
    """Names by id: a cell's own, with its notebook's in front where two notebooks have one of that name."""
    own = [name for _, name, _, _ in cells]
    return {cell_id: name if own.count(name) == 1 else f"{book}/{name}" for cell_id, name, book, _ in cells}


def _submissions(connection: Any, assignment: Any) -> tuple[list[str], dict[str, float]]:
    """All students of the gradebook, and the late penalty of each who has a submission."""
    from nbgrader.api import Student, SubmittedNotebook
    from nbgrader.api import SubmittedAssignment as Submission
    from sqlalchemy import func, select

    submission, book = Submission.__table__, SubmittedNotebook.__table__
    penalty = func.coalesce(func.sum(book.c.late_submission_penalty), 0.0)
    found = connection.execute(
        select(submission.c.student_id, penalty)
        .outerjoin(book, book.c.assignment_id == submission.c.id)
        .where(submission.c.assignment_id == assignment)
        .group_by(submission.c.id, submission.c.student_id)
    ).all()
    students = connection.execute(select(Student.__table__.c.id)).scalars().all()
    return list(students), {student: float(costs) for student, costs in found}


def read_course(db_url: str, chapters: Iterable[str]) -> Scores:
    """The scores of all `chapters` that have submissions, added up by chapter; late penalties are taken off in each.

    A student with work in any of them has an entry, with only the chapters handed in. A chapter counts with what
    is scored so far; `waiting` says how many cells are not.
    """
    from nbgrader.api import Assignment, Grade, Student, SubmittedNotebook
    from nbgrader.api import SubmittedAssignment as Submission
    from sqlalchemy import Integer, cast, func, select

    task, submission, book = Assignment.__table__, Submission.__table__, SubmittedNotebook.__table__
    mark = Grade.__table__
    score = func.coalesce(mark.c.manual_score, mark.c.auto_score) + func.coalesce(mark.c.extra_credit, 0.0)
    with _connection(db_url) as connection:
        names = {row.id: row.name for row in connection.execute(select(task.c.id, task.c.name))}
        most = {names[each]: float(points) for each, points in connection.execute(_most_by_assignment())}
        sums = connection.execute(
            select(
                submission.c.id,
                func.coalesce(func.sum(score), 0.0),
                func.coalesce(func.sum(cast(mark.c.needs_manual_grade, Integer)), 0),
            )
            .join(book, book.c.assignment_id == submission.c.id)
            .join(mark, mark.c.notebook_id == book.c.id)
            .group_by(submission.c.id)
        ).all()
        found = connection.execute(
            select(
                submission.c.id,
                submission.c.assignment_id,
                submission.c.student_id,
                func.coalesce(func.sum(book.c.late_submission_penalty), 0.0),
            )
            .outerjoin(book, book.c.assignment_id == submission.c.id)
            .group_by(submission.c.id, submission.c.assignment_id, submission.c.student_id)
        ).all()
        students = connection.execute(select(Student.__table__.c.id)).scalars().all()
    scored = {each: (float(points), int(waits)) for each, points, waits in sums}
    wanted, points, waiting = set(chapters), dict[str, dict[str, float | None]](), dict[str, int]()
    for each, assignment, student, penalty in found:
        if names[assignment] in wanted:
            raw, waits = scored.get(each, (0.0, 0))
            points.setdefault(student, {})[names[assignment]] = max(0.0, raw - float(penalty))
            waiting[student] = waiting.get(student, 0) + waits
    seen = {chapter for row in points.values() for chapter in row}
    return Scores(
        {name: points for name, points in most.items() if name in seen},
        tuple(Entry(student, points[student], waiting=waiting[student]) for student in sorted(points)),
        tuple(sorted(set(students) - set(points))),
    )


def _most_by_assignment() -> Any:
    """The query for what there is to earn, by assignment."""
    from nbgrader.api import BaseCell, Notebook
    from sqlalchemy import func, select

    graded, cell, notebook = _graded_cells(), BaseCell.__table__, Notebook.__table__
    return (
        select(notebook.c.assignment_id, func.sum(graded.c.max_score))
        .join(cell, cell.c.notebook_id == notebook.c.id)
        .join(graded, graded.c.id == cell.c.id)
        .group_by(notebook.c.assignment_id)
    )


def _graded_cells() -> Any:
    """The cells that carry points: nbgrader keeps two kinds in two tables."""
    from nbgrader.api import GradeCell, TaskCell
    from sqlalchemy import select, union_all

    kinds = (GradeCell.__table__, TaskCell.__table__)
    return union_all(*(select(kind.c.id, kind.c.max_score) for kind in kinds)).subquery()
