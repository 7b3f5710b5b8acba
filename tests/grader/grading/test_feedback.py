"""What a result and its page say of a run: time, seeds, the mark of a run without a sandbox, reasons to look."""

import re
from dataclasses import replace
from typing import Any

import pytest

from grader.execution.plan import Outcome
from grader.execution.run import execute
from grader.grading.keys import environment_key
from grader.hidden import Raised
from tests.grader.editing import edit

from .conftest import HALF_SHARES, RIGHT, Workshop

NONE = "graded without a sandbox"


def altered(**changes: Any) -> Any:
    """Runs plans here and alters their outcomes."""

    def run(plans: Any) -> Any:
        for number, plan in enumerate(plans):
            outcome = execute(plan, sandbox=False)
            yield number, replace(outcome, **{"isolation": "bubblewrap", **changes})

    return run


def test_a_result_says_what_it_depends_on_and_what_it_took(workshop: Workshop) -> None:
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.grade(altered(spent={"add-up": 0.4321, "shares": 1.25}, start="warm", remark="replaced after a crash"))
    result = workshop.result("half")
    assert result["environment"] == environment_key()
    assert "cell_seconds 10" in result["budget"]
    assert (result["isolation"], result["start"], result["remark"]) == ("bubblewrap", "warm", "replaced after a crash")
    assert [each["spent"] for each in result["exercises"]] == [0.43, 1.25]
    assert all(re.fullmatch(r"\d+", each["seed"]) for each in result["exercises"])
    assert result["suspicious"] == []
    page = workshop.page("half")
    for exercise, seconds in zip(result["exercises"], ("0.4 s", "1.2 s"), strict=True):
        assert f"{seconds}, seed <code>{exercise['seed']}</code>" in page
    assert "replaced after a crash" not in page


def test_a_run_without_a_sandbox_marks_all_that_it_writes(workshop: Workshop) -> None:
    workshop.submit("right", workshop.right())
    workshop.submit("half", workshop.notebook(shares=HALF_SHARES))
    workshop.submit("broken", "{")
    assert workshop.points() == {"right": 3, "half": 1, "broken": 0}
    for student in ("right", "half"):
        assert workshop.result(student)["isolation"] == "none"
        assert f"This was {NONE}." in workshop.page(student)
        for label in ("add-up-checks", "shares-checks"):
            outputs = Workshop.cell(workshop.autograded(student), label).outputs
            assert NONE in str(outputs[0]), (student, label)
    assert NONE not in workshop.page("broken"), "nothing of it was run"


def test_a_run_in_the_sandbox_marks_nothing(workshop: Workshop) -> None:
    workshop.submit("right", workshop.right())
    assert workshop.points(altered()) == {"right": 3}
    assert NONE not in workshop.page("right")
    assert NONE not in str(workshop.autograded("right"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import ctypes\n", "`ctypes`, which reaches past Python"),
        ("import sys\nx = sys._getframe(1).f_back\n", "`_getframe`, which looks at its callers"),
        ("from os import fork\n", "`fork`, which starts processes"),
        ("print(len(open('/proc/self/status').read()))\n", "the code names `/proc/`"),
    ],
)
def test_unusual_names_are_reasons_to_look_and_cost_nothing(workshop: Workshop, code: str, reason: str) -> None:
    workshop.submit("one", workshop.notebook(add_up=code + RIGHT["add-up"], shares=RIGHT["shares"]))
    assert workshop.points() == {"one": 3}
    assert any(reason in found for found in workshop.result("one")["suspicious"])
    assert reason not in workshop.page("one"), "a reason for the teacher, not for the student"


def test_what_the_engine_saw_is_a_reason_to_look(workshop: Workshop) -> None:
    workshop.submit("one", workshop.right())
    forged = Outcome(
        answers={"add-up": [Raised("WireFormatError", "the answer is not well formed")]},
        notes={
            "add-up": "the check of add-up sent something that no cell sends and was stopped",
            "shares": "the check of shares ran longer than 5 s and was stopped",
            "cell-1": "cell cell-1 ended the process with exit code 0",
            "cell-2": "cell cell-2 used more than 1,024 MB of memory and was stopped",
        },
    )
    workshop.grade(lambda plans: ((number, forged) for number, _ in enumerate(plans)))
    suspicious = workshop.result("one")["suspicious"]
    assert suspicious == [
        "1.1 The sum of a list: something else than the grader's program answered for it",
        "its process ended or was stopped 3 times",
        "the check of add-up sent something that no cell sends and was stopped",
        "cell cell-1 ended the process with exit code 0",
        "cell cell-2 used more than 1,024 MB of memory and was stopped",
    ]


def test_a_forbidden_shortcut_is_a_reason_to_look(workshop: Workshop) -> None:
    edit(
        workshop.chapter.hidden,
        '    uses = ("add_up",)\n',
        '    uses = ("add_up",)\n    forbids = {"math.fsum": "No."}\n',
    )
    workshop.submit("one", workshop.notebook(add_up="import math\ndef add_up(n):\n    return math.fsum(n)\n"))
    workshop.grade()
    assert workshop.result("one")["suspicious"] == ["1.1 The sum of a list: a forbidden shortcut"]


def test_the_courses_own_cells_are_no_reason_to_look(workshop: Workshop) -> None:
    edit(workshop.chapter.page, "import tinylib\n", "import ctypes\nimport tinylib\n")
    workshop.submit("one", workshop.right())
    workshop.grade()
    assert workshop.result("one")["suspicious"] == []
