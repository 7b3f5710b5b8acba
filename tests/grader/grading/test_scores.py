"""What a submission is worth, whatever state it is in."""

import copy
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from grader.authoring.notebooks import student_notebook
from grader.execution.plan import Outcome
from grader.execution.run import execute
from grader.execution.workers import TROUBLE

from .conftest import HALF_SHARES, RIGHT, Workshop, run_here


def test_each_submission_gets_what_it_deserves(workshop: Workshop) -> None:
    positive_only = "def add_up(numbers):\n    return sum(x for x in numbers if x > 0)\n"
    noisy = (
        "import sys, warnings\n"
        "def add_up(numbers):\n"
        "    warnings.warn('careful')\n"
        "    print('adding', file=sys.stderr)\n"
        "    return float(sum(numbers))\n"
    )
    workshop.submit("untouched", workshop.notebook())
    workshop.submit("right", workshop.right())
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.submit("wrong", workshop.notebook(add_up=positive_only))
    workshop.submit("only-second", workshop.notebook(add_up="def add_up(:", shares=RIGHT["shares"]))
    workshop.submit("noisy", workshop.notebook(add_up=noisy, shares=RIGHT["shares"]))
    assert workshop.points() == {
        "untouched": 0,
        "right": 3,
        "half": 2,
        "wrong": 0,
        "only-second": 2,
        "noisy": 3,
    }
    half = {each["name"]: each for each in workshop.result("half")["exercises"][1]["criteria"]}
    assert half["values"]["met"]
    assert not half["all zero"]["met"]
    assert "equal shares" in half["all zero"]["words"]
    assert "whatever its sign" in workshop.result("wrong")["exercises"][0]["criteria"][0]["words"]


