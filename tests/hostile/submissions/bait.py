"""A class folder with everything that there is to steal, and what an informed attacker is told of it."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.grading.assignment import Assignment
from grader.grading.classroom import Classroom, open_classroom

from .entry import Entry, Lesson, as_bytes
from .lesson import CHAPTER, COURSE, points, solutions

OTHERS = (Path("/dev/shm"), Path("/var/tmp"), Path("/tmp"), Path.home(), COURSE.root)
"""Folders of this machine in which nothing may appear."""


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
            f"PORT, MARK, DROPS = {self.port}, {self.mark!r}, {drops!r}\nNOTE = {self.canary('note')!r}\n"
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
