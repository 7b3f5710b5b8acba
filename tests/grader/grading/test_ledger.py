"""The gradebook that is written directly equals the one that nbgrader's own Autograde writes."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import text

from grader.errors import EnvironmentProblem
from grader.grading.ledger import Ledger, points_held
from grader.grading.recording import stubs

from .conftest import HALF_SHARES, RIGHT, Workshop
from .test_essays import with_essay

TABLES = (
    "assignment", "base_cell", "comment", "course", "grade", "grade_cells", "notebook", "solution_cells", "source_cell",
    "student", "submitted_assignment", "submitted_notebook", "task_cells",
)  # fmt: skip


@dataclass
class Stock:
    """A second class folder, written by nbgrader's converters from the same notebooks."""

    root: Path
    workshop: Workshop

    @property
    def db_url(self) -> str:
        return f"sqlite:///{self.root / 'gradebook.db'}"

    def _directory(self, **traits: Any) -> CourseDirectory:
        names = {"course_id": "tiny-numbers", "assignment_id": self.workshop.chapter.id, "db_url": self.db_url}
        return CourseDirectory(root=str(self.root), **names, **traits)

    def register(self) -> None:
        shutil.copytree(self.workshop.folder / "source", self.root / "source", dirs_exist_ok=True)
        GenerateAssignment(coursedir=self._directory(), force=True, config=stubs()).start()

    def record(self) -> None:
        """Let Autograde read the verdicts out of the notebooks that were finished here."""
        from nbgrader import preprocessors as steps

        shutil.rmtree(self.root / "finished", ignore_errors=True)
        shutil.copytree(self.workshop.folder / "autograded", self.root / "finished")
        Autograde(
            coursedir=self._directory(submitted_directory="finished"),
            force=True,
            sanitize_preprocessors=[],
            autograde_preprocessors=[
                steps.LimitOutput,
                steps.SaveAutoGrades,
                steps.AssignLatePenalties,
                steps.CheckCellMetadata,
            ],
        ).start()


def contents(db_url: str) -> dict[str, Any]:
    """Everything that nbgrader's programs can see of a gradebook, without the random ids of rows."""

    def plain(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name != "id"}

    with Gradebook(db_url) as gradebook:
        submissions = gradebook.assignment_submissions("01-tiny")
        books = [book for submission in submissions for book in submission.notebooks]
        return {
            "students": sorted((each.to_dict() for each in gradebook.students), key=lambda each: each["id"]),
            "submissions": sorted((plain(each.to_dict()) for each in submissions), key=str),
            "books": sorted((plain(each.to_dict()) for each in books), key=str),
            "grades": sorted((plain(each.to_dict()) for book in books for each in book.grades), key=str),
            "comments": sorted((plain(each.to_dict()) for book in books for each in book.comments), key=str),
            "rows": {name: gradebook.db.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar() for name in TABLES},
        }


def files(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def teach(db_url: str) -> None:
    """What a teacher does in formgrader: a score, extra credit, a comment, an extension, a date it was due."""
    with Gradebook(db_url) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "half").manual_score = 1.5
        gradebook.find_grade("add-up-checks", "tiny", "01-tiny", "half").extra_credit = 0.25
        gradebook.find_comment("shares", "tiny", "01-tiny", "half").manual_comment = "Nearly."
        gradebook.find_submission_notebook("tiny", "01-tiny", "right").flagged = True
        gradebook.update_or_create_assignment("01-tiny", duedate="2001-02-03 04:05:06 UTC")
        gradebook.grant_extension("01-tiny", "right", days=3)
        gradebook.db.commit()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")
def test_the_same_rows_and_files_as_nbgraders_own_path(workshop: Workshop) -> None:
    workshop = with_essay(workshop)
    stock = Stock(workshop.course.root / "stock", workshop)
    stock.root.mkdir()
    workshop.submit("right", workshop.right())
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    late = workshop.submit("late", workshop.notebook(shares=RIGHT["shares"]))
    (late.parent / "timestamp.txt").write_text("2001-02-05 00:00:00 UTC")
    workshop.submit("untouched", workshop.notebook())
    workshop.submit("essay", workshop.notebook(why="Because each is a part."))
    workshop.submit("broken", "{")
    (workshop.folder / "source" / "01-tiny").mkdir(parents=True)
    (workshop.folder / "source" / "01-tiny" / "data.txt").write_text("beside the notebook")
    ours = workshop.classroom.db_url

    def compare() -> None:
        stock.record()
        assert contents(ours) == contents(stock.db_url)
        assert files(workshop.folder / "autograded") == files(stock.root / "autograded")

    workshop.grade()
    stock.register()
    compare()
    assert "late/01-tiny/timestamp.txt" in files(stock.root / "autograded")
    for url in (ours, stock.db_url):
        teach(url)
    workshop.submit("half", workshop.notebook(shares=RIGHT["shares"]))
    workshop.grade(force=True)
    compare()
    with Gradebook(ours) as gradebook:
        half = gradebook.find_submission("01-tiny", "half")
        assert half.score == 1.75
        assert half.needs_manual_grade


def test_a_gradebook_is_read_in_one_question_and_made_by_none(workshop: Workshop, tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    assert points_held(f"sqlite:///{missing}", "01-tiny") == {}
    assert not missing.exists()
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.submit("right", workshop.right())
    workshop.grade()
    teach(workshop.classroom.db_url)
    held = points_held(workshop.classroom.db_url, "01-tiny")
    with Gradebook(workshop.classroom.db_url) as gradebook:
        scores = {each.student_id: each.score for each in gradebook.assignment_submissions("01-tiny")}
    assert {student: each.points for student, each in held.items()} == scores == {"half": 2.75, "right": 3}
    assert held["half"].automatic == {"add-up-checks": 1, "shares-checks": 1}
    assert set(points_held(workshop.classroom.db_url, "01-tiny", "right")) == {"right"}


def test_a_failing_gradebook_changes_nothing_of_a_student(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    workshop.submit("one", workshop.notebook(add_up=RIGHT["add-up"]))
    workshop.grade()
    before = contents(workshop.classroom.db_url)

    def full(self, *_):
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    monkeypatch.setattr(Ledger, "_write_comments", full)
    workshop.submit("one", workshop.right())
    graded = workshop.grade()["one"]
    assert not graded.recorded
    assert "disk is full" in graded.problem
    assert contents(workshop.classroom.db_url) == before
    monkeypatch.undo()
    assert workshop.points() == {"one": 3}


def test_an_unknown_chapter_is_refused(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    workshop.grade()
    with pytest.raises(EnvironmentProblem, match="could not be opened"):
        Ledger(workshop.classroom.db_url, "tiny-numbers", "02-none", "none")