def test_a_second_run_changes_nothing_and_runs_nothing(workshop: Workshop) -> None:
    workshop.submit("right", workshop.right())
    workshop.submit("broken", "{")
    first = workshop.points()
    before = {path: path.read_bytes() for path in workshop.folder.rglob("feedback/**/*") if path.is_file()}

    def nothing_to_run(plans):
        raise AssertionError("a worker was asked")

    again = workshop.grade(nothing_to_run)
    assert {student: each.points for student, each in again.items()} == first
    assert all(each.skipped for each in again.values())
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_in_the_sandbox_keeps_no_result_from_without(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    assert not workshop.grade()["one"].skipped
    assert workshop.grade()["one"].skipped
    assert not workshop.grade(sandboxed=True)["one"].skipped


def test_forging_answers_earn_nothing(workshop: Workshop) -> None:
    transformer = (
        "import IPython\n"
        "shell = IPython.get_ipython()\n"
        "shell.input_transformers_cleanup.append(lambda lines: [])\n"
        "shell.ast_transformers.clear()\n"
    )
    lying = (
        "class Lie(float):\n"
        "    def __eq__(self, other): return True\n"
        "    def __sub__(self, other): return Lie(0)\n"
        "    __rsub__ = __sub__\n"
        "    def __abs__(self): return 0.0\n"
        "def add_up(numbers): return Lie(7)\n"
    )
    number = "def add_up(numbers): return 0\n1.0"
    patched = "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.sum = lambda x: 0\ndef add_up(n): return 'x'\n"
    ends = "import os, sys\nprint(1.0)\nsys.stdout.flush()\nos._exit(0)\n"
    for name, code in {
        "transformer": transformer,
        "lying": lying,
        "number": number,
        "patched": patched,
        "ends": ends,
    }.items():
        workshop.submit(name, workshop.notebook(add_up=code))
    assert set(workshop.points().values()) == {0}


def test_forcing_a_second_run_gives_the_same_verdicts_and_one_record(workshop: Workshop) -> None:
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.grade()
    first = workshop.result("half")
    workshop.grade(force=True)
    second = workshop.result("half")
    for result in (first, second):
        assert result.pop("used")
        for exercise in result["exercises"]:
            exercise.pop("spent")
    assert first == second
    with Gradebook(workshop.classroom.db_url) as gradebook:
        dicts = gradebook.submission_dicts("01-tiny")
    assert [(each["student"], each["score"]) for each in dicts] == [("half", 2.0)]


def test_a_worse_resubmission_takes_the_old_points_back(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    assert workshop.points() == {"one": 3}
    workshop.submit("one", workshop.notebook(add_up=RIGHT["add-up"]))
    assert workshop.points() == {"one": 1}


def test_an_old_score_does_not_survive_a_run_that_writes_none(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.grading import grading

    path = workshop.submit("one", workshop.right())
    (path.parent / "timestamp.txt").write_text("2001-01-01 00:00:00 UTC")
    assert workshop.points() == {"one": 3}
    (path.parent / "timestamp.txt").unlink()
    monkeypatch.setattr(
        grading, "finished_notebook", lambda *_: nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    )
    assert workshop.points(force=True) == {"one": 0}
    with Gradebook(workshop.classroom.db_url) as gradebook:
        assert gradebook.find_submission("01-tiny", "one").timestamp is None


def test_a_teachers_own_score_survives_grading_again(workshop: Workshop) -> None:
    workshop.submit("one", workshop.notebook(add_up=RIGHT["add-up"]))
    workshop.grade()
    with Gradebook(workshop.classroom.db_url) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "one").manual_score = 1.5
        gradebook.db.commit()
    assert workshop.points() == {"one": 2.5}
    assert workshop.points(force=True) == {"one": 2.5}


def test_grading_one_student_leaves_the_others_alone(workshop: Workshop) -> None:
    workshop.submit("a", workshop.right())
    workshop.submit("b", workshop.right())
    assert workshop.points(only=["b"]) == {"b": 3}
    assert not (workshop.folder / "feedback" / "a").exists()


@pytest.mark.parametrize(
    ("silence", "expected"),
    [
        (Outcome(), 0),
        (Outcome(answers={"add-up": [], "shares": []}), 0),
        (
            Outcome(outputs={"add-up-checks": [{"output_type": "stream", "name": "stdout", "text": "pass"}]}),
            0,
        ),
        (
            Outcome(
                outputs={
                    "shares-checks": [{"output_type": "execute_result", "data": {"text/plain": "2.0"}, "metadata": {}}]
                }
            ),
            0,
        ),
    ],
)
def test_silence_and_forged_outputs_earn_nothing(workshop: Workshop, silence: Outcome, expected: int) -> None:
    workshop.submit("one", workshop.right())
    assert workshop.points(lambda plans: ((number, silence) for number, _ in enumerate(plans))) == {"one": expected}


def test_no_death_at_any_cell_raises_a_score(workshop: Workshop) -> None:
    whole = workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES)
    workshop.submit("a-lives", whole)
    places = [number for number, cell in enumerate(whole.cells) if cell.cell_type == "code"]
    for number in places:
        dies = copy.deepcopy(whole)
        dies.cells[number].source = "import os\nos._exit(0)\n" + dies.cells[number].source
        workshop.submit(f"dies-{number}", dies)
    points = workshop.points()
    assert points.pop("a-lives") == 2
    assert len(points) == len(places)
    assert all(score <= 2 for score in points.values())


def test_an_answer_cut_short_costs_its_own_exercise_only(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())

    def without_last_answer(plans):
        for number, plan in enumerate(plans):
            outcome = execute(plan, sandbox=False)
            yield (
                number,
                replace(outcome, answers={**outcome.answers, "add-up": outcome.answers["add-up"][:1]}),
            )

    assert workshop.points(without_last_answer) == {"one": 2}


def test_trouble_of_the_graders_own_is_not_a_zero(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    workshop.grade()

    def trouble(plans):
        for number, _ in enumerate(plans):
            yield number, Outcome(notes={TROUBLE: "no room on the disk"})

    graded = workshop.grade(trouble, force=True)["one"]
    assert not graded.recorded
    assert "no room" in graded.problem
    assert workshop.points() == {"one": 3}, "the earlier score is still there"


def test_forbidden_shortcuts_are_refused_with_their_sentence(workshop: Workshop) -> None:
    hidden = workshop.chapter.hidden
    text = hidden.read_text().replace(
        '    uses = ("add_up",)\n',
        '    uses = ("add_up",)\n    forbids = {"math.fsum": "Add the numbers yourself."}\n',
    )
    hidden.write_text(text)
    workshop.submit(
        "short",
        workshop.notebook(add_up="from math import fsum as add\n\ndef add_up(n):\n    return add(n)\n"),
    )
    workshop.submit("long", workshop.right())
    assert workshop.points() == {"short": 0, "long": 3}
    assert "Add the numbers yourself." in workshop.page("short")


def test_answers_are_those_of_the_moment_when_their_checks_run(workshop: Workshop) -> None:
    notebook = workshop.right()
    after = nbformat.v4.new_code_cell("def add_up(numbers):\n    return 0.0\n")
    helper = nbformat.v4.new_code_cell("def total_of(numbers):\n    return float(sum(numbers))\n")
    labels = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
    notebook.cells.insert(labels.index("add-up-checks") + 1, after)
    notebook.cells.insert(labels.index("add-up") + 1, helper)
    Workshop.cell(notebook, "add-up").source = "def add_up(numbers):\n    return total_of(numbers)\n"
    workshop.submit("one", notebook)
    assert workshop.points() == {"one": 3}


def test_the_order_of_outcomes_does_not_matter(workshop: Workshop) -> None:
    workshop.submit("right", workshop.right())
    workshop.submit("untouched", workshop.notebook())

    def backwards(plans):
        return reversed(list(run_here(plans)))

    assert workshop.points(backwards) == {"right": 3, "untouched": 0}


def test_the_class_secret_is_private(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    workshop.grade()
    assert workshop.classroom.secret_path.stat().st_mode & 0o777 == 0o600


def test_grading_passes_over_the_authors_experiments_and_over_nothing_of_the_students(
    workshop: Workshop,
) -> None:
    with workshop.chapter.page.open("a", encoding="utf-8") as page:
        page.write("\n```{code-cell} python\n:tags: [experiment]\n\nprint('measured')\n```\n")
    workshop = Workshop(workshop.course, student_notebook(workshop.course, workshop.chapter))
    handed_in = workshop.right()
    handed_in.cells.append(new_code_cell("print('my own')", metadata={"tags": ["experiment"]}))
    workshop.submit("right", handed_in)
    assert workshop.points() == {"right": 3}
    cells = workshop.autograded("right").cells
    printed = [output.get("text") for cell in cells for output in cell.get("outputs", ())]
    assert any(cell.source == "print('measured')" for cell in cells)
    assert "my own\n" in printed
    assert "measured\n" not in printed
