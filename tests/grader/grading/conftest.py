"""A class of the miniature course in a folder of its own, and ways to write what students hand in."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from grader.authoring.notebooks import source_notebook, student_notebook
from grader.course import Chapter, Course, load_course
from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.grading.classroom import Classroom, open_classroom
from grader.grading.grading import Graded, grade_class

MINI = Path(__file__).parents[1] / "fixtures" / "mini"

RIGHT = {
    "add-up": "def add_up(numbers):\n    return float(sum(numbers))\n",
    "shares": (
        "def shares(weights):\n    total = sum(weights)\n"
        "    return [w / total if total else 1 / len(weights) for w in weights]\n"
    ),
}
HALF_SHARES = "def shares(weights):\n    return [w / (sum(weights) or 1) for w in weights]\n"


def run_here(plans: Iterator[Plan]) -> Iterator[tuple[int, Outcome]]:
    """Execute one plan after the other without a sandbox: the tests of the sandbox are elsewhere."""
    for number, plan in enumerate(plans):
        yield number, execute(plan, sandbox=False)


@dataclass
class Workshop:
    """A copy of the miniature course with a class folder."""

    course: Course
    student: Any
    """The student notebook, pristine."""

    @property
    def chapter(self) -> Chapter:
        return self.course.chapters[0]

    @property
    def folder(self) -> Path:
        return self.course.root / "class"

    @property
    def classroom(self) -> Classroom:
        return open_classroom(self.folder)

    def notebook(self, **answers: str) -> Any:
        """The student notebook with answers by function name."""
        notebook = nbformat.from_dict(json.loads(json.dumps(self.student)))
        for name, code in answers.items():
            self.cell(notebook, name.replace("_", "-")).source = code
        return notebook

    def right(self) -> Any:
        return self.notebook(add_up=RIGHT["add-up"], shares=RIGHT["shares"])

    @staticmethod
    def cell(notebook: Any, label: str) -> Any:
        return next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == label)

    def submit(self, student: str, content: Any, name: str = "tiny.ipynb") -> Path:
        """Put a notebook, a text or bytes where a student's submission lies."""
        path = self.folder / "submitted" / student / self.chapter.id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def grade(self, executor: Callable[..., Any] = run_here, **options: Any) -> dict[str, Graded]:
        graded = grade_class(self.course, self.chapter, self.classroom, executor, **options)
        return {each.student: each for each in graded}

    def points(self, executor: Callable[..., Any] = run_here, **options: Any) -> dict[str, float]:
        return {student: each.points for student, each in self.grade(executor, **options).items()}

    def result(self, student: str) -> dict[str, Any]:
        return json.loads((self.classroom.feedback(student, self.chapter.id) / "result.json").read_text())

    def page(self, student: str) -> str:
        return (self.classroom.feedback(student, self.chapter.id) / "feedback.html").read_text(encoding="utf-8")

    def autograded(self, student: str) -> Any:
        return nbformat.read(self.folder / "autograded" / student / self.chapter.id / "tiny.ipynb", 4)


@pytest.fixture(scope="session", autouse=True)
def _quick_gradebooks(one_question_to_alembic: None) -> None:
    """All tests here make gradebooks."""


@pytest.fixture(scope="session")
def pristine() -> Any:
    """The student notebook of the miniature chapter."""
    course = load_course(MINI)
    return student_notebook(course, course.chapters[0])


@pytest.fixture(scope="session")
def solution() -> Any:
    """The source notebook: right answers and the calls of the hidden checks."""
    course = load_course(MINI)
    return source_notebook(course, course.chapters[0])


@pytest.fixture
def workshop(tmp_path: Path, pristine: Any) -> Workshop:
    """A fresh class."""
    root = tmp_path / "course"
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "class", "__pycache__"))
    (root / "class" / "submitted").mkdir(parents=True)
    return Workshop(load_course(root), pristine)


@pytest.fixture
def killed_while_made(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the next making of a gradebook end when nbgrader has made its tables; call it to let the others be."""
    import nbgrader.api

    def killed() -> str:
        raise KeyboardInterrupt

    before = nbgrader.api.get_alembic_version
    monkeypatch.setattr(nbgrader.api, "get_alembic_version", killed)
    return lambda: monkeypatch.setattr(nbgrader.api, "get_alembic_version", before)
