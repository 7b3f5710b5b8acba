"""The demo's class: what each student hands in, and that a wrong outcome does not pass unseen."""

import contextlib
import csv
import io
import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from rich.console import Console

from grader.authoring.notebooks import student_notebook
from grader.course import load_course
from grader.demo.commands import demo
from grader.demo.deserving import deserve, seeds_of
from grader.demo.evidence import leaks, left_behind, loot_of, telling_lines
from grader.demo.performance import CANARY, DemoOutcome, compare_scores, examine_thief, perform
from grader.demo.scoreboard import board_csv, show_board, show_outcome
from grader.demo.students import make_students, noisy_code, sort_answers
from grader.errors import CourseError, UsageError
from grader.grading.classroom import open_classroom
from grader.grading.earlier import read_result
from grader.proving.candidates import Candidate, all_candidates
from grader.proving.material import read_material
from grader.teaching.report import ClassReport, Column, Row

MINI = Path(__file__).parent.parent / "fixtures" / "mini"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "course"
    shutil.copytree(MINI, root)
    settings = (root / "course.toml").read_text().replace("cell_seconds = 10", "cell_seconds = 3")
    (root / "course.toml").write_text(settings)
    return load_course(root)


@pytest.fixture(scope="module")
def students(course):
    chapter = course.chapters[0]
    cells = read_material(course, chapter)
    answers = sort_answers(all_candidates(chapter, cells, {}, mutants=False))
    made = make_students(student_notebook(course, chapter), answers, "WANTED = []")
    seeds = {student.name: dict.fromkeys(answers.reference, 1) for student in made}
    return deserve(course, chapter, cells, made, seeds, 2)


def named(students, part):
    return next(student for student in students if part in student.name)


def report_of(students, **changed):
    """A report in which each got what is deserved, but for the changes (name=points of shares)."""
    rows = []
    for student in students:
        points = {f"{label}-checks": points for label, points in student.deserved.items()}
        if student.name.split("-")[0] in changed:
            points["shares-checks"] = changed[student.name.split("-")[0]]
        rows.append(Row(student.name, points))
    return ClassReport("Mini", (Column("add-up-checks", "1.1", 1.0), Column("shares-checks", "1.2", 2.0)), tuple(rows))


def test_the_class_has_every_kind_of_student(students):
    assert len({student.name for student in students}) == len(students) == 20
    assert sum(student.hostile for student in students) == 5
    for kind in (
        "right",
        "way",
        "half",
        "untouched",
        "noisy",
        "deleted",
        "metadata",
        "not-a-notebook",
        "other-editor",
        "own-cells",
        "one-slip",
        "by-turns",
        "empties",
        "forger",
        "ends-everything",
    ):
        assert any(kind in student.name for student in students)


def test_what_is_deserved_comes_from_the_hidden_checks(students):
    assert named(students, "ada").deserved == {"add-up": 1.0, "shares": 2.0}
    assert named(students, "emmy").deserved == {"add-up": 1.0, "shares": 0.0}
    assert named(students, "dora").deserved == {"add-up": 0.0, "shares": 1.0}
    assert named(students, "oscar").deserved == {"add-up": 1.0, "shares": 0.0}
    assert [named(students, name).total for name in ("fred", "jan", "mallory", "trudy", "quinn")] == [0] * 5
    assert [named(students, name).total for name in ("grace", "gina", "hugo", "ines", "kurt", "nora")] == [3] * 6
    assert [named(students, name).total for name in ("lena", "mona", "victor")] == [1, 2, 1]


def test_what_a_wrong_answer_deserves_is_of_the_cases_of_its_own_submission(course, students):
    """carl adds positive numbers alone: with seed 38 there is no other."""
    chapter = course.chapters[0]
    carl = named(students, "carl")
    ends = Candidate("mistake", "add-up", "ends", "import os; os._exit(0)")
    class_ = [carl, replace(carl, name="lucky"), replace(carl, name="ended", chosen={"add-up": ends})]
    seeds = {"carl-one-wrong-way": 1, "lucky": 38, "ended": 38}
    found = deserve(
        course,
        chapter,
        read_material(course, chapter),
        class_,
        {name: {"add-up": seed, "shares": 1} for name, seed in seeds.items()},
        2,
    )
    assert [student.deserved for student in found] == [
        {"add-up": 0.0, "shares": 0.0},
        {"add-up": 1.0, "shares": 0.0},
        {"add-up": 0.0},
    ]


