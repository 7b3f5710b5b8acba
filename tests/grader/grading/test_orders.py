"""The same submissions again, in another order, on one worker or several: the same verdicts."""

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from grader.execution.plan import Outcome, Plan
from grader.execution.workers import execute_all

from .conftest import HALF_SHARES, RIGHT, Workshop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]

DRAWS = "import random\n\ndef add_up(numbers):\n    return sum(numbers) + (random.random() < 0.5)\n"
REMEMBERS = (
    "import builtins, os, pathlib\n"
    "seen = getattr(builtins, 'seen', 0) + len(list(pathlib.Path('.').glob('seen*')))\n"
    "builtins.seen = 1\npathlib.Path(f'seen{seen}').write_text('')\nos.environ['SEEN'] = 'yes'\n\n"
    "def add_up(numbers):\n    return float(sum(numbers)) if not seen else 'somebody was here before'\n"
)
DIES = "import os\nos._exit(0)\n"


def submit_a_class(workshop: Workshop) -> None:
    lost = workshop.right()
    for cell in lost.cells:
        cell.metadata.clear()
    for name, content in {
        "right": workshop.right(),
        "half": workshop.notebook(add_up=RIGHT["add-up"], shares=HALF_SHARES),
        "untouched": workshop.notebook(),
        "lost-labels": lost,
        "no-notebook": "My homework is attached.",
        "dies": workshop.notebook(add_up=DIES, shares=RIGHT["shares"]),
        **{f"draws-{number}": workshop.notebook(add_up=f"{DRAWS}# {number}\n") for number in range(3)},
        **{f"remembers-{number}": workshop.notebook(add_up=f"{REMEMBERS}# {number}\n") for number in range(3)},
    }.items():
        workshop.submit(name, content)


def verdicts(workshop: Workshop, executor: Callable[..., Any]) -> dict[str, Any]:
    """Points and every word of each student, the gradebook's points beside them."""
    points = workshop.points(executor, force=True, sandboxed=True)
    found = {}
    for student in points:
        result = workshop.result(student)
        for exercise in result["exercises"]:
            exercise.pop("spent", None)
        found[student] = points[student], json.dumps([result["exercises"], result["repairs"]], sort_keys=True)
    return found


def in_order(workers: int) -> Callable[..., Any]:
    return lambda plans: execute_all(plans, workers=workers)


def backwards(workers: int) -> Callable[..., Any]:
    def run(plans: Iterator[Plan]) -> Iterator[tuple[int, Outcome]]:
        listed = list(plans)
        for number, outcome in execute_all(reversed(listed), workers=workers):
            yield len(listed) - 1 - number, outcome

    return run


def test_orders_workers_and_repetitions_change_no_verdict(workshop: Workshop) -> None:
    submit_a_class(workshop)
    first = verdicts(workshop, in_order(0))
    assert {student: points for student, (points, _) in first.items() if "draws" not in student} == {
        "right": 3,
        "half": 2,
        "untouched": 0,
        "lost-labels": 3,
        "no-notebook": 0,
        "dies": 2,
        **{f"remembers-{number}": 1 for number in range(3)},
    }
    for executor in (in_order(0), backwards(0), in_order(1), backwards(2)):
        assert verdicts(workshop, executor) == first
