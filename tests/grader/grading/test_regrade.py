"""A changed check: who gains, who loses, why; nothing written until it is applied, teachers' marks kept."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from grader.cli import cli
from grader.course import load_course
from grader.errors import UsageError
from grader.grading.regrading import Regraded, regrade_class
from grader.teaching.regrade import as_csv, in_words, points_moved
from tests.grader.editing import edit

from .conftest import HALF_SHARES, RIGHT, Workshop, run_here
from .test_resuming import Counting, nothing_to_run


def regraded(workshop: Workshop, executor: Any = run_here, **options: Any) -> Regraded:
    return regrade_class(workshop.course, workshop.chapter, workshop.classroom, executor, **options)


def written(workshop: Workshop) -> dict[str, bytes]:
    """All that a run may write but for the kept answers."""
    return {
        str(path): path.read_bytes()
        for path in workshop.folder.rglob("*")
        if path.is_file() and ".records" not in path.parts
    }


def scores(workshop: Workshop) -> dict[str, float]:
    with Gradebook(workshop.classroom.db_url) as gradebook:
        return {each.student_id: each.score for each in gradebook.assignment_submissions("01-tiny")}


@pytest.fixture
def graded(workshop: Workshop) -> Workshop:
    workshop.submit("half", workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES))
    workshop.submit("right", workshop.right())
    workshop.submit("broken", "{")
    assert workshop.points() == {"half": 2, "right": 3, "broken": 0}
    return workshop


def milder(workshop: Workshop) -> None:
    """A judge that takes shares of 0 where there is nothing to share."""
    edit(
        workshop.chapter.hidden,
        "total = sum(weights)\n",
        "total = sum(weights)\n        answer = answer if total else [0.2] * 5\n",
    )


def test_a_changed_judge_is_shown_and_only_written_when_applied(graded: Workshop) -> None:
    milder(graded)
    before = written(graded)
    report = regraded(graded, nothing_to_run)
    assert written(graded) == before
    assert [(move.student, move.exercise, move.old, move.new) for move in report.moves] == [
        ("half", "1.2 Each weight's share", (1, 2), (2, 2))
    ]
    assert report.moves[0].why == "all zero: met now"
    assert (report.executed, sorted(report.judged), report.untouched) == ([], ["broken", "half", "right"], [])
    assert "1 student gains 1 point, 0 lose 0" in in_words(report)[0]
    assert "--apply" in in_words(report)[-1]
    assert regraded(graded, nothing_to_run, apply=True).moves == report.moves
    assert scores(graded) == {"half": 3, "right": 3, "broken": 0}
    assert graded.result("half")["exercises"][1]["points"] == 2
    assert "all zero" in graded.page("half")
    after = regraded(graded, nothing_to_run)
    assert after.moves == []
    assert len(after.untouched) == 3
    assert all(each.skipped for each in graded.grade(nothing_to_run).values())


def test_who_loses_is_told_the_words_of_the_judge(graded: Workshop) -> None:
    edit(graded.chapter.hidden, 'if answer["after"] != numbers:', "if True:")
    report = regraded(graded, nothing_to_run)
    assert {(move.student, move.gain) for move in report.moves} == {("half", -1), ("right", -1)}
    assert all("values: not met now: the list" in move.why for move in report.moves)
    assert points_moved(report.moves[0]) == "1 -> 0"


def test_a_changed_question_runs_that_question_once_for_look_and_apply(graded: Workshop) -> None:
    edit(graded.chapter.hidden, '{"weights": [0.0, 0.0, 0.0, 0.0, 0.0]}', '{"weights": [1.0, 2.0]}')
    runs = Counting()
    report = regraded(graded, runs)
    assert runs.asked == [["shares"], ["shares"]]
    assert sorted(report.executed) == ["half", "right"]
    assert [(move.student, move.new) for move in report.moves] == [("half", (2, 2))]
    assert scores(graded)["half"] == 2
    regraded(graded, nothing_to_run, apply=True)
    assert scores(graded)["half"] == 3


def test_what_teachers_entered_stays(graded: Workshop) -> None:
    with Gradebook(graded.classroom.db_url) as gradebook:
        gradebook.find_grade("shares-checks", "tiny", "01-tiny", "half").manual_score = 0.5
        gradebook.find_grade("add-up-checks", "tiny", "01-tiny", "half").extra_credit = 0.25
        gradebook.find_comment("shares", "tiny", "01-tiny", "half").manual_comment = "Nearly."
        gradebook.db.commit()
    milder(graded)
    report = regraded(graded, nothing_to_run, apply=True)
    assert [move.by_hand for move in report.moves] == [0.5]
    assert scores(graded)["half"] == 1.75
    with Gradebook(graded.classroom.db_url) as gradebook:
        grade = gradebook.find_grade("shares-checks", "tiny", "01-tiny", "half")
        assert (grade.manual_score, grade.auto_score, grade.needs_manual_grade) == (0.5, 2, True)
        assert gradebook.find_grade("add-up-checks", "tiny", "01-tiny", "half").extra_credit == 0.25
        assert gradebook.find_comment("shares", "tiny", "01-tiny", "half").manual_comment == "Nearly."


def test_new_and_repeated_submissions_are_left_to_grading(graded: Workshop) -> None:
    milder(graded)
    graded.submit("half", graded.right())
    graded.submit("new", graded.right())
    report = regraded(graded, nothing_to_run, apply=True)
    assert (report.never, report.again, report.moves) == (["new"], ["half"], [])
    assert scores(graded) == {"half": 2, "right": 3, "broken": 0}
    said = " ".join(in_words(report))
    assert "1 have not been graded yet" in said
    assert "1 have handed in again" in said


def test_points_may_change_after_grading(graded: Workshop) -> None:
    edit(graded.chapter.hidden, '{"values": 1.0, "all zero": 1.0}', '{"values": 3.0, "all zero": 1.0}')
    edit(graded.chapter.page, ":tags: [checks, points-2]", ":tags: [checks, points-4]")
    edit(graded.course.root / "course.toml", "points = 3", "points = 5")
    load_course.cache_clear()
    graded = Workshop(load_course(graded.course.root), graded.student)
    report = regraded(graded, nothing_to_run, apply=True)
    assert [points_moved(move) for move in report.moves if move.student == "half"] == ["1 of 2 -> 3 of 4"]
    assert "values: 1 points before, 3 now" in report.moves[1].why
    assert scores(graded) == {"half": 4, "right": 5, "broken": 0}
    with Gradebook(graded.classroom.db_url) as gradebook:
        assert gradebook.find_assignment("01-tiny").max_score == 5


def without_shares(workshop: Workshop) -> Workshop:
    """The course without exercise 1.2."""
    page = workshop.chapter.page.read_text()
    begin, end = page.index(":::{exercise} Each weight's share"), page.index(":::{quiz}")
    workshop.chapter.page.write_text(page[:begin] + page[end:])
    hidden = workshop.chapter.hidden.read_text()
    workshop.chapter.hidden.write_text(hidden[: hidden.index("class Shares")])
    edit(workshop.course.root / "course.toml", "points = 3", "points = 1")
    load_course.cache_clear()
    return Workshop(load_course(workshop.course.root), workshop.student)


def test_a_removed_exercise_is_refused_with_the_way_out(graded: Workshop) -> None:
    fewer = without_shares(graded)
    before = written(graded)
    for apply in (False, True):
        with pytest.raises(UsageError, match="removed shares since this class was graded") as refused:
            regraded(fewer, nothing_to_run, apply=apply)
    assert "nbgrader db assignment remove 01-tiny --force" in refused.value.remedy
    assert written(graded) == before


def test_the_command_says_what_it_did(
    graded: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(graded.course.root)
    monkeypatch.setenv("COLUMNS", "200")
    milder(graded)
    arguments = ["regrade", "01-tiny", "--no-sandbox", "--csv", str(tmp_path / "moves.csv")]
    cli.main(arguments, standalone_mode=False)
    said = capsys.readouterr().out
    assert "all zero: met now" in said
    assert "Nothing is written yet" in said
    rows = list(csv.DictReader(io.StringIO((tmp_path / "moves.csv").read_text())))
    assert [(row["student"], row["old"], row["new"], row["by hand"]) for row in rows] == [("half", "1", "2", "")]
    cli.main([*arguments, "--apply"], standalone_mode=False)
    assert "Gradebook and feedback are written" in capsys.readouterr().out
    assert scores(graded)["half"] == 3


def test_names_that_are_formulas_stay_text_in_the_csv() -> None:
    from grader.grading.regrading import Move

    report = Regraded(False, moves=[Move("=cmd()", "1.1 Sum", (1, 1), (0, 1), "@x")])
    assert "'=cmd(),1.1 Sum,1,1,0,1,,'@x" in as_csv(report)
