"""The gradebook of one chapter, open for a whole run: one connection, one transaction for each student.

nbgrader's own Autograde opens the gradebook nine times for each student and has it add up the whole class.
Here its tables are written directly, row for row what its converter would write (a test compares the two):
a class of ten thousand costs each student the same, and a run that is killed leaves each student's rows
either old or new, never half.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from grader.errors import EnvironmentProblem

PAGE = 5000
"""Rows fetched at one time."""

POINTS = """
SELECT sa.student_id, cell.name, grade.auto_score, grade.manual_score, grade.extra_credit
FROM assignment JOIN submitted_assignment AS sa ON sa.assignment_id = assignment.id
JOIN submitted_notebook AS book ON book.assignment_id = sa.id
JOIN grade ON grade.notebook_id = book.id
JOIN base_cell AS cell ON cell.id = grade.cell_id
WHERE assignment.name = :chapter
"""


@dataclass(frozen=True)
class Held:
    """What the gradebook holds of one student's submission.

    Attributes:
        points: the sum that nbgrader shows: a teacher's score before an automatic one, and extra credit.
        automatic: the automatic points by grade id.
        manual: a teacher's points by grade id, where there are any: they count instead.
    """

    points: float
    automatic: Mapping[str, float | None]
    manual: Mapping[str, float]


def points_held(db_url: str, chapter_id: str, student: str | None = None) -> dict[str, Held]:
    """What the gradebook holds of a chapter, by student, in one question: of all, or of one. Nothing is
    written, and a gradebook that does not exist yet holds nothing.

    Raises:
        EnvironmentProblem: when it cannot be read.
    """
    from sqlalchemy import create_engine, inspect, text

    points: dict[str, float] = {}
    automatic: dict[str, dict[str, float | None]] = {}
    by_hand: dict[str, dict[str, float]] = {}
    query, values = POINTS, {"chapter": chapter_id}
    if student is not None:
        query, values = f"{POINTS} AND sa.student_id = :student", {**values, "student": student}
    with _as_trouble("be read"):
        engine = create_engine(db_url)
        try:
            if not _exists(db_url) or not inspect(engine).has_table("grade"):
                return {}
            with engine.connect().execution_options(stream_results=True, yield_per=PAGE) as connection:
                for who, name, auto, manual, extra in connection.execute(text(query), values):
                    score = auto if manual is None else manual
                    # nbgrader counts extra credit only where there is a score
                    points[who] = points.get(who, 0.0) + (0.0 if score is None else score + (extra or 0.0))
                    automatic.setdefault(who, {})[name] = auto
                    if manual is not None:
                        by_hand.setdefault(who, {})[name] = manual
        finally:
            engine.dispose()
    return {who: Held(points[who], automatic[who], by_hand.get(who, {})) for who in points}


def _exists(db_url: str) -> bool:
    """Whether asking makes no new file: SQLite would."""
    from pathlib import Path

    from sqlalchemy.engine import make_url

    url = make_url(db_url)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").is_file()


@contextlib.contextmanager
def few_warnings() -> Iterator[None]:
    """SQLAlchemy 2 warns of the order in which nbgrader links new rows; what is stored is right."""
    from sqlalchemy.exc import SAWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Object of type .* not in session", SAWarning)
        yield


@contextlib.contextmanager
def _as_trouble(what: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise EnvironmentProblem(
            f"the gradebook could not {what}: {reason}",
            "see that it can be written, that nobody else holds it locked and that the disk has room, then grade again",
        ) from None


class Ledger:
    """A context manager: the gradebook, open for one chapter's scores.

    Raises:
        EnvironmentProblem: when it cannot be opened, or does not know the chapter.
    """

    def __init__(self, db_url: str, slug: str, chapter_id: str, stem: str) -> None:
        from nbgrader import api
        from sqlalchemy import select

        self.stem = stem
        self._students, self._submissions, self._books, self._grades, self._comments = (
            kind.__table__
            for kind in (api.Student, api.SubmittedAssignment, api.SubmittedNotebook, api.Grade, api.Comment)
        )
        books, assignments, cells = api.Notebook.__table__, api.Assignment.__table__, api.BaseCell.__table__
        with _as_trouble("be opened"), few_warnings():
            self._gradebook = api.Gradebook(db_url, slug)
            with self._gradebook.engine.connect() as connection:
                columns = select(books.c.id, assignments.c.id, assignments.c.duedate)
                found = columns.join(assignments, books.c.assignment_id == assignments.c.id)
                found = found.where(assignments.c.name == chapter_id, books.c.name == stem)
                self._book, self._assignment, self._due = connection.execute(found).one()
                named = select(cells.c.type, cells.c.name, cells.c.id).where(cells.c.notebook_id == self._book)
                rows = connection.execute(named).all()
        self._graded = {name: cell for kind, name, cell in rows if kind in ("GradeCell", "TaskCell")}
        self._commented = {name: cell for kind, name, cell in rows if kind in ("SolutionCell", "TaskCell")}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._gradebook.close()

    def write(self, student: str, claimed: str, notebook: Any) -> float:
        """Write one student's automatic scores and comments, as nbgrader reads them from the notebook's cells; the
        points that the gradebook then holds.

        A teacher's scores, comments, extra credit, flags and extensions stay; automatic scores of cells that the
        notebook lacks are taken back.

        Raises:
            EnvironmentProblem: when the gradebook fails. Nothing of this student is changed then.
        """
        from nbgrader.utils import compute_checksum, determine_grade, is_grade, is_solution, is_task, parse_utc

        scores: dict[str, float | None] = {}
        comments: dict[str, str | None] = {}
        for cell in notebook.cells:
            if is_grade(cell):
                scores[cell.metadata.nbgrader.grade_id] = determine_grade(cell)[0]
            if is_solution(cell) or is_task(cell):
                given = cell.metadata.nbgrader.get("checksum") == compute_checksum(cell) and not is_task(cell)
                comments[cell.metadata.nbgrader.grade_id] = "No response." if given else None
        time = parse_utc(claimed) if claimed else None
        with _as_trouble("be written"), self._gradebook.engine.begin() as connection:
            book, late = self._submission(connection, student, time)
            total = self._write_grades(connection, book, scores)
            self._write_comments(connection, book, comments)
            penalty = self._penalty(student, total, late) if late > 0 else None
            self._update(connection, self._books, book, late_submission_penalty=penalty)
        return total

    def _submission(self, connection: Any, student: str, time: Any) -> tuple[str, float]:
        """The row of the student's notebook, made where there is none, and how many seconds late it is."""
        table, row = self._submissions, {"assignment_id": self._assignment, "student_id": student}
        if self._find(connection, self._students, id=student) is None:
            self._insert(connection, self._students, id=student)
        found = self._find(connection, table, **row)
        if found is None:
            key, extension = self._insert(connection, table, **row, timestamp=time), None
        else:
            key, extension = found.id, found.extension
            self._update(connection, table, key, timestamp=time)
        due = self._due if self._due is None or extension is None else self._due + extension
        late = 0.0 if time is None or due is None else (time - due).total_seconds()
        book = {"assignment_id": key, "notebook_id": self._book}
        known = self._find(connection, self._books, **book)
        return (self._insert(connection, self._books, **book) if known is None else known.id), late

    def _write_grades(self, connection: Any, book: str, scores: Mapping[str, float | None]) -> float:
        """Write automatic scores; the sum of all scores, a teacher's included."""
        found, total, wanted = self._rows(connection, self._grades, book, self._graded), 0.0, {}
        for name, cell in self._graded.items():
            score, row = scores.get(name), found.get(cell)
            manual, extra = (None, None) if row is None else (row.manual_score, row.extra_credit)
            wanted[cell] = {"auto_score": score, "needs_manual_grade": score is None or manual is not None}
            counts = score if manual is None else manual
            total += 0.0 if counts is None else counts + (extra or 0.0)
        self._bring(connection, self._grades, book, found, wanted)
        return total

    def _write_comments(self, connection: Any, book: str, comments: Mapping[str, str | None]) -> None:
        found = self._rows(connection, self._comments, book, self._commented)
        wanted = {cell: {"auto_comment": comments.get(name)} for name, cell in self._commented.items()}
        self._bring(connection, self._comments, book, found, wanted)

    @staticmethod
    def _rows(connection: Any, table: Any, book: str, cells: Mapping[str, str]) -> dict[str, Any]:
        """A student's rows by cell; asked for by cell, because that is how nbgrader's tables are indexed."""
        query = table.select().where(table.c.cell_id.in_(list(cells.values())), table.c.notebook_id == book)
        return {row.cell_id: row for row in connection.execute(query)}

    def _bring(
        self, connection: Any, table: Any, book: str, found: Mapping[str, Any], wanted: Mapping[str, Any]
    ) -> None:
        """Insert the rows that are missing and change those that differ."""
        new = [{"cell_id": cell, "notebook_id": book, **values} for cell, values in wanted.items() if cell not in found]
        if new:
            connection.execute(table.insert(), new)
        for cell, values in wanted.items():
            row = found.get(cell)
            if row is not None and any(getattr(row, key) != value for key, value in values.items()):
                self._update(connection, table, row.id, **values)

    @staticmethod
    def _penalty(student: str, total: float, late: float) -> float | None:
        """What nbgrader's own plugin takes off: nothing, unless a school configures it."""
        from nbgrader.plugins import LateSubmissionPlugin

        penalty = LateSubmissionPlugin().late_submission_penalty(student, total, late)
        return None if penalty is None else min(max(float(penalty), 0.0), total)

    @staticmethod
    def _find(connection: Any, table: Any, **values: Any) -> Any:
        return connection.execute(table.select().filter_by(**values)).one_or_none()

    @staticmethod
    def _insert(connection: Any, table: Any, **values: Any) -> str:
        return str(connection.execute(table.insert().values(**values)).inserted_primary_key[0])

    @staticmethod
    def _update(connection: Any, table: Any, key: str, **values: Any) -> None:
        connection.execute(table.update().where(table.c.id == key).values(**values))