def test_every_submission_but_one_is_a_valid_notebook(students):
    for student in students:
        if "not-a-notebook" in student.name:
            with pytest.raises(ValueError):
                json.loads(student.data)
        else:
            nbformat.validate(nbformat.reads(student.data.decode("utf-8-sig"), as_version=4))


def test_a_noisy_answer_computes_the_same():
    namespace: dict = {}
    err = io.StringIO()
    with contextlib.redirect_stderr(err), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(noisy_code('def double(x):\n    """Doc."""\n    return 2 * x'), namespace)
        assert namespace["double"](21) == 42
    assert namespace["double"].__doc__ == "Doc."
    assert err.getvalue().count("a note on stderr") == 2
    assert len(caught) == 2


def test_telling_lines_are_long_code_that_is_not_public():
    line = 'expected = reference(case.inputs["weights"])'
    secret = f'x = 1\n    {line}\n"words for students, which are long"\n# a comment, which is long\n'
    assert telling_lines(secret, "") == [line]
    assert telling_lines(secret, f"see {line} there") == []


def test_a_planted_secret_is_found_in_notebooks_json_and_pages(tmp_path):
    secret = 'expected = reference(case.inputs["weights"])'
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [{"source": ["x\n", secret]}]}))
    (tmp_path / "b.html").write_text("<pre>expected = reference(case.inputs[&quot;weights&quot;])</pre>")
    (tmp_path / "c.json").write_text(json.dumps({"words": secret}))
    (tmp_path / "d.json").write_text(json.dumps({"words": "nothing"}))
    found = leaks([tmp_path], {"a hidden line": [secret]})
    assert [Path(words.split(" holds")[0]).name for words in found] == ["a.ipynb", "b.html", "c.json"]


def test_loot_left_anywhere_is_found(tmp_path):
    assert left_behind([tmp_path, tmp_path / "nowhere"], "loot-1") == []
    (tmp_path / "loot-1-later").touch()
    assert left_behind([tmp_path, tmp_path / "nowhere"], "loot-1") == [f"the thief left {tmp_path}/loot-1-later"]


def test_scores_as_deserved_make_no_difference_and_others_do(students):
    fine = DemoOutcome(students, report_of(students))
    compare_scores(fine)
    assert fine.differences == []
    wrong = DemoOutcome(students, report_of(students, fred=2.0, ada=1.0, gina=None))
    compare_scores(wrong)
    assert wrong.wrong == {"fred-untouched", "ada-all-right", "gina-noisy"}
    assert "fred-untouched: shares got 2.0 points and deserves 0" in wrong.differences


def test_a_thief_who_found_or_reached_something_or_said_nothing_is_a_difference(students, course, tmp_path):
    thief = named(students, "thief")
    outcomes = {}
    for name, text in {
        "caught": 'LOOT {"found": []}\n',
        "found": 'LOOT {"found": ["the gradebook"]}\n',
        "silent": "hello\n",
    }.items():
        path = tmp_path / name / "autograded" / thief.name / "01-tiny" / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        output = nbformat.v4.new_output("stream", text=text)
        cells = [nbformat.v4.new_code_cell("x", outputs=[output])]
        path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))
        outcomes[name] = DemoOutcome([thief], report_of([thief]))
        examine_thief(outcomes[name], tmp_path / name, course.chapters[0], visitors=0, drops=[], mark="loot")
    assert loot_of(path) is None
    assert outcomes["caught"].differences == []
    assert outcomes["found"].differences == ["trudy-thief: could read the gradebook"]
    assert "shows nothing" in outcomes["silent"].differences[0]
    reached = DemoOutcome([thief], report_of([thief]))
    examine_thief(reached, tmp_path / "caught", course.chapters[0], visitors=1, drops=[], mark="loot")
    assert reached.differences == ["trudy-thief: got through to the network"]


def test_the_scoreboard_counts_the_students_as_deserved(students):
    outcome = DemoOutcome(students, report_of(students, fred=2.0))
    compare_scores(outcome)
    console = Console(width=100, file=io.StringIO())
    show_outcome(outcome, console)
    assert f"{len(students) - 1} of {len(students)} as deserved" in console.file.getvalue()
    assert "✗" in console.file.getvalue()


