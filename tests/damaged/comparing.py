"""Whether a damaged submission is worth what it was worth before: by its plan where that is equal, else by running."""

import ast
import functools
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grader.errors import SubmissionError
from grader.execution.plan import Outcome, Plan
from grader.grading import planning
from grader.grading.assignment import Assignment
from grader.grading.choosing import worked_on
from grader.grading.collecting import find_submissions, take_in
from grader.grading.judging import judge_outcome
from grader.grading.loose import read_loosely
from grader.grading.planning import Judgement, make_plan
from grader.grading.skeleton import Prepared, rebuild
from grader.hidden import Case, HiddenCheck, draw_cases

from .light import ONE_PARSER
from .making import Damaged, as_file
from .undamaged import Material, Undamaged

Points = dict[str, float]


@dataclass
class Verdict:
    """What became of a damaged submission.

    Attributes:
        damaged: it.
        same_plan: whether the grader runs exactly what it would have run.
        repairs: what the grader says it mended.
        problem: why nothing could be read, if so.
        before: the points of the undamaged one by exercise; filled where both were run.
        after: the points that it got.
    """

    damaged: Damaged
    same_plan: bool = False
    repairs: list[str] = field(default_factory=list)
    problem: str = ""
    before: Points = field(default_factory=dict)
    after: Points = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the score is that of the undamaged submission."""
        return not self.problem and (self.same_plan or self.before == self.after)

    @property
    def words(self) -> str:
        lost = [f"{label}: {self.before[label]:g} → {self.after[label]:g}" for label in self.before]
        changed = [
            words for words, label in zip(lost, self.before, strict=True) if self.before[label] != self.after[label]
        ]
        return f"{self.damaged.story}: {self.problem or ', '.join(changed) or 'the same points'}"


def comparison(material: Material, run: Callable[[Plan], Outcome]) -> Callable[..., Verdict]:
    """A function that compares one damaged submission with its undamaged one, and runs both where it must.

    Its second argument is whether it may run anything. The undamaged ones are run once each. It may be called from
    several threads at one time: what they wait for runs in other processes.
    """
    assignment = material.assignment
    plans: dict[str, tuple[Plan, Judgement]] = {}
    points: dict[str, Points] = {}
    running: dict[str, threading.Lock] = {}

    def undamaged(one: Undamaged) -> tuple[Plan, Judgement]:
        if one.name not in plans:
            plans[one.name] = planned(assignment, prepared(assignment, as_file(one.notebook)))
        return plans[one.name]

    def points_of(one: Undamaged) -> Points:
        with running.setdefault(one.name, threading.Lock()):
            if one.name not in points:
                points[one.name] = earned(assignment, plans[one.name], run)
            return points[one.name]

    def compare(damaged: Damaged, may_run: bool = True) -> Verdict:
        verdict = Verdict(damaged)
        with ONE_PARSER:
            try:
                data, remarks = taken_in(material, damaged)
                ready = prepared(assignment, data)
            except SubmissionError as error:
                verdict.problem = error.problem
                return verdict
            verdict.repairs = [*remarks, *ready.repairs]
            before, after = undamaged(damaged.undamaged), planned(assignment, ready)
            verdict.same_plan = what_runs(*before) == what_runs(*after)
        if may_run and not verdict.same_plan:
            verdict.before = points_of(damaged.undamaged)
            verdict.after = earned(assignment, after, run)
        return verdict

    return compare


def taken_in(material: Material, damaged: Damaged) -> tuple[bytes, tuple[str, ...]]:
    """The bytes that the grader reads of a student's folder, and what it remarks."""
    with tempfile.TemporaryDirectory() as folder:
        damaged.write(Path(folder) / "student" / material.chapter.id)
        neighbour = (
            Path(folder) / "a neighbour" / material.chapter.id / material.chapter.page.with_suffix(".ipynb").name
        )
        neighbour.parent.mkdir(parents=True)
        neighbour.write_text("{}")
        was_touched = worked_on(material.assignment.skeleton)
        _, place = find_submissions(Path(folder), material.chapter.id, material.assignment.stem, (), was_touched)
        submission = take_in(place)
    if submission.problem:
        raise SubmissionError(submission.problem)
    return submission.data, submission.remarks


def prepared(assignment: Assignment, data: bytes) -> Prepared:
    cells, remarks = read_loosely(data)
    ready = rebuild(assignment.skeleton, cells)
    ready.repairs[:0] = remarks
    return ready


@functools.cache
def drawn(check: HiddenCheck, seed: int) -> list[Case]:
    """The cases of a check: each submission here is asked the same, so they are drawn once."""
    return draw_cases(check, seed)


def planned(assignment: Assignment, ready: Prepared) -> tuple[Plan, Judgement]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "draw_cases", drawn)
        return make_plan(assignment, ready, "a secret of the tests", "student", "attempt")


def what_runs(plan: Plan, kept: Judgement) -> list[object]:
    """All of a plan that can decide points: what the compiler sees of each cell, and what is refused."""
    cells = [(cell.exercise, cell.captures, _meaning(cell.source)) for cell in plan.cells]
    return [[cell for cell in cells if cell[1] or cell[2]], kept.refused]


@functools.lru_cache(maxsize=4096)
def _meaning(source: str) -> str:
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return source


def earned(assignment: Assignment, planned: tuple[Plan, Judgement], run: Callable[[Plan], Outcome]) -> Points:
    plan, kept = planned
    return {label: result.points for label, result in judge_outcome(assignment, kept, run(plan)).items()}
