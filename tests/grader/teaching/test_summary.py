"""The whole of a class: who is where, what is suspicious, and the JSON that programs read."""

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

import grader.teaching
from grader.teaching.exporting import as_json, write_json
from grader.teaching.report import ClassReport, Column, Row, as_csv, as_table, chapter_report, course_report
from grader.teaching.results import Finished, read_results
from grader.teaching.summary import Summary, Suspicion, summarise
from grader.teaching.terminal import print_summary

from .imagined import CHAPTER, TASKS, Imagined, Task, change_result, imagine

SCHEMA = json.loads(Path(grader.teaching.__file__).with_name("summary.schema.json").read_text(encoding="utf-8"))
ESSAY = Task("why", "7.9 Why", {"words": 2.0}, essay=True)
HOSTILE = ["</script><script>alert(1)</script>", "[red]x", "עדה לוליס", "😀 & <b>", "=cmd()"]


def summary_of(made: Imagined) -> Summary:
    report = chapter_report(made.classroom.db_url, CHAPTER, "Imagined", made.names)
    results = read_results(made.classroom.root / "feedback", CHAPTER, [row.student for row in report.rows])
    return summarise(report, CHAPTER, results, [])


def printed(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=160)
    print_summary(summary, console)
    return console.file.getvalue()


def checked(summary: Summary) -> dict[str, Any]:
    plain = json.loads(json.dumps(as_json(summary)))
    jsonschema.validate(plain, SCHEMA)
    return plain


@pytest.fixture
def made(folder: Path) -> Imagined:
    return imagine(folder, [f"s{n:02}" for n in range(30)], [*TASKS[:3], ESSAY], missing=["zed"])


def test_the_json_has_the_form_that_is_documented_and_says_what_the_gradebook_says(made: Imagined) -> None:
    plain = checked(summary_of(made))
    assert plain["schema"] == 1
    assert plain["chapter"] == CHAPTER
    assert plain["missing"] == ["zed"]
    assert plain["waiting"] == 30
    assert [each["name"] for each in plain["exercises"]] == [*(task.title for task in TASKS[:3]), "7.9 Why"]
    assert plain["exercises"][3]["waiting"] == 30
    first = plain["students"][0]
    assert first["points"]["why"] is None
    assert first["total"] == sum(value for value in first["points"].values() if value is not None)
    assert plain["scores"]["mean"] == pytest.approx(sum(each["total"] for each in plain["students"]) / 30)
    failures = sum(len(result.failures) for result in summary_of(made).results.values())
    assert failures > 5
    assert sum(each["count"] for each in plain["misconceptions"]) == failures


def test_every_key_of_the_json_is_documented(made: Imagined) -> None:
    plain = as_json(summary_of(made))
    for change in ({"new": 1}, {"schema": 2}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**plain, **change}, SCHEMA)


@pytest.mark.parametrize("students", [[], ["ann"], HOSTILE])
def test_no_student_one_student_and_odd_names_make_a_summary(folder: Path, students: list[str]) -> None:
    if students:
        summary = summary_of(imagine(folder, [s for s in students if "/" not in s], TASKS[:2]))
    else:
        summary = summarise(ClassReport("x", (Column("a", "a", 1.0),), ()), CHAPTER, {}, [])
    plain = checked(summary)
    assert len(plain["students"]) == summary.scores.count
    text = printed(summary)
    assert ("No student has a grade" in text) == (not students)
    write_json(summary, folder / "deep" / "class.json")
    assert json.loads((folder / "deep" / "class.json").read_text(encoding="utf-8")) == plain


def test_without_a_sandbox_is_said_and_so_is_what_the_run_found_odd(made: Imagined) -> None:
    change_result(made, "s03", isolation="none")
    change_result(made, "s04", suspicious=["A cell ended the process.", "A module was shadowed."])
    change_result(made, "s07", suspicious=["A cell ended the process.", "A cell ended the process."])
    change_result(made, "s05", remark="started cold: the fork server had ended after 3 seconds", start="cold")
    change_result(made, "s06", remark="started cold: the fork server had ended after 4 seconds", start="cold")
    summary = summary_of(made)
    kinds = {(each.kind, each.students) for each in summary.suspicious}
    assert kinds == {("result", ("s04",)), ("result", ("s04", "s07")), ("sandbox", ("s03",))}
    assert [each.words for each in summary.suspicious if each.kind == "result"] == [
        "A module was shadowed.",
        "A cell ended the process.",
    ]
    assert [(each.count, each.words) for each in summary.remarks] == [
        (2, "started cold: the fork server had ended after … seconds")
    ]
    assert summary.engine["isolation none"] == 1
    text = printed(summary)
    assert "without a sandbox" in text
    assert "A module was shadowed." in text
    assert "the fork server had ended after … seconds" in text


