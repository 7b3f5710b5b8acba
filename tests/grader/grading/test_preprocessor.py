"""nbgrader's own autograde in a class folder, as formgrader's button calls it: our sandbox and verdicts, or nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook

from grader.errors import EnvironmentProblem
from grader.execution import sandbox
from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.execution.workers import TROUBLE
from grader.grading import foreign as foreign_module
from grader.grading import preprocessor
from grader.grading.foreign import with_outputs

from .conftest import HALF_SHARES, RIGHT, Workshop

# nbgrader's API links new rows in an order that SQLAlchemy 2 warns of
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")


@pytest.fixture
def bubblewrap() -> None:
    try:
        sandbox.find_bubblewrap()
    except EnvironmentProblem as error:
        pytest.skip(str(error))


@pytest.fixture
def graded(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A class in which `course grade` has run once."""
    # nbgrader_config.py sets these for the process that reads it
    monkeypatch.setenv("COURSE_ROOT", "")
    monkeypatch.setenv("PYTHONPATH", "")
    workshop.submit("first", workshop.right())
    assert workshop.points() == {"first": 3}
    return workshop


def press(workshop: Workshop, student: str, assignment: str = "01-tiny") -> dict[str, Any]:
    """What formgrader's Autograde button does."""
    answer: dict[str, Any] = interface(workshop).autograde(assignment, student)
    return answer


def interface(workshop: Workshop) -> Any:
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(workshop.folder)).load_config()
    return NbGraderAPI(coursedir=CourseDirectory(config=config), config=config)


def scores(workshop: Workshop, assignment: str = "01-tiny") -> dict[str, float]:
    with Gradebook(workshop.classroom.db_url) as gradebook:
        return {each.student_id: each.score for each in gradebook.assignment_submissions(assignment)}


def lasting(result: dict[str, Any]) -> dict[str, Any]:
    """A result without what no two runs have in common."""
    kept = {key: value for key, value in result.items() if key not in ("used", "start", "received")}
    exercises = [{key: value for key, value in each.items() if key != "spent"} for each in result["exercises"]]
    return {**kept, "exercises": exercises}


def in_sandbox(plans: Iterator[Plan]) -> Iterator[tuple[int, Outcome]]:
    for number, plan in enumerate(plans):
        yield number, execute(plan)


