"""From an outcome to points: judge, and write each verdict as the output that nbgrader scores.

nbgrader gives a check cell full marks for anything that is neither an error, nor text on stderr, nor a
number. So a checks cell never keeps an output that ran; it gets one of three forms, written here:

=========  ==============================================================
all met    one text on stdout
some met   one text on stdout, then one `execute_result` with the number
none met   one `error`
=========  ==============================================================
"""

from typing import Any

from grader.execution.plan import Outcome
from grader.grading.assignment import Assignment, GradedExercise
from grader.grading.planning import Judgement
from grader.grading.withheld import withhold
from grader.hidden import Finding, HiddenCheck, Result, decide

MAX_WORDS = 2000
"""Characters of one criterion's words: they may quote what the student's code raised."""
WITHOUT_SANDBOX = "graded without a sandbox"
"""The mark on all that such a run writes: the submission could have changed what judged it."""


def judge_outcome(assignment: Assignment, kept: Judgement, outcome: Outcome) -> dict[str, Result]:
    """The result of each exercise. An exercise without an answer is not met: silence never earns a point."""
    results = {}
    for exercise in assignment.exercises:
        check = assignment.hidden[exercise.label]
        if exercise.label in kept.refused:
            results[exercise.label] = nothing_met(check, kept.refused[exercise.label])
            continue
        answers = outcome.answers.get(exercise.label, [])
        results[exercise.label] = withhold(check, decide(check, kept.cases[exercise.label], answers))
    return results


def nothing_met(check: HiddenCheck, words: str) -> Result:
    """A result in which every criterion fails for one reason."""
    return Result(check.exercise, tuple(Finding(name, 0.0, points, words) for name, points in check.criteria.items()))


def verdict_lines(exercise: GradedExercise, result: Result) -> list[str]:
    """A verdict in words: points, then each criterion."""
    lines = [f"{exercise.name}: {result.points:g} of {exercise.points:g} points"]
    for finding in result.findings:
        mark = "met" if finding.met else "not met"
        words = f": {shortened(finding.words)}" if finding.words else ""
        lines.append(f"  {finding.criterion} ({finding.max_points:g}), {mark}{words}")
    return lines


def shortened(words: str) -> str:
    """Words of a sensible length without control characters."""
    clean = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in words)
    return clean if len(clean) <= MAX_WORDS else f"{clean[:MAX_WORDS]} …"


def verdict_outputs(exercise: GradedExercise, result: Result | None, mark: str = "") -> list[Any]:
    """The outputs of a checks cell that make nbgrader's `determine_grade` read exactly this result.

    Args:
        exercise: the exercise.
        result: its result; None where none was reached.
        mark: what the reader of the verdict must know about the run, such as `WITHOUT_SANDBOX`.
    """
    from nbformat.v4 import new_output

    if result is None:
        words = f"{exercise.name}: no verdict was reached"
        return [new_output("error", ename="NoVerdict", evalue=words, traceback=[words])]
    text = "\n".join([*verdict_lines(exercise, result), *([f"  ({mark})"] if mark else [])])
    points = min(max(float(result.points), 0.0), exercise.points)
    if not points > 0:
        first = next((finding.words for finding in result.findings if finding.words), "not met")
        return [new_output("error", ename="NotMet", evalue=shortened(first), traceback=text.split("\n"))]
    printed = new_output("stream", name="stdout", text=text + "\n")
    if all(finding.met for finding in result.findings) and points == exercise.points:
        return [printed]
    number = new_output("execute_result", data={"text/plain": repr(points)}, execution_count=None)
    return [printed, number]
