"""How a submission's process comes about: a fork of a warm server where that can be, else one from nothing."""

import atexit
import contextlib
from collections.abc import Callable
from typing import Any

from grader.errors import EnvironmentProblem
from grader.execution import cgroups, shelf
from grader.execution.box import OWN_PROCESSES, Box, NotStartedError
from grader.execution.cgroups import Group
from grader.execution.cold import ColdProcess
from grader.execution.plan import Plan
from grader.execution.pool import pool
from grader.execution.process import Process
from grader.execution.sandbox import find_bubblewrap
from grader.execution.warm import WarmProblem

TRIES = 2
"""Servers that may fail one submission before it starts cold."""
COLD_TRIES = 3
"""Processes that may be ended from outside before the student's code begins."""


def start(plan: Plan, sandbox: bool, cells: list[dict[str, Any]], warm: bool = True) -> tuple[Box, str]:
    """A process in which the student's code is about to run; and a remark where it is not as usual.

    Raises:
        EnvironmentProblem: when there is no working bubblewrap, or no process can be started at all.
    """
    remark = "" if warm else "forks were ended from outside"
    if sandbox:
        find_bubblewrap()
    for _ in range(TRIES if sandbox and warm else 0):
        try:
            return _begin(plan, lambda group: pool.fork(plan), cells), ""
        except WarmProblem as problem:
            remark = str(problem) or remark
        except EnvironmentProblem as error:
            remark = error.problem
    return _begin_cold(plan, sandbox, cells), f"started cold: {remark}" if remark else ""


def _begin_cold(plan: Plan, sandbox: bool, cells: list[dict[str, Any]]) -> Box:
    for tries_left in reversed(range(COLD_TRIES)):
        try:
            return _begin(plan, lambda group: ColdProcess(plan, sandbox, group), cells)
        except NotStartedError as error:
            if not error.killed or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _begin(plan: Plan, make: Callable[[Group], Process], cells: list[dict[str, Any]]) -> Box:
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(cgroups.group(plan.budget.memory_mb, plan.budget.processes + OWN_PROCESSES))
        box = stack.enter_context(Box(plan.budget, make(group), group))
        box.start(_settings(plan), cells)
        stack.pop_all()
    return box


def _settings(plan: Plan) -> dict[str, Any]:
    budget = plan.budget
    return {
        "seed": plan.seed,
        "cell_seconds": budget.cell_seconds,
        "check_seconds": budget.check_seconds,
        "output_bytes": budget.output_kb << 10,
        "packages": plan.library.packages,
    }


def close() -> None:
    """End what is kept ready for further submissions. The next one starts it again."""
    pool.close()
    shelf.clear()


atexit.register(close)
