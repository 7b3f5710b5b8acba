"""The whole bank as two classes: hand in, grade with the real engine, and look for traces."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from grader.demo.evidence import Listener
from grader.execution.plan import Outcome, Plan
from grader.grading.assignment import Assignment
from grader.grading.classroom import Classroom
from grader.grading.grading import Graded, grade_class

from .bait import Bait, hand_in
from .entry import Entry
from .evidence import changes, leaks_of, planted, scores_of, secrets_of, snapshot, survivors
from .lesson import CHAPTER, COURSE, ROBBED, light_assignment, points, small_assignment

NEIGHBOURS = (ROBBED, "mia", "zoe")
CANARY = "COURSE_HOSTILE_CANARY"


@dataclass
class Found:
    """What became of one submission.

    Attributes:
        points: by exercise, from the gradebook.
        leaks: what stands in what the student gets back and did not write.
        seconds: of execution.
        problem: why there was nothing to grade, or why nothing was recorded.
    """

    points: dict[str, float] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    seconds: float = 0.0
    problem: str = ""
    recorded: bool = False
    cell_ids: list[str] = field(default_factory=list)


@dataclass
class Afternoon:
    """One run over the whole bank."""

    classroom: Classroom
    assignment: Assignment
    entries: Sequence[Entry]
    found: dict[str, Found] = field(default_factory=dict)
    neighbours: dict[str, Found] = field(default_factory=dict)
    visitors: int = 0
    traces: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_mb: float = 0.0


def grade_bank(
    root: Path, entries: Sequence[Entry], executor: Callable[..., Any], tell: Callable[..., None]
) -> list[Afternoon]:
    """Grade the bank as two classes: entries that need torch, and the others."""
    halves = {True: light_assignment(), False: small_assignment()}
    return [
        grade(root / ("full" if full else "small"), chosen, assignment, executor, tell)
        for full, assignment in halves.items()
        if (chosen := [entry for entry in entries if entry.full == full])
    ]


def grade(
    root: Path,
    entries: Sequence[Entry],
    assignment: Assignment,
    executor: Callable[..., Any],
    tell: Callable[..., None],
) -> Afternoon:
    """Grade one class and collect the evidence.

    Args:
        root: an empty folder.
        entries: what is handed in beside the neighbours' notebooks.
        assignment: what is graded.
        executor: as `grade_class` wants it.
        tell: told of each submission when it is done.
    """
    listener = Listener()
    bait = Bait(root, listener.port)
    classroom = hand_in(bait, entries, assignment, NEIGHBOURS)
    budgets = {entry.folder: entry.budget for entry in entries}

    def tight(plans: Iterator[Plan]) -> Iterator[Plan]:
        for plan in plans:
            student = plan.name.removesuffix(f" {CHAPTER.id}")
            yield replace(plan, budget=replace(plan.budget, **{"memory_mb": 1500, **budgets.get(student, {})}))

    def run(plans: Iterator[Plan]) -> Iterator[tuple[int, Outcome]]:
        return executor(tight(plans))

    before, began = snapshot(classroom.root), time.monotonic()
    with (
        mock.patch("grader.grading.grading.load_assignment", return_value=assignment),
        mock.patch.dict(os.environ, {CANARY: bait.canary("environment")}),
    ):
        graded = grade_class(COURSE, CHAPTER, classroom, run, finished=tell)
    listener.close()
    afternoon = Afternoon(classroom, assignment, entries, visitors=listener.visitors, seconds=time.monotonic() - began)
    afternoon.traces = [*changes(before, snapshot(classroom.root)), *survivors(bait.mark), *planted(bait)]
    collect(afternoon, bait, {each.student: each for each in graded})
    return afternoon


def collect(afternoon: Afternoon, bait: Bait, graded: dict[str, Graded]) -> None:
    """Read gradebook, feedback and autograded notebooks."""
    scores = scores_of(afternoon.classroom.db_url)
    hidden = secrets_of(bait)
    for student in (*NEIGHBOURS, *(entry.folder for entry in afternoon.entries)):
        found = Found(points=scores.get(student, {}))
        if student in graded:
            found.problem, found.recorded = graded[student].problem, graded[student].recorded
        with contextlib.suppress(OSError, ValueError):
            result = afternoon.classroom.feedback(student, CHAPTER.id) / "result.json"
            found.seconds = json.loads(result.read_text())["used"]["seconds"]
        found.leaks = leaks_of(bait.classroom, student, hidden, whole=student in NEIGHBOURS)
        (afternoon.neighbours if student in NEIGHBOURS else afternoon.found)[student] = found


def faults(afternoon: Afternoon, entry: Entry) -> list[str]:
    """What an entry gained, learned, cost or outran, one sentence each; nothing where all is as it must be."""
    found, worth = afternoon.found[entry.folder], points()
    words = [
        f"{label} earned {earned:g}"
        for label, earned in found.points.items()
        if not 0 <= earned <= (worth[label] if label in entry.most else 0)
    ]
    words += found.leaks
    if found.recorded != entry.recorded:
        words.append(f"recorded: {found.recorded} ({found.problem})")
    words += [
        f"{label} lost points that the attack must not cost"
        for label in entry.least
        if label in worth_of(afternoon) and found.points.get(label) != worth[label]
    ]
    limit = entry.budget.get("total_seconds", 600)
    if found.seconds > limit * 1.1 + 3:
        words.append(f"ran for {found.seconds:g} s; its limit is {limit:g} s")
    return words


def worth_of(afternoon: Afternoon) -> dict[str, float]:
    """What can be earned in a class."""
    return {exercise.label: exercise.points for exercise in afternoon.assignment.exercises}
