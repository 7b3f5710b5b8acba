"""The coverage page: every place it names exists, and every exercise of the course stands on it."""

import re
from pathlib import Path

import pytest

from grader.course import load_course

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    """The page as it is written."""
    return (ROOT / "book" / "making" / "coverage.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chapters() -> str:
    """All chapters one after the other."""
    return "\n".join(chapter.page.read_text(encoding="utf-8") for chapter in load_course(ROOT).chapters)


def rows(page: str) -> list[list[str]]:
    """What, exercises, sections."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")
    ]


def test_every_section_that_is_named_exists(page: str, chapters: str) -> None:
    there = set(re.findall(r"^\(([a-z0-9-]+)\)=$", chapters, re.MULTILINE))
    named = re.findall(r"\]\(#([a-z0-9-]+)\)", page)
    assert len(named) > 50
    assert [label for label in named if label not in there] == []


def test_every_exercise_that_is_named_exists_and_every_other_way_round(page: str, chapters: str) -> None:
    there = set(re.findall(r"^:number: (\d+\.\d+)$", chapters, re.MULTILINE))
    named = {number for row in rows(page)[1:] for number in re.findall(r"\d+\.\d+", row[1])}
    assert named - there == set(), "the page names exercises that no chapter has"
    assert there - named == set(), "add these exercises to book/making/coverage.md"


def test_an_exercise_stands_beside_a_section_of_its_own_chapter(page: str) -> None:
    numbers = {}
    for chapter in load_course(ROOT).chapters:
        text = chapter.page.read_text(encoding="utf-8")
        for label in re.findall(r"^\(([a-z0-9-]+)\)=$", text, re.MULTILINE):
            numbers[label] = str(int(chapter.id[:2]))
    for what, exercises, sections in rows(page)[1:]:
        homes = {numbers[label] for label in re.findall(r"#([a-z0-9-]+)", sections)}
        asked = {number.split(".")[0] for number in re.findall(r"\d+\.\d+", exercises)}
        assert asked <= homes, f"{what}: exercises of chapter {asked - homes}, sections of {homes}"
