"""The hidden checks under stock nbgrader: what the hidden part of a source notebook's checks cell calls.

`nbgrader autograde` runs the checks cell in the student's kernel. The same cases, probes and judges decide
there as in `course grade`, in this process and without its isolation, so an honest notebook gets the same
points both ways; a dishonest one can cheat here as it can with any test that stock nbgrader runs.

nbgrader takes the first error, text on stderr or number among a cell's outputs as its score, so the points
are published as the value of an expression would be, before anything else in the cell can fail or warn.
"""

import contextlib
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from grader.course import find_root, load_course
from grader.grading.judging import nothing_met
from grader.grading.loose import defined_names
from grader.grading.shortcuts import forbidden_use
from grader.hidden import (
    HiddenCheck,
    Raised,
    Result,
    decide,
    draw_cases,
    probe_source,
    seed_for,
)
from grader.loading import load_checks
from grader.wire import decode, encode


class HiddenCheckFailed(AssertionError):
    """No criterion was met; nbgrader gives 0 points for it."""


def hidden_check(chapter_id: str, exercise: str, namespace: Mapping[str, Any]) -> None:
    """Judge one exercise in this process, print a line for each criterion and publish the points.

    Args:
        chapter_id: the chapter.
        exercise: the label of the answer cell.
        namespace: the notebook's `globals()`.

    Raises:
        HiddenCheckFailed: when no point was earned; its message is the first criterion's words.
    """
    result = judge_here(_checks(chapter_id)[exercise], chapter_id, namespace)
    for finding in result.findings:
        said = "met" if finding.met else f"not met: {finding.words}"
        print(f"{finding.criterion} ({finding.max_points:g}): {said}")  # noqa: T201
    if not result.points > 0:
        words = next((finding.words for finding in result.findings if finding.words), "not met")
        raise HiddenCheckFailed(words)
    sys.displayhook(float(result.points))


def judge_here(check: HiddenCheck, chapter_id: str, namespace: Mapping[str, Any]) -> Result:
    """Run one check's probe in this process and judge its answers, with everything crossing as bytes."""
    sentence = forbidden_use(_answer_source(check, namespace), check.forbids, _history(namespace))
    if sentence:
        return nothing_met(check, sentence)
    cases = draw_cases(check, seed_for(class_secret(chapter_id), chapter_id, "", "stock", check.exercise))
    student = _Student(**{name: namespace[name] for name in check.uses if name in namespace})
    local: dict[str, Any] = {}
    exec(compile(probe_source(check), "<check>", "exec"), local)  # noqa: S102
    answers: list[Any] = []
    with _silence():
        for case in cases:
            try:
                answers.append(decode(encode(local["probe"](student, decode(encode(case.inputs))))))
            except Exception as error:
                answers.append(Raised(type(error).__name__, str(error)[:1000]))
    return decide(check, cases, answers)


class _Student(SimpleNamespace):
    """What a probe sees of the notebook."""

    def __getattr__(self, name: str) -> Any:
        raise NameError(f"the name `{name}` is not defined")


@functools.cache
def _checks(chapter_id: str) -> dict[str, HiddenCheck]:
    return load_checks(load_course(find_root()).chapter(chapter_id).hidden)


def class_secret(chapter_id: str) -> str:
    """The secret of the class folder around this process; without one, a fixed word for the chapter."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        path = folder / ".secret"
        if (folder / "nbgrader_config.py").is_file() and path.is_file():
            with contextlib.suppress(OSError):
                return path.read_text(encoding="ascii", errors="replace").strip()
    return f"no class secret for {chapter_id}"


def _history(namespace: Mapping[str, Any]) -> list[str]:
    """The cells that ran before this one, as IPython keeps them."""
    cells = namespace.get("In", [])
    return [cell for cell in cells[:-1] if isinstance(cell, str)] if isinstance(cells, list) else []


def _answer_source(check: HiddenCheck, namespace: Mapping[str, Any]) -> str:
    """The last cell that defines a name which the probe uses."""
    for source in reversed(_history(namespace)):
        if defined_names(source) & set(check.uses):
            return source
    return ""


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what the student's code prints and warns out of this cell: nbgrader takes text on stderr for a
    failure.

    The file descriptor goes as well: the kernel shows what C code and subprocesses write to it.
    """
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        with (
            Path(os.devnull).open("w") as sink,
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
