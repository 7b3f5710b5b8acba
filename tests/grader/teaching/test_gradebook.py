"""Scores read by query are nbgrader's own, and what nobody scored is not zero."""

import random
from pathlib import Path

import pytest
from nbgrader.api import Gradebook, MissingEntry

from grader.teaching.gradebook import read_chapter, read_course
from grader.teaching.report import chapter_report

# a server of its own, and a new database in it
from tests.grader.grading.test_postgres import db_url, server  # noqa: F401

from .imagined import CHAPTER, Imagined, Task, imagine

ESSAY = Task("why", "7.9 Why", {"words": 2.0}, essay=True)
TASKS = (
    Task("first", "7.1 First", {"values": 1.0, "edges": 0.5}),
    Task("second", "7.2 Second", {"values": 2.0}),
    ESSAY,
)


@pytest.fixture
def corrected(folder: Path) -> Imagined:
    """The class below, in SQLite."""
    return corrected_class(folder)


def corrected_class(folder: Path, url: str | None = None) -> Imagined:
    """A class in which people scored, gave extra credit, came late, and left essays unread."""
    made = imagine(folder, [f"s{n}" for n in range(12)], TASKS, missing=["zed", "amy"], db_url=url)
    draw = random.Random(3)
    with Gradebook(made.classroom.db_url) as gradebook:
        for number, student in enumerate(made.students):
            book = gradebook.find_submission(CHAPTER, student).notebooks[0]
            for grade in book.grades:
                if draw.random() < 0.4:
                    grade.manual_score = draw.choice([0.0, 0.25, 1.5])
                    grade.needs_manual_grade = draw.random() < 0.5
                if draw.random() < 0.3:
                    grade.extra_credit = 0.75
            book.late_submission_penalty = [None, 1.0, 50.0][number % 3]
        gradebook.db.commit()
    return made


def test_every_total_is_nbgraders_own_less_the_late_penalty(corrected: Imagined) -> None:
    compare_totals(corrected)


def test_every_total_is_nbgraders_own_in_postgresql_too(folder: Path, db_url: str) -> None:  # noqa: F811
    compare_totals(corrected_class(folder, db_url))


def compare_totals(corrected: Imagined) -> None:
    entries = {entry.student: entry for entry in read_chapter(corrected.classroom.db_url, CHAPTER).entries}
    report = chapter_report(corrected.classroom.db_url, CHAPTER, "Imagined", corrected.names)
    totals = {row.student: row.total for row in report.rows}
    course = {entry.student: entry for entry in read_course(corrected.classroom.db_url, [CHAPTER]).entries}
    with Gradebook(corrected.classroom.db_url) as gradebook:
        assert set(entries) == {submission.student.id for submission in gradebook.assignment_submissions(CHAPTER)}
        for student, entry in entries.items():
            submission = gradebook.find_submission(CHAPTER, student)
            exported = max(0.0, submission.score - submission.late_submission_penalty)
            assert sum(score or 0.0 for score in entry.points.values()) == pytest.approx(submission.score)
            assert entry.penalty == submission.late_submission_penalty
            assert totals[student] == pytest.approx(exported)
            assert course[student].points == {CHAPTER: pytest.approx(exported)}
            waits = [grade.name for grade in submission.notebooks[0].grades if grade.needs_manual_grade]
            assert entry.waiting == course[student].waiting == len(waits)
    assert {0.0, 1.0, 50.0} == {entry.penalty for entry in entries.values()}, "the class shows every kind of penalty"


def test_every_cell_is_nbgraders_own_score_and_one_that_nobody_scored_is_none(corrected: Imagined) -> None:
    entries = {entry.student: entry for entry in read_chapter(corrected.classroom.db_url, CHAPTER).entries}
    unscored = 0
    with Gradebook(corrected.classroom.db_url) as gradebook:
        for student, entry in entries.items():
            for grade in gradebook.find_submission(CHAPTER, student).notebooks[0].grades:
                if grade.auto_score is None and grade.manual_score is None:
                    assert entry.points[grade.name] is None
                    unscored += 1
                else:
                    assert entry.points[grade.name] == pytest.approx(grade.score)
    assert unscored >= 3


def test_what_there_is_to_earn_and_who_handed_in_nothing(corrected: Imagined) -> None:
    scores = read_chapter(corrected.classroom.db_url, CHAPTER)
    assert scores.max_points == {"first-checks": 1.5, "second-checks": 2.0, "why": 2.0}
    assert scores.missing == ("amy", "zed")
    course = read_course(corrected.classroom.db_url, ["01-other", CHAPTER])
    assert course.max_points == {CHAPTER: 5.5}
    assert course.missing == ("amy", "zed")
    with Gradebook(corrected.classroom.db_url) as gradebook:
        assert gradebook.find_assignment(CHAPTER).max_score == 5.5


def test_a_chapter_that_the_gradebook_does_not_know_has_nothing(corrected: Imagined) -> None:
    scores = read_chapter(corrected.classroom.db_url, "01-other")
    assert (scores.max_points, scores.entries) == ({}, ())
    with Gradebook(corrected.classroom.db_url) as gradebook, pytest.raises(MissingEntry):
        gradebook.find_assignment("01-other")


def test_two_notebooks_with_a_cell_of_one_name_are_two_columns(corrected: Imagined) -> None:
    with Gradebook(corrected.classroom.db_url) as gradebook:
        gradebook.add_notebook("other", CHAPTER)
        gradebook.add_grade_cell("second-checks", "other", CHAPTER, max_score=4, cell_type="code")
        gradebook.add_task_cell("task", "other", CHAPTER, max_score=8, cell_type="markdown")
        most = gradebook.find_assignment(CHAPTER).max_score
    scores = read_chapter(corrected.classroom.db_url, CHAPTER)
    assert scores.max_points["other/second-checks"] == 4
    assert scores.max_points["imagined/second-checks"] == 2
    assert scores.max_points["task"] == 8
    assert sum(scores.max_points.values()) == most
    assert scores.entries[0].points.keys() >= {"imagined/second-checks"}


def test_a_student_with_one_chapter_of_two_is_absent_from_the_other(corrected: Imagined) -> None:
    with Gradebook(corrected.classroom.db_url) as gradebook:
        gradebook.add_assignment("08-next")
        gradebook.add_notebook("next", "08-next")
        gradebook.add_grade_cell("n", "next", "08-next", max_score=4, cell_type="code")
        gradebook.add_submission("08-next", "s3")
        gradebook.find_grade("n", "next", "08-next", "s3").auto_score = 3.0
        gradebook.db.commit()
    scores = read_course(corrected.classroom.db_url, [CHAPTER, "08-next"])
    points = {entry.student: entry.points for entry in scores.entries}
    assert points["s3"]["08-next"] == 3
    assert set(points["s2"]) == {CHAPTER}
    assert scores.max_points == {CHAPTER: 5.5, "08-next": 4}