@pytest.mark.sandbox
@pytest.mark.usefixtures("bubblewrap")
def test_the_button_and_course_grade_write_the_same_scores_verdicts_and_feedback(graded: Workshop) -> None:
    graded.submit("half", graded.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    broken = graded.notebook(add_up="def add_up(:", shares=RIGHT["shares"])
    broken["cells"].append(Workshop.cell(broken, "shares-checks"))  # nbgrader alone ends here
    graded.submit("broken", broken)
    pressed = {}
    for student in ("half", "broken"):
        answer = press(graded, student)
        assert answer["success"], answer
        pressed[student] = (graded.result(student), graded.autograded(student).cells, graded.page(student))
    assert scores(graded) == {"first": 3, "half": 2, "broken": 2}
    assert graded.points(in_sandbox) == scores(graded)
    assert graded.points(in_sandbox, force=True) == scores(graded)
    for student, (result, cells, page) in pressed.items():
        assert result["isolation"] == "bubblewrap"
        assert lasting(graded.result(student)) == lasting(result), "seeds and words included"
        assert [(cell.source, cell.get("outputs")) for cell in graded.autograded(student).cells] == [
            (cell.source, cell.get("outputs")) for cell in cells
        ]
        assert page
    assert "hidden_check" not in json.dumps(pressed["half"][1])


@pytest.mark.sandbox
@pytest.mark.usefixtures("bubblewrap")
def test_what_a_submission_tries_happens_in_the_sandbox(graded: Workshop, tmp_path: Path) -> None:
    escape = (
        f"import pathlib, socket\ntried = []\nfor path in ('{graded.folder}/gradebook.db', '{tmp_path}/mark'):\n"
        "    try:\n        pathlib.Path(path).write_text('x')\n        tried.append(path)\n"
        "    except OSError as error:\n        tried.append(type(error).__name__)\n"
        "try:\n    socket.create_connection(('127.0.0.1', 1), 1)\n"
        "except OSError as error:\n    tried.append(error.errno)\nprint(tried)\n"
    )
    before = graded.classroom.secret_path.read_bytes()
    graded.submit("hostile", graded.notebook(add_up=escape + RIGHT["add-up"]))
    assert press(graded, "hostile")["success"]
    assert scores(graded) == {"first": 3, "hostile": 1}
    assert not (tmp_path / "mark").exists()
    assert graded.classroom.secret_path.read_bytes() == before
    said = Workshop.cell(graded.autograded("hostile"), "add-up").outputs[0].text
    assert said.startswith("['FileNotFoundError', 'FileNotFoundError', "), said


def test_without_bubblewrap_nothing_is_scored_and_the_remedy_is_shown(
    graded: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.find_bubblewrap.cache_clear()
    graded.submit("right", graded.right())
    for student in ("right", "first"):
        answer = press(graded, student)
        assert not answer["success"]
        assert "apt-get install bubblewrap" in answer["log"]
        assert not (graded.folder / "autograded" / student / "01-tiny").exists(), "nothing looks graded"
    assert scores(graded) == {"first": 3, "right": 0}
    with Gradebook(graded.classroom.db_url) as gradebook:
        grade = gradebook.find_grade("add-up-checks", "tiny", "01-tiny", "right")
        assert grade.auto_score is None


@pytest.mark.parametrize("kind", ["raised", "told"])
@pytest.mark.usefixtures("bubblewrap")
def test_trouble_of_the_grader_is_no_score(graded: Workshop, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def fail(plan: Plan) -> Outcome:
        if kind == "raised":
            raise EnvironmentProblem("no process can be started", "wait")
        return Outcome(notes={TROUBLE: "the worker was lost"})

    monkeypatch.setattr(preprocessor, "execute", fail)
    answer = press(graded, "first")
    assert not answer["success"]
    assert ("no process can be started" if kind == "raised" else "the worker was lost") in answer["log"]
    assert scores(graded) == {"first": 3}


SOLUTION = "### BEGIN SOLUTION\ndef double(x):\n    return 2 * x\n### END SOLUTION"


def teachers_own(workshop: Workshop) -> Any:
    """An assignment of the teacher's beside the course's chapters; the notebook that students get."""

    def about(grade_id: str, **more: Any) -> dict[str, Any]:
        base = {"schema_version": 3, "grade_id": grade_id, "grade": False, "solution": False, "locked": False}
        return {"nbgrader": {**base, "task": False, **more}}

    check = {"grade": True, "locked": True, "points": 2}
    cells = [
        new_markdown_cell("<b>Double</b> a number.", metadata=about("intro", locked=True)),
        new_code_cell(SOLUTION, metadata=about("double", solution=True)),
        new_code_cell("assert double(2) == 4", metadata=about("whole", **check)),
        new_code_cell("1.5 if double(3) == 6 else 0.5", metadata=about("part", **check)),
        new_markdown_cell("Because…", metadata=about("why", grade=True, solution=True, points=1)),
    ]
    path = workshop.folder / "source" / "extra" / "own.ipynb"
    path.parent.mkdir(parents=True)
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    answer = interface(workshop).generate_assignment("extra")
    assert answer["success"], answer
    return nbformat.read(workshop.folder / "release" / "extra" / "own.ipynb", 4)


def hand_in(workshop: Workshop, student: str, notebook: Any, answer: str) -> None:
    handed_in = nbformat.from_dict(json.loads(json.dumps(notebook)))
    Workshop.cell(handed_in, "double").source = answer
    path = workshop.folder / "submitted" / student / "extra" / "own.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(handed_in, path)


@pytest.mark.sandbox
@pytest.mark.usefixtures("bubblewrap")
def test_a_teachers_own_assignment_runs_in_the_sandbox_too(graded: Workshop, tmp_path: Path) -> None:
    notebook = teachers_own(graded)
    double = "def double(x):\n    return 2 * x\n"
    hand_in(graded, "good", notebook, double + "print('<script>1</script>')")
    hand_in(graded, "wrong", notebook, "def double(x):\n    return x")
    hand_in(graded, "gone", notebook, "import os\ndef double(x):\n    os._exit(0)")
    hand_in(graded, "outside", notebook, f"open('{tmp_path}/mark', 'w')\n{double}")
    logs = {}
    for student in ("good", "wrong", "gone", "outside"):
        answer = press(graded, student, "extra")
        assert answer["success"], answer
        logs[student] = answer["log"]
    assert scores(graded, "extra") == {"good": 3.5, "wrong": 0.5, "gone": 0, "outside": 0}
    assert not (tmp_path / "mark").exists()
    assert "can see them and undo them" in logs["good"]
    assert scores(graded) == {"first": 3}


@pytest.mark.sandbox
@pytest.mark.usefixtures("bubblewrap")
def test_files_of_the_teachers_and_the_students_lie_beside_an_own_assignment(
    graded: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = teachers_own(graded)
    answer = (
        "from pathlib import Path\nfrom helper import factor\n"
        "Path('data/rows.csv').open('a').write('9')\n"
        "def double(x):\n    assert not Path('link').exists()\n"
        "    return x * factor * len(Path('data/rows.csv').read_text()) // 4\n"
    )
    for student in ("first", "second"):
        hand_in(graded, student, notebook, answer)
        folder = graded.folder / "submitted" / student / "extra"
        (folder / "helper.py").write_text("factor = 2")
        (tmp_path / "secret").write_text("secret")
        (folder / "link").symlink_to(tmp_path / "secret")
    data = graded.folder / "source" / "extra" / "data" / "rows.csv"
    data.parent.mkdir(parents=True)
    data.write_text("1,2")
    for student in ("first", "second"):
        answered = press(graded, student, "extra")
        assert answered["success"], answered
    assert scores(graded, "extra") == {"first": 3.5, "second": 3.5}, "each has copies of its own"
    monkeypatch.setattr(foreign_module, "MAX_BESIDE_MB", 0)
    answered = press(graded, "second", "extra")
    assert not answered["success"]
    assert "a sandbox takes 0 MB" in answered["log"]


@pytest.mark.usefixtures("bubblewrap")
def test_a_notebook_in_another_language_is_refused(graded: Workshop) -> None:
    notebook = teachers_own(graded)
    with Gradebook(graded.classroom.db_url) as gradebook:
        spec = {"name": "ir", "display_name": "R", "language": "R"}
        gradebook.find_notebook("own", "extra").kernelspec = json.dumps(spec)
        gradebook.db.commit()
    hand_in(graded, "r", notebook, "double <- function(x) 2 * x")
    answer = press(graded, "r", "extra")
    assert not answer["success"]
    assert "written in R" in answer["log"]
    assert scores(graded, "extra") == {"r": 0}


def foreign(cells: list[Any], outcome: Outcome, trusted: set[str] = frozenset()) -> Any:
    return with_outputs(new_notebook(cells=cells, metadata={"widgets": {"x": 1}}), outcome, trusted)


def check(points: float) -> Any:
    return new_code_cell(
        "1", metadata={"nbgrader": {"grade": True, "solution": False, "grade_id": "c", "points": points}}
    )


@pytest.mark.parametrize(
    ("said", "last"),
    [
        ("1.5", "1.5"),
        ("0", "0.0"),
        ("3", "error"),
        ("1e999", "error"),
        ("nan", None),
        ("1 or 2", None),
        ("-1", None),
        ("'x'", None),
    ],
)
def test_a_check_gives_the_number_that_it_says_and_never_more_than_it_has(said: str, last: str | None) -> None:
    result = new_output("execute_result", data={"text/plain": said}, execution_count=1)
    shown = foreign([check(2)], Outcome(outputs={"cell-0": [result]})).cells[0].outputs
    if last == "error":
        assert shown[-1].output_type == "error"
        assert "2 points" in shown[-1].evalue
    elif last is not None:
        assert shown[-1].data["text/plain"] == last
    assert [output.output_type for output in shown].count("execute_result") == (last not in (None, "error"))


def test_a_cell_that_did_not_come_to_its_end_says_so() -> None:
    stopped = Outcome(outputs={"cell-0": []}, notes={"cell-0": "cell 0 ran longer than 3 s and was stopped"})
    shown = foreign([check(2), check(2)], stopped).cells
    assert [cell.outputs[-1].evalue for cell in shown] == [stopped.notes["cell-0"], "this cell was not reached"]


def test_texts_of_the_student_are_made_harmless_and_those_of_the_teacher_stay() -> None:
    evil, harmless = "<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"
    raw = nbformat.v4.new_raw_cell(f"{evil}2", metadata={"raw_mimetype": "text/html"})
    shown = foreign([new_markdown_cell(evil), new_markdown_cell("<b>given</b>"), raw], Outcome(), {"<b>given</b>"})
    assert [cell.source for cell in shown.cells] == [harmless, "<b>given</b>", f"{harmless}2"]
    assert shown.metadata == {}
    assert shown.cells[2].metadata == {}
