"""The syllabus for instructors and the front page say what course.toml and the chapters say."""

import re
from pathlib import Path

import pytest

from grader.course import Chapter, Course, load_course

ROOT = Path(__file__).resolve().parents[2]
SYLLABUS = ROOT / "book" / "teaching" / "syllabus.md"


@pytest.fixture(scope="module")
def course() -> Course:
    return load_course(ROOT)


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """The cells of every table row of the syllabus."""
    lines = SYLLABUS.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def exercises_of(chapter: Chapter) -> int:
    return len(re.findall(r"^:number: \d+\.\d+$", chapter.page.read_text(encoding="utf-8"), re.MULTILINE))


def test_each_chapter_stands_there_with_its_exercises_points_and_hours(course: Course, rows: list[list[str]]) -> None:
    said = {row[0].partition(" ")[0]: row[2:] for row in rows if re.match(r"\d+ \D", row[0])}
    there = {
        str(int(chapter.id[:2])): [str(exercises_of(chapter)), f"{chapter.points:g}", f"{chapter.hours:g}"]
        for chapter in course.chapters
    }
    assert said == there, "make the table of chapters in book/teaching/syllabus.md say this"
    (total,) = (row[2:] for row in rows if row[0] == "all")
    assert total == [f"{sum(float(row[place]) for row in there.values()):g}" for place in range(3)]


def test_the_ten_weeks_hold_every_chapter_once_and_their_hours_add_up(course: Course, rows: list[list[str]]) -> None:
    weeks = [row for row in rows if len(row) == 5 and row[0].isdigit()]
    hours = {int(chapter.id[:2]): chapter.hours for chapter in course.chapters}
    assert [week[0] for week in weeks] == [str(number) for number in range(1, 11)]
    planned = [[int(number) for number in week[1].split(",")] for week in weeks]
    in_weeks = sorted(number for numbers in planned for number in numbers)
    assert in_weeks == sorted(hours), "name each chapter once in the ten weeks of book/teaching/syllabus.md"
    for week, numbers in zip(weeks, planned, strict=True):
        assert float(week[2]) == sum(hours[number] for number in numbers), week


def test_the_front_page_names_every_chapter_and_the_hours(course: Course) -> None:
    text = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    numbers = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert numbers == {int(chapter.id[:2]) for chapter in course.chapters}, "correct the table in book/index.md"
    hours = f"{sum(chapter.hours for chapter in course.chapters):g} hours"
    assert hours in text, f"write {hours} in book/index.md"
