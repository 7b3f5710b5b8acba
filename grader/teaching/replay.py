"""`course replay`."""

from pathlib import Path
from typing import Any

import click

from grader.teaching.options import CLASS_OPTION, DB_OPTION, SANDBOX_OPTION

WIDTH = 400
"""Characters of an input or an answer that are shown."""


@click.command()
@click.argument("student")
@click.argument("chapter_id", metavar="CHAPTER")
@click.argument("exercise", required=False)
@CLASS_OPTION
@DB_OPTION
@click.option("--run", "run_again", is_flag=True, help="Also execute the submission again, and compare its answers.")
@click.option("--all-cases", is_flag=True, help="Show the cases that were answered rightly as well.")
@SANDBOX_OPTION
def replay(
    student: str,
    chapter_id: str,
    exercise: str | None,
    folder: Path,
    db_url: str | None,
    run_again: bool,
    all_cases: bool,
    no_sandbox: bool,
) -> None:
    """Make the scores of STUDENT for CHAPTER again, from what was kept of them.

    The cases are drawn from the stored seeds, the stored answers are judged, and the points are compared with the
    result and the gradebook. Each failing case is shown with its input and the student's answer: for teachers,
    not for students. EXERCISE is a number such as 1.3, or a label. Nothing is written. Ends with exit code 1 when a
    score cannot be made again, and says what has changed since.
    """
    from functools import partial

    from grader.course import find_root, load_course
    from grader.errors import CourseError
    from grader.grading.classroom import open_classroom
    from grader.grading.replaying import replay as made_again

    course = load_course(find_root())
    chapter = course.chapter(chapter_id)
    classroom = open_classroom(folder, db_url)
    execute = partial(_execute, sandbox=not no_sandbox) if run_again else None
    found = made_again(course, chapter, classroom, student, exercise, execute)
    for line in in_lines(found, all_cases):
        click.echo(line)
    if not found.reproduced:
        reason = " ".join(found.changed) or "Nothing that the result depends on is known to have changed."
        raise CourseError(f"the score cannot be made again. {reason}", f"`course regrade {chapter_id}` shows the class")


def _execute(plan: Any, sandbox: bool) -> Any:
    from grader.execution.workers import attempt

    return attempt(plan, sandbox)


def in_lines(found: Any, all_cases: bool = False) -> list[str]:
    """The replay as text."""
    lines = [f"{found.student}", *found.changed, *found.remarks]
    for again in found.exercises:
        lines += ["", f"{again.name}: {_points(again)}"]
        result = again.result or again.fresh
        for finding in result.findings if result is not None else ():
            words = f": {finding.words}" if finding.words else ""
            lines.append(f"  {'✓' if finding.met else '✗'} {finding.criterion} ({finding.max_points:g}){words}")
        for number, asking in enumerate(again.askings, 1):
            if result is not None and (all_cases or not asking.finding.met):
                lines += _case_lines(number, asking)
    return [_printable(line) for line in lines]


def _points(again: Any) -> str:
    facts = [f"{again.stored:g} in the result"]
    facts.append("none in the gradebook" if again.held is None else f"{again.held:g} in the gradebook")
    if again.result is not None:
        facts.append(f"{again.result.points:g} from the stored answers")
    else:
        facts.append("no stored answers to today's question")
    if again.fresh is not None:
        same = {True: ", the same answers", False: ", other answers", None: ""}[again.same_answers]
        facts.append(f"{again.fresh.points:g} executed now{same}")
    return f"{'made again' if again.reproduced else 'NOT made again'}. {'; '.join(facts)}."


def _case_lines(number: int, asking: Any) -> list[str]:
    lines = [f"    case {number} ({asking.case.criterion}): {'right' if asking.finding.met else 'wrong'}"]
    lines += [f"      {name} = {shown(value)}" for name, value in asking.case.inputs.items()]
    answer = asking.answer
    raised = hasattr(answer, "kind") and hasattr(answer, "message")
    said = f"raised {answer.kind}: {answer.message}" if raised else shown(answer)
    return [*lines, f"      answer: {said[: 2 * WIDTH]}"]


def shown(value: Any) -> str:
    """A value for people: arrays with their ends and four digits, the rest cut short.

    >>> shown({"weights": [0.5, 0.25], "k": 2})
    "{'weights': [0.5, 0.25], 'k': 2}"
    """
    import numpy as np

    if isinstance(value, np.ndarray):
        with np.printoptions(precision=4, threshold=12, edgeitems=3, linewidth=10_000, suppress=True):
            body = " ".join(str(value).split())
        return _cut(f"array{value.shape} of {value.dtype}: {body}")
    if isinstance(value, list):
        return _cut(f"[{', '.join(shown(item) for item in value[:50])}{', …' if len(value) > 50 else ''}]")
    if isinstance(value, dict):
        return _cut(f"{{{', '.join(f'{key!r}: {shown(item)}' for key, item in list(value.items())[:50])}}}")
    return _cut(f"{value:.6g}" if isinstance(value, float) else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in line)
