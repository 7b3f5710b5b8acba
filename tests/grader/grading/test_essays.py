"""An answer in prose: kept from the student, made harmless, left to a person to grade."""

import json

from nbgrader.api import Gradebook

from grader.authoring.notebooks import student_notebook
from grader.course import load_course
from grader.teaching.report import chapter_report

from .conftest import RIGHT, Workshop

ESSAY = """
:::{exercise} Why shares add up to one
:label: why
:number: 1.3
:difficulty: 1
:importance: 3
:minutes: 5
Say in a sentence why shares add up to 1.
:::

+++ {"label": "why", "tags": ["essay", "points-2"]}

Each is a part of the same whole.

+++

The end.
"""


def with_essay(workshop: Workshop) -> Workshop:
    root = workshop.course.root
    workshop.chapter.page.write_text(workshop.chapter.page.read_text() + ESSAY)
    settings = (root / "course.toml").read_text().replace("points = 3", "points = 5")
    (root / "course.toml").write_text(settings)
    load_course.cache_clear()
    course = load_course(root)
    return Workshop(course, student_notebook(course, course.chapters[0]))


def test_an_essay_waits_for_a_person_and_an_untouched_one_is_zero(workshop: Workshop) -> None:
    workshop = with_essay(workshop)
    answered = workshop.notebook(
        add_up=RIGHT["add-up"], why="Because $a < b$ <script>alert(1)</script> [x](javascript:alert(1))"
    )
    workshop.submit("answered", answered)
    workshop.submit("untouched", workshop.notebook())
    assert workshop.points() == {"answered": 1, "untouched": 0}
    cell = Workshop.cell(workshop.autograded("answered"), "why")
    assert cell.source.startswith("Because $a < b$")
    assert "<script" not in cell.source
    assert "](" not in cell.source
    assert all('id="why"' not in each.source for each in workshop.autograded("answered").cells), (
        "formgrader's field for the points has this id"
    )
    with Gradebook(workshop.classroom.db_url) as gradebook:
        grade = gradebook.find_grade("why", "tiny", "01-tiny", "answered")
        assert grade.auto_score is None
        assert grade.needs_manual_grade
        untouched = gradebook.find_grade("why", "tiny", "01-tiny", "untouched")
        assert untouched.auto_score == 0
        assert not untouched.needs_manual_grade
        grade.manual_score = 1.5
        gradebook.db.commit()
    report = chapter_report(workshop.classroom.db_url, "01-tiny", "Tiny", {"why": "1.3 Why"})
    assert report.rows[0].points["why"] == 1.5
    assert workshop.points(force=True) == {"answered": 2.5, "untouched": 0}


def test_an_essay_lost_and_one_turned_into_code_are_told_apart(workshop: Workshop) -> None:
    workshop = with_essay(workshop)
    retyped = workshop.notebook(why="a reason")
    Workshop.cell(retyped, "why").cell_type = "code"
    workshop.submit("retyped", retyped)
    lost = json.loads(json.dumps(workshop.notebook()))
    lost["cells"] = [cell for cell in lost["cells"] if cell["id"] != "why"]
    workshop.submit("lost", lost)
    graded = workshop.grade()
    assert Workshop.cell(workshop.autograded("retyped"), "why").source == "a reason"
    assert graded["lost"].repairs == ("The answer cell of why is missing; it counts as not answered.",)
