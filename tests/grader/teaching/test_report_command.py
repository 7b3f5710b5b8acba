"""`course report` as it is typed, on a class that nobody graded."""

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from grader.course import load_course

from .imagined import Imagined, Task, imagine

Typed = Callable[..., tuple[int, str]]
MINI = Path(__file__).parents[1] / "fixtures" / "mini"
WORDS = "the sum of [{a}, {b}] is not {c}; is every number added, whatever its sign?"
TINY = (
    Task("add-up", "1.1 The sum of a list", {"values": 1.0}, WORDS),
    Task("shares", "1.2 Each weight's share", {"values": 1.0, "all zero": 1.0}, "these are not the shares of [{a}]"),
)
LONG = "def add_up(numbers):\n" + "".join(
    f"    part_{n} = [x ** {n} for x in numbers if x % {n + 2} == {n}]\n    total = sum(part_{n}) - len(part_{n})\n"
    for n in range(6)
)


@pytest.fixture
def tiny(tmp_path: Path, one_question_to_alembic: None) -> Imagined:
    """The miniature course with a class of 24 whose gradebook also knows zed."""
    root = tmp_path / "course"
    shutil.copytree(MINI, root, ignore=shutil.ignore_patterns("build", "class", "__pycache__"))
    load_course.cache_clear()
    names = [f"s{n:02}" for n in range(24)]
    return imagine(root / "class", names, TINY, missing=["zed"], chapter="01-tiny", stem="tiny", seed=5)


@pytest.fixture
def typed(tiny: Imagined, monkeypatch: pytest.MonkeyPatch, type_command: Typed) -> Typed:
    """Type `course report …` inside the course."""
    monkeypatch.chdir(tiny.classroom.root.parent)
    monkeypatch.setenv("COLUMNS", "180")
    return functools.partial(type_command, "report")


def hand_in(tiny: Imagined, student: str, source: str) -> None:
    """A submission and the autograded notebook that came of it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.cells[0].metadata["nbgrader"] = {"grade_id": "add-up", "solution": True}
    for folder in ("submitted", "autograded"):
        path = tiny.classroom.root / folder / student / "01-tiny" / "tiny.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)


def test_all_files_of_a_report_are_written_and_say_the_same(tiny: Imagined, typed: Typed) -> None:
    code, text = typed("01-tiny", "--html", "class/r.html", "--json", "r.json", "--csv", "r.csv", "--chart", "r.svg")
    assert code == 0, text
    plain = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert plain["title"] == "Adding and sharing"
    assert f"24 students: mean {plain['scores']['mean']:.2f} of 3" in text
    assert f"24 students: mean {plain['scores']['mean']:.2f} of 3" in Path("class/r.html").read_text(encoding="utf-8")
    assert Path("r.csv").read_text().count("\n") == 25
    assert "<svg" in Path("r.svg").read_text()
    assert "written: class/r.html" in text
    assert "Nothing handed in by 1: zed" in text


def test_a_misconception_bears_the_name_that_the_courses_mistakes_give_it(tiny: Imagined, typed: Typed) -> None:
    code, text = typed("01-tiny", "--json", "r.json")
    assert code == 0, text
    found = json.loads(Path("r.json").read_text(encoding="utf-8"))["misconceptions"]
    (signs,) = [each for each in found if each["exercise"] == "add-up"]
    assert signs["name"] == "positive-only"
    assert signs["count"] > 1
    assert signs["belief"] == "Only positive numbers count towards a sum."
    assert "positive-only" in text


def test_two_with_the_same_long_answer_are_to_look_at(tiny: Imagined, typed: Typed) -> None:
    for number, student in enumerate(tiny.students):
        own = "\n".join(f"    v{number}_{n} = numbers[{n}] * {number} + {n * number}" for n in range(9))
        hand_in(tiny, student, f"def add_up(numbers):\n{own}\n    return v{number}_0\n" if number > 1 else LONG)
    code, text = typed("01-tiny", "--json", "r.json")
    assert code == 0, text
    (found,) = json.loads(Path("r.json").read_text(encoding="utf-8"))["suspicious"]
    assert (found["kind"], found["students"], found["exercises"]) == ("alike", ["s00", "s01"], ["add-up"])
    assert "s00, s01" in text
    assert "s00, s01" not in typed("01-tiny", "--no-compare")[1]


def test_who_handed_in_and_is_not_graded_is_named(tiny: Imagined, typed: Typed) -> None:
    hand_in(tiny, "late", LONG)
    (tiny.classroom.root / "submitted" / "nothing" / "01-tiny").mkdir(parents=True)
    code, text = typed("01-tiny", "--json", "r.json")
    assert code == 0, text
    reasons = {each["student"]: each["words"] for each in json.loads(Path("r.json").read_text())["not_graded"]}
    assert reasons["late"] == "handed in and not graded: run `course grade 01-tiny`"
    assert reasons["nothing"].startswith("There is no notebook")
    assert set(reasons) == {"late", "nothing"}


def test_a_correction_by_hand_counts_at_once(tiny: Imagined, typed: Typed) -> None:
    with Gradebook(tiny.classroom.db_url) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "s05").manual_score = 1.75
        gradebook.db.commit()
    code, text = typed("01-tiny", "--json", "r.json")
    assert code == 0, text
    rows = {row["student"]: row for row in json.loads(Path("r.json").read_text(encoding="utf-8"))["students"]}
    assert rows["s05"]["points"]["shares-checks"] == 1.75


def test_the_whole_course_is_reported_by_chapter(tiny: Imagined, typed: Typed) -> None:
    code, text = typed("--json", "r.json", "--html", "r.html")
    assert code == 0, text
    plain = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert (plain["chapter"], plain["title"]) == (None, "Tiny Numbers by Hand")
    assert [each["label"] for each in plain["exercises"]] == ["01-tiny"]
    assert plain["missing"] == ["zed"]
    assert "feedback/" not in Path("r.html").read_text(encoding="utf-8").split("<main>")[1].split("<script")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["01-tiny", "--chart", "r.txt"], "cannot draw a chart into r.txt"),
        (["01-tiny", "--class", "nowhere"], "there is no folder"),
        (["01-tiny", "--html", "."], "is a directory"),
    ],
)
def test_a_report_that_cannot_be_made_ends_with_2(
    tiny: Imagined, typed: Typed, arguments: list[str], words: str
) -> None:
    code, text = typed(*arguments)
    assert code == 2, text
    assert words in text
    assert "Traceback" not in text


def test_a_gradebook_without_the_chapter_says_what_to_run(tiny: Imagined, typed: Typed) -> None:
    with Gradebook(tiny.classroom.db_url) as gradebook:
        gradebook.remove_assignment("01-tiny")
    code, text = typed("01-tiny")
    assert code == 2
    assert "the gradebook does not know 01-tiny" in text
    assert "run `course grade 01-tiny`" in text
