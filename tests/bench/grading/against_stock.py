"""Stock `nbgrader autograde` and `course grade` on the same notebooks, in turns, per CPU-second."""

import os
import random
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .classes import Subject, configure_stock, lay_out, right_submissions
from .meter import Cost, Memory, cost_of

GOALS = {"torch": 5.0, "chapter 1": 5.0, "sentence-transformers": 10.0}
BIN = Path(sys.executable).parent


@dataclass
class Comparison:
    """What was measured of one notebook.

    Attributes:
        subject: the notebook's name.
        words: what it is.
        sizes: submissions of the small and of the large batch.
        costs: by side ("stock", "course") and size, one item a round.
    """

    subject: str
    words: str
    sizes: tuple[int, int]
    costs: dict[str, dict[int, list[Cost]]] = field(default_factory=dict)

    def batch(self, side: str, what: str = "cpu") -> float:
        """The median cost of the large batch, start-up included."""
        return statistics.median(getattr(cost, what) for cost in self.costs[side][self.sizes[1]])

    def further(self, side: str, what: str = "cpu") -> float:
        """What each further notebook costs: the slope between the two sizes."""
        small, large = self.sizes
        less = statistics.median(getattr(cost, what) for cost in self.costs[side][small])
        return (self.batch(side, what) - less) / (large - small)

    def summary(self) -> dict[str, Any]:
        """The figures of the table, and every measurement behind them."""
        return {
            "subject": self.subject,
            "words": self.words,
            "sizes": self.sizes,
            "goal": GOALS.get(self.subject),
            "stock": {f"{kind} {what}": getattr(self, kind)("stock", what) for kind in KINDS for what in COUNTED},
            "course": {f"{kind} {what}": getattr(self, kind)("course", what) for kind in KINDS for what in COUNTED},
            "ratio of the batch": self.batch("stock") / self.batch("course"),
            "ratio of each further": self.further("stock") / self.further("course"),
            "ratio of the batch, wall": self.batch("stock", "wall") / self.batch("course", "wall"),
            "measured": {
                side: {size: [asdict(cost) | {"said": ""} for cost in costs] for size, costs in by_size.items()}
                for side, by_size in self.costs.items()
            },
        }


KINDS = ("batch", "further")
COUNTED = ("cpu", "wall")


def environment() -> dict[str, str]:
    """The same for both sides: one thread."""
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "MKL_NUM_THREADS": "1"}
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    return {**os.environ, **threads, "PATH": path, "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}


def grade_with_stock(folder: Path, subject: Subject) -> Cost:
    """nbgrader alone: its kernels, its Execute. What it needs before the first submission is not counted."""
    configure_stock(folder, subject)
    cost_of([BIN / "nbgrader", "generate_assignment", subject.chapter.id, "--force"], folder, environment())
    return cost_of([BIN / "nbgrader", "autograde", subject.chapter.id], folder, environment())


def grade_with_course(folder: Path, subject: Subject, memory: Memory | None = None) -> Cost:
    """`course grade`, from nothing: workers, fork servers, sandboxes and the gradebook included."""
    command = [BIN / "course", "grade", subject.chapter.id, "--class", folder]
    return cost_of(command, folder, environment() | {"COURSE_ROOT": str(subject.course.root)}, memory)


SIDES: dict[str, Callable[[Path, Subject], Cost]] = {"stock": grade_with_stock, "course": grade_with_course}


def points_of(folder: Path, subject: Subject) -> list[float]:
    """The scores in the gradebook."""
    from grader.grading.ledger import points_held

    held = points_held(f"sqlite:///{folder / 'gradebook.db'}", subject.chapter.id)
    return sorted(float(each.points) for each in held.values())


def compare(comparison: Comparison, subject: Subject, number: int, folder: Path, tell: Callable[[str], None]) -> None:
    """Grade both batches by both sides once more, in another order each round.

    Raises:
        RuntimeError: when a side fails or gives other points than full marks.
    """
    jobs = [(side, size) for side in SIDES for size in comparison.sizes]
    random.Random(f"{subject.name} {number}").shuffle(jobs)
    for side, size in jobs:
        room = lay_out(folder / f"{side}-{size}-{number}", subject, right_submissions(subject, size))
        cost = SIDES[side](room, subject)
        points = points_of(room, subject)
        if points != [float(subject.chapter.points)] * size:
            raise RuntimeError(f"{side} gave {points} points for {size} right submissions: {cost.said}")
        comparison.costs.setdefault(side, {}).setdefault(size, []).append(cost)
        tell(f"{subject.name}, {side}, {size} submissions: {cost.cpu:.1f} CPU-s, {cost.wall:.1f} s")
        shutil.rmtree(room)


def as_markdown(summaries: Sequence[dict[str, Any]]) -> str:
    """The table for the book."""
    lines = [
        "| notebook | `nbgrader autograde` | `course grade` | ratio | each further | ratio | goal |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for each in summaries:
        stock, course = each["stock"], each["course"]
        size = each["sizes"][1]
        goal = f"{each['goal']:g}" if each["goal"] else "none"
        further = f"{stock['further cpu']:.2f} / {course['further cpu']:.2f}"
        lines.append(
            f"| {each['words']}, {size} times | {stock['batch cpu']:.1f} | {course['batch cpu']:.1f} "
            f"| {each['ratio of the batch']:.1f} | {further} | {each['ratio of each further']:.1f} | {goal} |"
        )
    return "\n".join(lines) + "\n"
