"""Each real chapter, proved once and graded in the real sandbox. Reads the course, writes nothing into it."""

import functools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grader.authoring.notebooks import student_notebook
from grader.course import Chapter, Course, load_course
from grader.demo.students import Answers, Student, as_bytes, fill_in, make_students, sort_answers
from grader.execution.plan import Outcome, Plan
from grader.execution.run import execute
from grader.grading.assignment import Assignment, load_assignment
from grader.grading.judging import judge_outcome
from grader.grading.loose import read_loosely
from grader.grading.planning import EXPERIMENT_TAG, Judgement, make_plan
from grader.grading.skeleton import rebuild
from grader.hidden import Result
from grader.proving.chapter import SEEDS, judge_chapter
from grader.proving.material import CodeCell, read_material
from grader.proving.proof import ChapterProof
from grader.proving.running import Tried, run_chapter
from tests.damaged.light import ONE_PARSER, light

COURSE = load_course(Path(__file__).resolve().parents[2])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that asks for `room` runs once for each chapter of course.toml."""
    if "room" in metafunc.fixturenames:
        metafunc.parametrize("room", [chapter.id for chapter in COURSE.chapters], indirect=True)


@dataclass
class Room:
    """One chapter and everything that was found about it."""

    course: Course
    chapter: Chapter

    @functools.cached_property
    def cells(self) -> list[CodeCell]:
        return read_material(self.course, self.chapter)

    @functools.cached_property
    def found(self) -> tuple[dict[str, dict[str, float]], list[Tried]]:
        """Every candidate but the mutants (`make mutants` tries those), with two seeds."""
        return run_chapter(self.course, self.chapter, self.cells, False, SEEDS[:2], 2, lambda done, count: None)

    @functools.cached_property
    def proof(self) -> ChapterProof:
        return judge_chapter(self.chapter, self.cells, *self.found, with_mutants=False)

    @functools.cached_property
    def answers(self) -> Answers:
        return sort_answers([item.candidate for item in self.found[1]])

    @functools.cached_property
    def skeleton(self) -> Any:
        return student_notebook(self.course, self.chapter)

    @functools.cached_property
    def assignment(self) -> Assignment:
        return load_assignment(self.course, self.chapter)

    def students(self, thief: str = "") -> dict[str, Student]:
        return {student.name: student for student in make_students(self.skeleton, self.answers, thief)}

    def plan(self, data: bytes, experiments: bool = False) -> tuple[Plan, Judgement]:
        """A submission's plan; grading passes over the author's experiments, students and the book do not."""
        with ONE_PARSER:
            return self._plan(data, experiments)

    def _plan(self, data: bytes, experiments: bool) -> tuple[Plan, Judgement]:
        cells, _ = read_loosely(data)
        prepared = rebuild(self.assignment.skeleton, cells)
        if experiments:
            for cell in prepared.notebook.cells:
                cell.metadata["tags"] = [tag for tag in cell.metadata.get("tags", []) if tag != EXPERIMENT_TAG]
        return make_plan(self.assignment, prepared, "a secret of the tests", "student", "attempt")

    def grade(self, plan: Plan, kept: Judgement) -> tuple[dict[str, Result], Outcome]:
        outcome = execute(plan)
        return judge_outcome(self.assignment, kept, outcome), outcome

    @functools.cached_property
    def solved(self) -> tuple[Plan, dict[str, Result], Outcome]:
        """The right answers as grading runs them, warm and without the author's experiments."""
        plan, kept = self.plan(self.students()["ada-all-right"].data)
        return plan, *self.grade(plan, kept)

    def light(self, plan: Plan) -> Plan:
        """The same plan without what the exercises do not need: no experiments, no figures, little time."""
        return light(plan, self.assignment)

    def half_wrong(self) -> bytes:
        """Right answers and mistakes in turns, so that there are points to lose and points to gain."""
        codes = {}
        for number, (label, item) in enumerate(self.answers.reference.items()):
            mistakes = self.answers.mistakes.get(label, [])
            codes[label] = mistakes[0].code if number % 2 and mistakes else item.code
        return as_bytes(fill_in(self.skeleton, codes))

    @staticmethod
    def with_cell(data: bytes, label: str, source: str) -> bytes:
        """A submission with one more cell of the student's own, behind an answer cell."""
        notebook = json.loads(data)
        cells = []
        for cell in notebook["cells"]:
            cells.append(cell)
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == label:
                own = {
                    "cell_type": "code",
                    "id": "own",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                }
                cells.append({**own, "source": source})
        return json.dumps({**notebook, "cells": cells}).encode()

    @staticmethod
    def with_answer(data: bytes, label: str, change: Callable[[str], str]) -> bytes:
        """A submission with one answer cell changed."""
        notebook = json.loads(data)
        for cell in notebook["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == label:
                cell["source"] = change("".join(cell["source"]))
        return json.dumps(notebook).encode()


@functools.cache
def _room(chapter_id: str) -> Room:
    return Room(COURSE, COURSE.chapter(chapter_id))


@pytest.fixture
def room(request: pytest.FixtureRequest) -> Room:
    return _room(request.param)


@pytest.fixture(scope="session")
def side_by_side() -> Callable[..., list[Any]]:
    """Two at a time: what is waited for lies in other processes."""

    def run(work: Callable[..., Any], items: list[Any]) -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(work, items))

    return run
