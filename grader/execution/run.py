"""Execute one plan: the cells, then the probes, in a sandbox, started again after whatever ended it.

A cell or a probe that hangs, crashes or ends the process costs itself and nothing else: the process is
started again without that cell, or goes on with the next exercise. Nothing that a student's code does raises
here.
"""

import base64
import functools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader import wire
from grader.execution.box import Box, StoppedError
from grader.execution.outputs import MalformedError, cleaned, text
from grader.execution.plan import Outcome, Plan, PlanCell, ProbeCall
from grader.hidden import Raised

MAX_STARTS = 12
"""Of one submission: enough for every exercise of a chapter to crash once."""


@dataclass
class _Progress:
    """What has come back so far, over all starts."""

    plan: Plan
    deadline: float
    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    answers: dict[str, list[Any | Raised]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
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
    for _ in range(MAX_STARTS):
        with Box(plan.budget, sandbox, plan.library.packages) as box:
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
        isolation="bubblewrap" if sandbox else "none",
    )


def _run_once(progress: _Progress, box: Box) -> bool:
    """Start a process and go as far as it lives. True when there is nothing left to do."""
    plan = progress.plan
    box.start(_settings(plan, box.scratch), _cells(progress))
    for number, cell in enumerate(plan.cells):
        if number in progress.skipped:
            continue
        try:
            _receive_cell(progress, box, number, cell)
        except StoppedError as stopped:
            progress.skipped.add(number)
            progress.outputs.setdefault(cell.id, [])
            return _stop(progress, cell.id, f"cell {cell.exercise or cell.id}", stopped, plan.budget.cell_seconds)
    while progress.probed < len(plan.probes):
        probe = plan.probes[progress.probed]
        progress.probed += 1
        try:
            _ask(progress, box, progress.probed - 1, probe)
        except StoppedError as stopped:
            answers = progress.answers.setdefault(probe.exercise, [])
            words = _words(f"the check of {probe.exercise}", stopped, plan.budget.check_seconds)
            answers.append(Raised("Stopped", words))
            return _stop(progress, probe.exercise, f"the check of {probe.exercise}", stopped, plan.budget.check_seconds)
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


def _settings(plan: Plan, scratch: str) -> dict[str, Any]:
    budget = plan.budget
    sources = [cell.source.encode() for cell in plan.cells]
    files = [(f"library/{path}", data) for path, data in plan.library.files]
    if any(b"matplotlib" in source for source in [*sources, *(data for _, data in plan.library.files)]):
        files += [(f"home/.matplotlib/{name}", data) for name, data in font_list()]
    return {
        "seed": plan.seed,
        "cell_seconds": budget.cell_seconds,
        "check_seconds": budget.check_seconds,
        "output_bytes": budget.output_kb << 10,
        "packages": plan.library.packages,
        "files": [(path, base64.b64encode(data).decode()) for path, data in files],
    }


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


def _ask(progress: _Progress, box: Box, number: int, probe: ProbeCall) -> None:
    """Send one exercise's probe and take its answers as they come, so that those before a crash are kept."""
    answers = progress.answers.setdefault(probe.exercise, [])
    deadline = _grace(progress, progress.plan.budget.check_seconds)
    inputs = [data.decode() for data in probe.inputs]
    request = {"number": number, "exercise": probe.exercise, "uses": probe.uses, "source": probe.source}
    box.send_json({**request, "inputs": inputs}, deadline)
    for case in range(len(inputs)):
        place = f"{number} {case} ".encode()
        line = box.receive(deadline, wire.MAX_BYTES + 100)
        while not line[1:].startswith(place):
            line = box.receive(deadline, wire.MAX_BYTES + 100)
        answers.append(_answer(line[:1], line[1 + len(place) :]))


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


@functools.cache
def font_list() -> tuple[tuple[str, bytes], ...]:
    """matplotlib's list of fonts, made once here instead of in every new home, where it takes seconds."""
    import matplotlib.font_manager

    folder = Path(matplotlib.get_cachedir())
    version = matplotlib.font_manager.FontManager.__version__
    path = folder / f"fontlist-v{version}.json"
    return ((path.name, path.read_bytes()),) if path.is_file() else ()
