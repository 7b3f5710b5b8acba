"""Execute one plan: the cells, then the probes, in a sandbox, started again after whatever ended it.

A cell or a probe that hangs, crashes or ends the process costs itself and nothing else: the process is
started again without that cell, or goes on with the next exercise. Nothing that a student's code does raises
here.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from grader import wire
from grader.errors import EnvironmentProblem
from grader.execution import starting
from grader.execution.box import Box, StoppedError
from grader.execution.outputs import MalformedError, cleaned, text
from grader.execution.plan import Outcome, Plan, PlanCell, ProbeCall
from grader.hidden import Raised

MAX_STARTS = 12
"""Of one submission: enough for every exercise of a chapter to crash once."""
MAX_ANSWERS = 64 << 20
"""About the bytes of memory that the answers of one exercise may take here and in the grader."""
MAX_LOST = 3
"""Starts more for a submission whose process was ended from outside, which is not its doing."""

close = starting.close


@dataclass
class _Progress:
    """What has come back so far, over all starts."""

    plan: Plan
    deadline: float
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    answers: dict[str, list[Any | Raised]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    tried_again: set[str] = field(default_factory=set)
    lost: int = 0
    probed: int = 0
    output_bytes: int = 0


def execute(plan: Plan, sandbox: bool = True) -> Outcome:
    """Run a plan and bring back what it showed and answered.

    Raises:
        EnvironmentProblem: when there is no working bubblewrap, or no process can be started at all.
    """
    began = time.monotonic()
    progress = _Progress(plan, began + plan.budget.total_seconds)
    cpu_seconds = peak_mb = 0.0
    starts, remarks = list[str](), list[str]()
    while len(starts) < MAX_STARTS + progress.lost + len(progress.tried_again):
        before = time.monotonic()
        box, remark = starting.start(plan, sandbox, _cells(progress), warm=progress.lost < MAX_LOST)
        with box:
            # no student's code has run in this time
            progress.deadline += time.monotonic() - before
            starts.append(box.process.start)
            remarks += [remark] if remark and remark not in remarks else []
            done = _run_once(progress, box)
        cpu_seconds += box.cpu_seconds
        peak_mb = max(peak_mb, box.peak_mb)
        if done:
            break
    return Outcome(
        outputs=progress.outputs,
        answers=progress.answers,
        notes=progress.notes,
        seconds=time.monotonic() - began,
        cpu_seconds=cpu_seconds,
        peak_mb=peak_mb,
        spent=progress.spent,
        isolation="bubblewrap" if sandbox else "none",
        start="cold" if "cold" in starts else "warm",
        remark="; ".join(remarks),
    )


def _run_once(progress: _Progress, box: Box) -> bool:
    """Go as far as the process lives. True when there is nothing left to do."""
    plan, began = progress.plan, time.monotonic()
    for number, cell in enumerate(plan.cells):
        if number in progress.skipped:
            continue
        try:
            with _timed(progress, cell.exercise):
                _receive_cell(progress, box, number, cell)
        except StoppedError as stopped:
            if _deserves_another_try(progress, f"cell {number}", stopped, began):
                return False
            progress.skipped.add(number)
            progress.outputs.setdefault(cell.id, [])
            return _stop(progress, cell.id, f"cell {cell.exercise or cell.id}", stopped, plan.budget.cell_seconds)
    while progress.probed < len(plan.probes):
        probe = plan.probes[progress.probed]
        try:
            with _timed(progress, probe.exercise):
                answers = list[Any | Raised]()
                _ask(progress, box, progress.probed, probe, answers)
        except StoppedError as stopped:
            if _deserves_another_try(progress, f"probe {progress.probed}", stopped, began):
                return False
            words = _words(f"the check of {probe.exercise}", stopped, plan.budget.check_seconds)
            progress.answers[probe.exercise] = [*answers, Raised("Stopped", words)]
            progress.probed += 1
            return _stop(progress, probe.exercise, f"the check of {probe.exercise}", stopped, plan.budget.check_seconds)
        progress.answers[probe.exercise] = answers
        progress.probed += 1
    return True


@contextlib.contextmanager
def _timed(progress: _Progress, exercise: str | None) -> Iterator[None]:
    """Count the time as this exercise's."""
    began = time.monotonic()
    try:
        yield
    finally:
        if exercise is not None:
            progress.spent[exercise] = progress.spent.get(exercise, 0.0) + time.monotonic() - began