def test_what_could_not_be_read_is_not_graded_and_no_misconception(made: Imagined) -> None:
    before = len(summary_of(made).misconceptions)
    words = "The notebook is not valid JSON."
    failure = {"name": "values", "met": False, "points": 0.0, "max_points": 1.0, "words": words}
    change_result(made, "s07", problem=words, exercises=[{"exercise": "task-1", "criteria": [failure]}], used={})
    (made.classroom.feedback("s08", CHAPTER) / "result.json").write_text("{", encoding="utf-8")
    (made.classroom.feedback("s09", CHAPTER) / "result.json").unlink()
    summary = summary_of(made)
    assert {each.student: each.words for each in summary.unplaced} == {
        "s07": words,
        "s08": "in the gradebook, but without a result of `course grade`",
        "s09": "in the gradebook, but without a result of `course grade`",
    }
    assert len(summary.misconceptions) <= before
    assert all(words not in each.words for each in summary.misconceptions)
    assert words in printed(summary)
    checked(summary)


def test_an_answer_that_fails_everything_for_one_reason_is_one_failure(made: Imagined) -> None:
    for student in made.students:
        change_result(made, student, exercises=[])
    both = [{"name": name, "met": False, "points": 0.0, "max_points": 1.0, "words": "not solved"} for name in "ab"]
    apart = [{**both[0], "words": "one"}, {**both[1], "words": "two"}]
    half = [{**both[0], "met": True, "points": 1.0, "words": ""}, both[1]]
    for student, criteria in {"s01": both, "s02": both, "s03": apart, "s04": half}.items():
        change_result(made, student, exercises=[{"exercise": "task-1", "criteria": criteria}])
    found = [(each.criterion, each.words, each.count) for each in summary_of(made).misconceptions]
    assert found == [("all", "not solved", 2), ("a", "one", 1), ("b", "not solved", 1), ("b", "two", 1)]


def test_repairs_of_one_kind_are_counted_together_whichever_exercise(made: Imagined) -> None:
    for student in made.students:
        change_result(made, student, repairs=[])
    lost = "The answer cell of {} is missing; it counts as not answered."
    change_result(made, "s01", repairs=[lost.format("task-1"), lost.format("task-2")])
    change_result(made, "s02", repairs=[lost.format("task-3")])
    change_result(made, "s03", repairs=["the notebook was named x, not imagined.ipynb"])
    found = [(each.count, each.words, each.students) for each in summary_of(made).repairs]
    assert found == [
        (2, lost.format("…"), ("s01", "s02")),
        (1, "the notebook was named x, not imagined.ipynb", ("s03",)),
    ]


def test_the_slowest_and_hungriest_are_in_order_and_who_did_not_run_is_not_among_them() -> None:
    results = {
        name: Finished(name, seconds=seconds, peak_mb=peak)
        for name, seconds, peak in [("a", 1.0, None), ("b", 9.0, 10.0), ("c", None, None), ("d", 9.0, 300.0)]
    }
    report = ClassReport("x", (), tuple(Row(name, {}) for name in results))
    summary = summarise(report, CHAPTER, results, [])
    assert [each.student for each in summary.extremes("seconds")] == ["b", "d", "a"]
    assert [each.student for each in summary.extremes("peak_mb")] == ["d", "b"]


def test_a_summary_of_the_course_reads_no_result(made: Imagined) -> None:
    report = ClassReport("Course", (Column(CHAPTER, "Imagined", 7.0),), (Row("s01", {CHAPTER: 3.0}),), ("zed",))
    summary = summarise(report, None, {}, [])
    assert checked(summary)["chapter"] is None
    assert summary.unplaced == ()
    assert "chapter" in printed(summary)


def test_points_of_a_bonus_chapter_count_for_the_student_and_in_no_maximum(made: Imagined) -> None:
    columns = (Column("01", "One", 20.0), Column("02", "Two (bonus)", 10.0, bonus=True))
    report = ClassReport("Course", columns, (Row("amy", {"01": 19.0, "02": 8.0}), Row("bob", {"01": 20.0})))
    assert (report.max_points, report.rows[0].total) == (20.0, 27.0)
    assert as_csv(report).splitlines()[1:] == ["amy,19,8,27,20", "bob,20,,20,20"]
    table = Console(file=io.StringIO(), width=160)
    table.print(as_table(report))
    assert "bonus 10" in " ".join(table.file.getvalue().split())
    assert "Two (bonus)" in printed(summarise(report, None, {}, []))
    # read from a gradebook, and where nothing but the bonus was handed in
    read = course_report(made.classroom.db_url, "Course", {CHAPTER: "Imagined (bonus)"}, {CHAPTER})
    assert read.max_points == 0 < read.mean_total
    assert checked(summarise(read, None, {}, []))["scores"]["max_points"] == 0


def test_a_terminal_shows_names_and_words_as_text(report_of: Any) -> None:
    report = report_of((2.0, 3.0), names=("[bold]a\x1b[2J",))
    result = Finished("[bold]a\x1b[2J", problem="see [link=file:///x]this[/link]\x07", seconds=1.0)
    summary = summarise(report, CHAPTER, {result.student: result}, [])
    text = printed(summary)
    assert "[bold]a?[2J" in text
    assert "[link=file:///x]this[/link]?" in text
    assert "\x1b[2J" not in text


def test_two_answers_alike_are_named_with_the_exercises(report_of: Any) -> None:
    summary = summarise(report_of((2.0, 3.0)), CHAPTER, {}, [])
    alike = Suspicion("alike", ("ann", "bob"), ("a",), "look yourself")
    text = printed(Summary(**{**vars(summary), "suspicious": (alike,)}))
    assert "ann, bob" in text
    assert "1.1" in text
    assert "cheat" not in text.lower()
