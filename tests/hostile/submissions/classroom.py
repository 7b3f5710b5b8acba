"""The whole bank as one class: hand in, grade with the real engine, and look for traces."""

import ast
import contextlib
import hashlib
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from grader.demo.evidence import Listener, leaks, telling_lines
from grader.execution.plan import Outcome, Plan
from grader.grading.assignment import Assignment
from grader.grading.classroom import Classroom, open_classroom
from grader.grading.grading import Graded, grade_class
from grader.hidden import probe_source

from .entry import Entry, Lesson, as_bytes
from .lesson import CHAPTER, COURSE, light_assignment, points, small_assignment, solutions

NEIGHBOURS = ("aaron", "mia", "zoe")
CANARY = "COURSE_HOSTILE_CANARY"
OTHERS = (Path("/dev/shm"), Path("/var/tmp"), Path("/tmp"), Path.home(), COURSE.root)
"""Folders of this machine in which nothing may appear."""


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


@dataclass
class Bait:
    """What there is to steal, and how it would be recognised."""

    root: Path
    port: int
    mark: str = field(default_factory=lambda: "loot" + secrets.token_hex(8))

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def classroom(self) -> Path:
        return self.root / "class"

    def facts(self) -> str:
        """What an informed attacker is told: places, never what lies there."""
        drops = [str(path) for path in (self.root, self.classroom, self.home, *OTHERS)]
        return (
            f"CLASS, COURSE, HOME = {str(self.classroom)!r}, {str(COURSE.root)!r}, {str(self.home)!r}\n"
            f"PORT, MARK, DROPS = {self.port}, {self.mark!r}, {drops!r}\n"
        )

    def canary(self, name: str) -> str:
        """A text that only stands in one place."""
        return hashlib.sha256(f"{name} {self.mark}".encode()).hexdigest()[:24]


def hand_in(bait: Bait, entries: Sequence[Entry], assignment: Assignment, neighbours: Sequence[str]) -> Classroom:
    """Make the class folder with every entry, the neighbours and what there is to steal."""
    submitted = bait.classroom / "submitted"
    submitted.mkdir(parents=True)
    bait.home.mkdir(parents=True)
    (bait.home / ".netrc").write_text(f"password {bait.canary('home')}\n")
    lesson = Lesson(assignment.skeleton, solutions(), points(), bait.facts())
    every = {exercise.label.replace("-", "_"): solutions()[exercise.label] for exercise in assignment.exercises}
    for name in neighbours:
        notebook = lesson.notebook(**every)
        lesson.cell(notebook, "ngram")["source"] += f"\n# {bait.canary('neighbour')}\n"
        folder = submitted / name / CHAPTER.id
        folder.mkdir(parents=True)
        (folder / "lm-basics.ipynb").write_bytes(as_bytes(notebook))
    for entry in entries:
        folder = submitted / entry.folder / CHAPTER.id
        folder.mkdir(parents=True)
        entry.hand_in(folder, lesson)
    return open_classroom(bait.classroom)


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

    before, began = snapshot(classroom), time.monotonic()
    with (
        mock.patch("grader.grading.grading.load_assignment", lambda *_: assignment),
        mock.patch.dict(os.environ, {CANARY: bait.canary("environment")}),
    ):
        graded = grade_class(COURSE, CHAPTER, classroom, run, finished=tell)
    listener.close()
    afternoon = Afternoon(classroom, assignment, entries, visitors=listener.visitors, seconds=time.monotonic() - began)
    afternoon.traces = [*changes(before, snapshot(classroom)), *survivors(bait.mark), *planted(bait)]
    collect(afternoon, bait, {each.student: each for each in graded})
    return afternoon


