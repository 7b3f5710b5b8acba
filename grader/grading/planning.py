"""From a rebuilt submission to a plan for a worker. The cases and what decides a score stay behind, here."""

from collections.abc import Mapping
from dataclasses import dataclass

from grader.errors import AuthoringError
from grader.execution.plan import Plan, PlanCell, ProbeCall
from grader.grading.assignment import EXPERIMENT_TAG, Assignment
from grader.grading.extras import STUDENT_TAG
from grader.grading.loose import defined_names
from grader.grading.shortcuts import forbidden_use
from grader.grading.skeleton import Prepared
from grader.hidden import Case, HiddenCheck, draw_cases, probe_source, seed_for
from grader.wire import encode


@dataclass(frozen=True)
class Judgement:
    """What the grader keeps of a plan in order to judge its outcome.

    Attributes:
        seeds: by exercise, so that a score can be re-created.
        cases: by exercise.
        refused: by exercise, the sentence for a forbidden shortcut.
    """

    seeds: dict[str, int]
    cases: dict[str, list[Case]]
    refused: dict[str, str]


def make_plan(
    assignment: Assignment,
    prepared: Prepared,
    secret: str,
    student: str,
    attempt: str,
    seeds: Mapping[str, int] | None = None,
) -> tuple[Plan, Judgement]:
    """The plan of one submission, and what stays with the grader.

    Args:
        assignment: the chapter.
        prepared: the rebuilt submission.
        secret: the class secret, from which seeds are made.
        student: whose submission.
        attempt: the digest of what was handed in.
        seeds: by exercise, those of an earlier result that is to be made again.

    Raises:
        AuthoringError: when a hidden check cannot draw its cases.
    """
    chapter = assignment.chapter
    own = {each.label: seed_for(secret, chapter.id, student, attempt, each.label) for each in assignment.exercises}
    kept = Judgement({**own, **(seeds or {})}, {}, {})
    probes = questions(assignment, kept)
    sources = [cell.source for cell in prepared.notebook.cells if cell.cell_type == "code"]
    for exercise in assignment.exercises:
        check = assignment.hidden[exercise.label]
        sentence = forbidden_use(_answer(prepared, exercise.label, check), check.forbids, sources)
        if sentence:
            kept.refused[exercise.label] = sentence
    plan = Plan(
        name=f"{student} {chapter.id}",
        cells=_cells(assignment, prepared),
        probes=probes,
        library=assignment.library,
        budget=chapter.budget,
        seed=seed_for("process", chapter.id, "", attempt) % 2**32,
    )
    return plan, kept


def questions(assignment: Assignment, kept: Judgement) -> tuple[ProbeCall, ...]:
    """What each exercise is asked, drawn from the seeds in `kept`, which is given the cases.

    Raises:
        AuthoringError: when a hidden check cannot draw its cases.
    """
    probes = []
    for exercise in assignment.exercises:
        check = assignment.hidden[exercise.label]
        cases = _draw(assignment, check, kept.seeds[exercise.label])
        kept.cases[exercise.label] = cases
        inputs = tuple(encode(case.inputs) for case in cases)
        probes.append(ProbeCall(exercise.label, tuple(check.uses), probe_source(check), inputs))
    return tuple(probes)


def _answer(prepared: Prepared, label: str, check: HiddenCheck) -> str:
    """The answer cell, and further cells of the student's that define what the probe uses."""
    own = [
        cell.source
        for cell in prepared.notebook.cells
        if STUDENT_TAG in cell.metadata.get("tags", ()) and defined_names(cell.source) & set(check.uses)
    ]
    return "\n".join([prepared.answers.get(label, ""), *own])


def _draw(assignment: Assignment, check: HiddenCheck, seed: int) -> list[Case]:
    try:
        return draw_cases(check, seed)
    except Exception as error:
        raise AuthoringError(
            assignment.chapter.hidden,
            None,
            f"{type(check).__name__}.cases raised {type(error).__name__}: {error} (seed {seed})",
            "make it draw cases for every seed",
        ) from error


def _cells(assignment: Assignment, prepared: Prepared) -> tuple[PlanCell, ...]:
    """The code cells; before each checks cell an empty one that remembers what these checks will see.

    The author's own measurements (cells tagged `experiment`) are left out: no exercise needs them, and in chapter 1
    they are four fifths of the time.
    """
    by_checks = {exercise.checks: exercise.label for exercise in assignment.exercises}
    labels = {exercise.label for exercise in assignment.exercises}
    cells = []
    for cell in prepared.notebook.cells:
        if cell.cell_type != "code":
            continue
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        tags = cell.metadata.get("tags", ())
        own = STUDENT_TAG in tags
        if EXPERIMENT_TAG in tags and not own:
            continue
        if grade_id in by_checks and not own:
            label = by_checks[grade_id]
            uses = tuple(assignment.hidden[label].uses)
            cells.append(PlanCell(f"remember-{label}", "", captures=uses, exercise=label))
            cells.append(PlanCell(cell.id, cell.source, exercise=label))
        else:
            cells.append(PlanCell(cell.id, cell.source, exercise=grade_id if grade_id in labels else None))
    return tuple(cells)
