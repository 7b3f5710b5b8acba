"""Nothing is executed twice, nothing is believed that the class did not write, and only what changed runs."""

import json
import os
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.course import load_course
from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.grading import graded as graded_module
from grader.grading import grading, keys
from grader.grading.recalling import prepare
from grader.grading.store import Asked, Record, Store
from grader.hidden import Raised
from tests.grader.editing import edit

from .conftest import HALF_SHARES, RIGHT, Workshop


class Counting:
    """Runs plans here and keeps them."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def __call__(self, plans: Any) -> Any:
        for number, plan in enumerate(plans):
            self.plans.append(plan)
            yield number, execute(plan, sandbox=False)

    @property
    def asked(self) -> list[list[str]]:
        return [[probe.exercise for probe in plan.probes] for plan in self.plans]


def nothing_to_run(plans: Any) -> Any:
    raise AssertionError(f"a worker was asked for {next(plans).name}")
    yield


def record_path(workshop: Workshop, student: str) -> Path:
    return workshop.folder / ".records" / student / "01-tiny"


@pytest.fixture
def graded(workshop: Workshop) -> Workshop:
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    assert workshop.points() == {"half": 2}
    return workshop


RECORDED = Record(
    student="ada",
    chapter="01-tiny",
    attempt="0" * 64,
    run="1" * 64,
    outcome=Outcome(
        outputs={"cell": [{"output_type": "stream", "name": "stdout", "text": "half \ud800 a pair\n"}]},
        notes={"shares": "the check of shares ran longer than 5 s and was stopped"},
        seconds=1.5,
        peak_mb=12.5,
        spent={"shares": 0.25},
        isolation="none",
        start="warm",
        remark="odd",
    ),
    asked={
        "shares": (
            Asked("new", [{"n": float("nan"), "big": 1 << 80}, Raised("ValueError", "no\nline")]),
            Asked("old", [np.arange(6, dtype=np.float32).reshape(2, 3)]),
        ),
        "add-up": (Asked("q", []),),
    },
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path / ".records", "s" * 64)
    assert store.save(RECORDED)
    found = store.load("ada", "01-tiny")
    assert found is not None
    assert replace(found, asked={}) == replace(RECORDED, asked={})
    first, second = found.asked["shares"]
    assert repr(first) == repr(RECORDED.asked["shares"][0])
    assert second.answers[0].dtype == np.float32
    assert np.array_equal(second.answers[0], RECORDED.asked["shares"][1].answers[0])
    assert found.answer_to("add-up", "q") == []
    assert found.answer_to("add-up", "another") is None


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [1, -2, 3.0, 0.1234567890123456789, True, "a\n", {}],
        {"~": "array", "items": [1]},
        {"a": [1 << 53, -(1 << 70)]},
        [float("inf"), float("nan"), -0.0],
        [(1 << 53) - 1, "12345678901234567890"],
        [9007199254740993],
        9007199254740993,
    ],
)
def test_the_quick_encoding_is_the_wires(answer: Any) -> None:
    from grader import wire
    from grader.grading.store import _answer_line

    line = _answer_line(answer)
    assert line == b"A" + wire.encode(answer)
    assert repr(wire.decode(line[1:])) == repr(answer)


def test_records_are_for_their_owner_only(graded: Workshop) -> None:
    folder = graded.folder / ".records"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(record_path(graded, "half").stat().st_mode) == 0o600
    folder.chmod(0o755)
    graded.grade(force=True)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data.replace(data[80:90], b"0123456789"),
        lambda data: b"0" * 64 + b"\n" + data.partition(b"\n")[2],
        lambda data: b"A" * (1 << 20),
    ],
)
def test_a_damaged_record_is_not_there(tmp_path: Path, harm: Any) -> None:
    store = Store(tmp_path / ".records", "s" * 64)
    store.save(RECORDED)
    path = store.path("ada", "01-tiny")
    path.write_bytes(harm(path.read_bytes()))
    assert store.load("ada", "01-tiny") is None


def test_a_record_of_another_class_student_or_chapter_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path / ".records", "s" * 64)
    store.save(RECORDED)
    data = store.path("ada", "01-tiny").read_bytes()
    assert Store(tmp_path / ".records", "t" * 64).load("ada", "01-tiny") is None
    for student, chapter in (("eve", "01-tiny"), ("ada", "02-more")):
        path = store.path(student, chapter)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        assert store.load(student, chapter) is None


def test_answers_without_end_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / ".records", "s" * 64)
    store.save(RECORDED)
    monkeypatch.setattr("grader.grading.store.MAX_BYTES", 1 << 10)
    large = replace(RECORDED, asked={"shares": (Asked("q", ["x" * 600, "y" * 600]),)})
    assert not store.save(large)
    assert not store.path("ada", "01-tiny").exists()


def test_a_class_is_graded_where_no_record_can_be_written(workshop: Workshop) -> None:
    (workshop.folder / ".records").mkdir(mode=0o700)
    (workshop.folder / ".records" / "right").write_text("a file where a folder should be")
    workshop.submit("right", workshop.right())
    assert workshop.points() == {"right": 3}
    assert workshop.grade(nothing_to_run)["right"].skipped


def test_a_forged_record_is_executed_again(graded: Workshop) -> None:
    forger = Store(graded.folder / ".records", "guessed" * 10)
    known = Store(graded.folder / ".records", graded.classroom.secret()).load("half", "01-tiny")
    assert known is not None
    right = {label: (replace(asked[0], answers=[0.2] * 5),) for label, asked in known.asked.items()}
    forger.save(replace(known, asked=right))
    (graded.classroom.feedback("half", "01-tiny") / "result.json").unlink()
    runs = Counting()
    assert graded.points(runs) == {"half": 2}
    assert runs.asked == [["add-up", "shares"]]


def test_what_was_executed_and_not_recorded_is_not_executed_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))

    class KilledError(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise KilledError

    monkeypatch.setattr(grading, "judge_outcome", killed)
    with pytest.raises(KilledError):
        workshop.grade()
    monkeypatch.undo()
    assert workshop.points(nothing_to_run) == {"half": 2}
    assert workshop.result("half")["exercises"][0]["points"] == 1


def test_a_changed_judge_executes_nothing(graded: Workshop) -> None:
    edit(graded.chapter.hidden, "if not total:", "if False:")
    edit(graded.chapter.hidden, 'return wrong(f"these are not the shares', 'return right() or wrong(f"these')
    before = graded.result("half")
    assert graded.points(nothing_to_run) == {"half": 3}
    after = graded.result("half")
    assert before["checks"] != after["checks"]
    assert before["used"] == after["used"]
    assert before["exercises"][0] == after["exercises"][0]


def test_a_changed_question_is_asked_alone_and_may_be_taken_back(graded: Workshop) -> None:
    hidden = graded.chapter.hidden
    text = hidden.read_text()
    edit(hidden, "rng.uniform(1, 9, size=4)", "rng.uniform(1, 9, size=6)")
    runs = Counting()
    assert graded.points(runs) == {"half": 2}
    assert runs.asked == [["shares"]]
    assert len(runs.plans[0].cells) > 2, "the cells run once more"
    hidden.write_text(text)
    assert graded.points(nothing_to_run) == {"half": 2}


def test_a_changed_probe_or_other_names_are_asked_alone(graded: Workshop) -> None:
    edit(graded.chapter.hidden, 'return student.shares(list(inputs["weights"]))', "return student.shares([0.0] * 5)")
    runs = Counting()
    graded.grade(runs)
    assert runs.asked == [["shares"]]
    edit(graded.chapter.hidden, 'uses = ("add_up",)', 'uses = ("add_up", "shares")')
    graded.grade(runs)
    assert runs.asked == [["shares"], ["add-up"]]


def test_a_changed_library_or_given_cell_or_budget_runs_everything(graded: Workshop) -> None:
    runs = Counting()
    edit(graded.course.root / "lib" / "tinylib" / "__init__.py", '"""', '"""Changed. ')
    graded.grade(runs)
    edit(graded.chapter.page, "print(tinylib.describe([1.0, 2.0, 3.0]))", "print(tinylib.describe([1.0, 2.0]))")
    graded.grade(runs)
    edit(graded.course.root / "course.toml", "cell_seconds = 10", "cell_seconds = 11")
    load_course.cache_clear()
    Workshop(load_course(graded.course.root), graded.student).grade(runs)
    assert runs.asked == [["add-up", "shares"]] * 3


def test_another_environment_runs_everything(graded: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {**keys.installed(), "torch": "99.0"}
    for module in ("keys", "earlier", "recalling"):
        monkeypatch.setattr(f"grader.grading.{module}.environment_key", lambda: keys.digest(json.dumps(newer).encode()))
    runs = Counting()
    graded.grade(runs)
    assert runs.asked == [["add-up", "shares"]]


def test_answers_from_without_a_sandbox_are_nothing_to_a_run_that_has_one(graded: Workshop) -> None:
    (graded.classroom.feedback("half", "01-tiny") / "result.json").unlink()
    runs = Counting()
    graded.grade(runs, sandboxed=True)
    assert runs.asked == [["add-up", "shares"]]
    (graded.classroom.feedback("half", "01-tiny") / "result.json").unlink()
    assert graded.points(nothing_to_run) == {"half": 2}


def test_another_secret_asks_other_questions(graded: Workshop) -> None:
    graded.classroom.secret_path.unlink()
    runs = Counting()
    graded.grade(runs)
    assert runs.asked == [["add-up", "shares"]]


def test_scores_lost_from_the_gradebook_are_written_again_without_a_run(graded: Workshop) -> None:
    (graded.folder / "gradebook.db").unlink()
    assert graded.points(nothing_to_run) == {"half": 2}
    from nbgrader.api import Gradebook

    with Gradebook(graded.classroom.db_url) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "half").auto_score = 2
        gradebook.db.commit()
    assert graded.points(nothing_to_run) == {"half": 2}, "an automatic score that nobody here gave"


def test_an_unchanged_class_is_seen_without_opening_the_gradebook_for_each(
    graded: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        graded.submit(f"more-{number}", graded.right())
    graded.grade()
    asked = []
    read = graded_module.points_held
    monkeypatch.setattr(graded_module, "points_held", lambda *args: asked.append(args) or read(*args))
    for name in ("load_assignment", "register", "open_ledger", "prepare"):
        monkeypatch.setattr(grading, name, nothing_to_run)
    again = graded.grade(nothing_to_run)
    assert len(again) == 5
    assert all(each.skipped for each in again.values())
    assert len(asked) == 1


def test_keys_of_a_run_tell_what_differs(workshop: Workshop) -> None:
    from grader.grading.assignment import load_assignment
    from grader.grading.collecting import Submission

    assignment = load_assignment(workshop.course, workshop.chapter)

    def ready(code: str, student: str = "ada"):
        data = json.dumps(workshop.notebook(add_up=code)).encode()
        return prepare(assignment, Submission(student, data, "digest", None), "secret")

    first, same, other = ready("x = 1"), ready("x = 1"), ready("x = 2")
    assert (first.run, first.questions) == (same.run, same.questions)
    assert first.run != other.run
    assert first.questions == other.questions
    assert ready("x = 1", "eve").questions != first.questions


def test_distributions_are_those_that_are_installed() -> None:
    from importlib import metadata

    found = keys.installed()
    known = {re.sub(r"[-_.]+", "_", each.metadata["Name"]).lower(): each.version for each in metadata.distributions()}
    ours = {re.sub(r"[-_.]+", "_", name): version for name, version in found.items()}
    assert found["python"].endswith(".".join(map(str, os.sys.version_info[:3])))
    for name in ("numpy", "nbgrader", "ipython"):
        assert ours[name] == known[name]


def test_what_is_installed_does_not_depend_on_what_was_imported(tmp_path: Path, monkeypatch) -> None:
    """setuptools, once imported, puts the folder of the packages inside it on the path."""
    site = tmp_path / "site-packages"
    inside = site / "carrier" / "_vendor"
    for folder in (site / "carrier-1.0.dist-info", inside / "passenger-1.0.dist-info"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    for folder in (site, inside):
        monkeypatch.syspath_prepend(folder)
    found = keys.installed.__wrapped__()
    assert ("carrier" in found, "passenger" in found) == (True, False)