def collect(afternoon: Afternoon, bait: Bait, graded: dict[str, Graded]) -> None:
    """Read gradebook, feedback and autograded notebooks."""
    scores = scores_of(afternoon.classroom.db_url)
    hidden = secrets_of(afternoon.classroom, bait)
    for student in (*NEIGHBOURS, *(entry.folder for entry in afternoon.entries)):
        found = Found(points=scores.get(student, {}))
        if student in graded:
            found.problem, found.recorded = graded[student].problem, graded[student].recorded
        with contextlib.suppress(OSError, ValueError):
            result = afternoon.classroom.feedback(student, CHAPTER.id) / "result.json"
            found.seconds = json.loads(result.read_text())["used"]["seconds"]
        own = own_text(bait.classroom / "submitted" / student / CHAPTER.id)
        folders = [bait.classroom / name / student for name in ("autograded", "feedback")]
        allowed = {"a neighbour's answer"} if student in NEIGHBOURS else set()
        theirs = {
            name: [part for part in parts if part not in own and part not in own.replace("\\n", "\n")]
            for name, parts in hidden.items()
            if name not in allowed
        }
        if student in NEIGHBOURS:
            theirs.pop("a reference answer")
        found.leaks = leaks(folders, theirs)
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


def scores_of(url: str) -> dict[str, dict[str, float]]:
    """Automatic points by student and exercise."""
    from nbgrader.api import Gradebook

    scores: dict[str, dict[str, float]] = {}
    with Gradebook(url) as gradebook:
        for submission in gradebook.assignment_submissions(CHAPTER.id):
            for notebook in submission.notebooks:
                for graded in notebook.grades:
                    label = graded.name.removesuffix("-checks")
                    scores.setdefault(submission.student_id, {})[label] = float(graded.score)
    return scores


def secrets_of(classroom: Classroom, bait: Bait) -> dict[str, list[str]]:
    """What no student may get back: name -> texts by which it is recognised."""
    assignment = light_assignment()
    public = "\n".join(cell.source for cell in assignment.skeleton.cells)
    hidden = CHAPTER.hidden.read_text(encoding="utf-8")
    # as the text that travels, too
    hidden += "\n" + "\n".join(probe_source(check) for check in assignment.hidden.values())
    hidden += "\n" + "\n".join(ast.unparse(ast.parse(CHAPTER.hidden.read_text(encoding="utf-8"))).splitlines())
    return {
        "hidden checks": telling_lines(hidden, public),
        "a reference answer": telling_lines("\n".join(solutions().values()), public),
        "the class secret": [classroom.secret()],
        "the grader's environment": [bait.canary("environment")],
        "a file of the home": [bait.canary("home")],
        "a neighbour's answer": [bait.canary("neighbour")],
        "the gradebook": ["SQLite format 3", "submitted_assignment"],
    }


def own_text(folder: Path) -> str:
    """Everything that the student wrote, as far as it can be read as text."""
    parts: list[str] = []
    for path in sorted(folder.glob("*")) if folder.is_dir() and not folder.is_symlink() else []:
        if stat.S_ISREG(path.lstat().st_mode) and path.lstat().st_size < 10 << 20:
            data = path.read_bytes()
            text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", "replace")
            parts.append(text)
            with contextlib.suppress(ValueError, RecursionError):
                parts += strings(json.loads(text.lstrip("\ufeff")))
    return "\n".join(parts)


def strings(value: Any) -> Iterator[str]:
    """Every text in a value as JSON gives it; lists of lines as one text, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            yield "".join(value)
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def snapshot(classroom: Classroom) -> dict[str, str]:
    """What lies in `submitted/`, never written to, and in the places where nothing of a student's belongs."""
    seen = {}
    for path in sorted(classroom.submitted.rglob("*")):
        status = path.lstat()
        seen[str(path)] = f"{status.st_mode} {status.st_size} {status.st_mtime_ns if not path.is_dir() else ''}"
    return seen


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What was changed in `submitted/`."""
    return [f"{path} was changed" for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]


def planted(bait: Bait) -> list[str]:
    """Files with the mark in their names, wherever the attackers were told to leave them."""
    places = [bait.root, bait.classroom, bait.home, *OTHERS]
    return [f"{path} was left behind" for place in places for path in sorted(place.glob(f"*{bait.mark}*"))]


def survivors(mark: str) -> list[str]:
    """Processes whose command line carries the mark."""
    alive = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                alive.append(f"a process goes on: {path.read_bytes()[:80]!r}")
    return alive
