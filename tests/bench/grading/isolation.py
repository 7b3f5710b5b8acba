"""What the sandbox costs a submission: the same plan started in each way, in turns."""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from grader.execution import starting
from grader.execution.plan import Outcome, Plan
from grader.execution.run import close, execute
from grader.grading.assignment import load_assignment
from grader.grading.loose import read_loosely
from grader.grading.planning import make_plan
from grader.grading.skeleton import rebuild

from .classes import Subject, right_submissions
from .meter import Group


def one_plan(subject: Subject) -> Plan:
    """A right submission, ready to run."""
    assignment = load_assignment(subject.course, subject.chapter)
    _, data = next(right_submissions(subject, 1))
    prepared = rebuild(assignment.skeleton, read_loosely(data)[0])
    return make_plan(assignment, prepared, "a secret of the measurement", "student", "attempt")[0]


def always_cold(plan: Plan, sandbox: bool) -> Outcome:
    """Execute with a process of its own, as where no warm start is possible."""
    real = starting.start

    def cold(plan: Plan, sandbox: bool, cells: Any, warm: bool = True) -> Any:
        return real(plan, sandbox, cells, warm=False)

    starting.start = cold
    try:
        return execute(plan, sandbox)
    finally:
        starting.start = real


WAYS: dict[str, Callable[[Plan], Outcome]] = {
    "warm, in the sandbox": execute,
    "cold, in the sandbox": lambda plan: always_cold(plan, True),
    "cold, no sandbox": lambda plan: always_cold(plan, False),
}


def isolation_costs(subject: Subject, rounds: int) -> dict[str, Any]:
    """Median wall and CPU seconds of one submission by the way it is started; run in a process of its own."""
    plan = one_plan(subject)
    group = Group("isolation")
    group.enter()
    rng = random.Random(0)
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for number in range(rounds + 1):
        for way in rng.sample(list(WAYS), len(WAYS)):
            before, began = group.seconds(), time.monotonic()
            outcome = WAYS[way](plan)
            cost = time.monotonic() - began, group.seconds() - before
            if way.split(",")[0] != outcome.start:
                raise RuntimeError(f"{way}: started {outcome.start}: {outcome.remark}")
            if number:
                spent[way].append(cost)
    close()
    group.close()
    return {
        "subject": subject.name,
        "rounds": rounds,
        "counted by": group.counted_by,
        "ways": {
            way: {
                "wall": statistics.median(wall for wall, _ in costs),
                "fastest": min(wall for wall, _ in costs),
                "cpu": statistics.median(cpu for _, cpu in costs),
            }
            for way, costs in spent.items()
        },
    }