def _deserves_another_try(progress: _Progress, place: str, stopped: StoppedError, began: float) -> bool:
    """Whether the process may have been ended from outside: then the same cell or probe is run once more.

    A student's code that kills its own process looks the same as an operator or the kernel that kills it, so
    each place is given one more try, and what ends there twice is its own doing.
    """
    ending = stopped.ending
    if ending is None or not ending.perhaps_from_outside or time.monotonic() > progress.deadline:
        return False
    if ending.from_outside:
        if progress.lost > MAX_LOST:
            raise EnvironmentProblem(
                f"the process of {progress.plan.name} was ended from outside {progress.lost} times",
                "see what kills processes on this machine (its memory may have run out), then grade again",
            )
        progress.lost += 1
    elif place in progress.tried_again:
        return False
    if not progress.tried_again:
        progress.deadline += time.monotonic() - began
    progress.tried_again.add(place)
    return True


def _stop(progress: _Progress, key: str, what: str, stopped: StoppedError, seconds: float) -> bool:
    """Note why the process ended. True when the submission has no time left for another start."""
    if time.monotonic() < progress.deadline:
        progress.notes[key] = _words(what, stopped, seconds)
        return False
    progress.notes[key] = f"{what} was stopped: the submission had used its {progress.plan.budget.total_seconds:g} s"
    return True


def _words(what: str, stopped: StoppedError, seconds: float) -> str:
    reason = str(stopped)
    if reason == "ran out of time":
        return f"{what} ran longer than {seconds:g} s and was stopped"
    return f"{what} {reason}" if reason.startswith("ended") else f"{what} {reason} and was stopped"


def _cells(progress: _Progress) -> list[dict[str, Any]]:
    return [
        {"index": number, "source": cell.source, "captures": cell.captures, "exercise": cell.exercise}
        for number, cell in enumerate(progress.plan.cells)
        if number not in progress.skipped
    ]


def _grace(progress: _Progress, seconds: float) -> float:
    """The deadline here: a little after the one inside, which leaves the process and its names alive."""
    return min(progress.deadline, time.monotonic() + seconds * 1.05 + 1)


def _receive_cell(progress: _Progress, box: Box, number: int, cell: PlanCell) -> None:
    """Take one finished cell's outputs. Those of an earlier start stay as they were first seen."""
    budget = progress.plan.budget
    most = (budget.output_kb << 12) + (1 << 16)
    line = box.receive(_grace(progress, budget.cell_seconds), most)
    try:
        done = json.loads(line[1:])
        if line[:1] != b"C" or done["cell"] != number:
            raise StoppedError("sent something that no cell sends")
        items, stopped = done["outputs"], done["stopped"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise StoppedError("sent something that no cell sends") from None
    if cell.id in progress.outputs:
        return
    progress.output_bytes += len(line)
    progress.outputs[cell.id] = cleaned(items) if progress.output_bytes <= 2 * most else []
    if stopped:
        progress.notes[cell.id] = (
            f"cell {cell.exercise or cell.id} ran longer than {budget.cell_seconds:g} s and was stopped"
        )


def _ask(progress: _Progress, box: Box, number: int, probe: ProbeCall, answers: list[Any | Raised]) -> None:
    """Send one exercise's probe and take its answers as they come, so that those before a crash are kept."""
    deadline = _grace(progress, progress.plan.budget.check_seconds)
    inputs = [data.decode() for data in probe.inputs]
    request = {"number": number, "exercise": probe.exercise, "uses": probe.uses, "source": probe.source}
    box.send_json({**request, "inputs": inputs}, deadline)
    weight = 0
    for case in range(len(inputs)):
        place = f"{number} {case} ".encode()
        line = box.receive(deadline, wire.MAX_BYTES + 100)
        while not line[1:].startswith(place):
            line = box.receive(deadline, wire.MAX_BYTES + 100)
        data = line[1 + len(place) :]
        weight += wire.weight(data)
        light = weight <= MAX_ANSWERS
        answers.append(_answer(line[:1], data) if light else Raised("TooLarge", "the answers are too large together"))


def _answer(kind: bytes, data: bytes) -> Any | Raised:
    try:
        if kind == b"A":
            return wire.decode(data)
        name, message = json.loads(data)
        return Raised(text(name)[:100], text(message)[:1000])
    except wire.WireFormatError as error:
        return Raised("WireFormatError", str(error))
    except (ValueError, TypeError, RecursionError, MalformedError):
        return Raised("WireFormatError", "the answer is not well formed")