def test_the_board_of_several_chapters_adds_up_and_names_what_differs(students):
    fine, wrong = DemoOutcome(students, report_of(students)), DemoOutcome(students, report_of(students, fred=2.0))
    for outcome in (fine, wrong):
        compare_scores(outcome)
    console = Console(width=132, file=io.StringIO())
    show_board({"01-one": fine, "02-two": wrong}, console)
    shown = console.file.getvalue()
    assert "39 of 40 as deserved, 2 chapters" in shown
    assert "02-two: fred-untouched: shares got 2.0 points and deserves 0" in shown
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
    assert lines["fred-untouched"] == ["0", "2✗", "2", "0"]
    assert lines["ada-all-right"] == ["3", "3", "6", "6"]
    rows = list(csv.DictReader(io.StringIO(board_csv({"01-one": fine, "02-two": wrong}))))
    assert len(rows) == 40
    assert [(row["chapter"], row["student"]) for row in rows if row["as deserved"] == "no"] == [
        ("02-two", "fred-untouched")
    ]
    assert sum(row["hostile"] == "yes" for row in rows) == 10
    assert sum(float(row["deserved"]) for row in rows) == 2 * sum(student.total for student in students)


def test_a_board_of_sixteen_chapters_fits_into_a_hundred_columns(students):
    outcomes = {
        f"{number:02}-chapter": DemoOutcome(students, report_of(students, ada=17.75, oscar=0.25 * number, fred=2.0))
        for number in range(1, 17)
    }
    compare_scores(outcomes["16-chapter"])
    console = Console(width=100, file=io.StringIO())
    show_board(outcomes, console)
    lines = {line.split()[0]: line.split()[1:] for line in console.file.getvalue().splitlines() if line.strip()}
    assert lines["ada-all-right"] == ["18¾"] * 15 + ["18¾✗", "300", "48"]
    assert lines["oscar-endless-loop"][:5] == ["1¼", "1½", "1¾", "2", "2¼"]
    assert {student.name for student in students} <= lines.keys()
    narrow = Console(width=88, file=io.StringIO())
    show_board(outcomes, narrow)
    (ada,) = (line.split() for line in narrow.file.getvalue().splitlines() if line.startswith("ada"))
    assert ada[0].endswith("…")
    assert ada[1:] == lines["ada-all-right"]


def test_a_chapter_and_all_of_them_cannot_both_be_asked_for(course, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_ROOT", str(course.root))
    done = CliRunner().invoke(demo, ["--all", course.chapters[0].id, "--class", str(tmp_path)])
    assert isinstance(done.exception, UsageError)


def test_a_difference_is_shown_and_ends_the_command_with_an_error(students, course, tmp_path, monkeypatch):
    def played(*arguments):
        outcome = DemoOutcome(students, report_of(students, fred=2.0))
        compare_scores(outcome)
        return outcome

    monkeypatch.setenv("COURSE_ROOT", str(course.root))
    monkeypatch.setattr("grader.demo.performance.perform", played)
    done = CliRunner().invoke(demo, ["--class", str(tmp_path)])
    assert isinstance(done.exception, CourseError)
    assert done.exception.exit_code == 1
    assert str(done.exception).startswith("the demo ended with 1 difference from what should be\n")
    assert "✗ fred-untouched: shares got 2.0 points and deserves 0" in done.output


def test_a_folder_with_submissions_of_others_is_left_alone(course, tmp_path, monkeypatch):
    other = tmp_path / "submitted" / "real-student" / "01-tiny"
    other.mkdir(parents=True)
    monkeypatch.setenv("COURSE_ROOT", str(course.root))
    done = CliRunner().invoke(demo, ["--class", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["submitted"]


@pytest.mark.sandbox
@pytest.mark.slow
def test_the_whole_demo_ends_as_deserved(course, tmp_path):
    said: list[str] = []
    chapter = course.chapters[0]
    outcome = perform(course, chapter, tmp_path / "class", 2, tell=said.append)
    assert outcome.differences == []
    assert len(outcome.report.rows) == len(outcome.students)
    assert all(path.exists() for path in outcome.places.values())
    assert CANARY not in os.environ
    classroom = open_classroom(tmp_path / "class")
    asked = seeds_of(classroom, chapter, ["add-up", "shares"])
    for student in outcome.students:
        recorded = read_result(classroom, student.name, chapter.id)["exercises"]
        assert student.name.startswith("jan") or asked[student.name] == {
            each["exercise"]: int(each["seed"]) for each in recorded
        }
