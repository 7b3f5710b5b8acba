"""Make a score again from its record: the same cases from the stored seed, the stored answers, judged anew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from grader.course import Chapter, Course
from grader.errors import SubmissionError, UsageError
from grader.execution.plan import Outcome, Plan, ProbeCall
from grader.execution.workers import TROUBLE
from grader.grading.assignment import Assignment, load_assignment
from grader.grading.choosing import work_in
from grader.grading.classroom import Classroom
from grader.grading.collecting import find_submissions, take_in
from grader.grading.earlier import changes_since, keys_of, read_result
from grader.grading.judging import judge_outcome
from grader.grading.keys import question_key
from grader.grading.ledger import points_held
from grader.grading.planning import Judgement, questions
from grader.grading.recalling import Ready, prepare
from grader.grading.store import FOLDER, Record, Store
from grader.hidden import Case, Finding, HiddenCheck, Raised, Result, decide, seed_for
from grader.wire import WireFormatError, encode


@dataclass(frozen=True)
class Asking:
    """One case: what was asked, what was answered, and what the judge says of it today."""

    case: Case
    answer: Any | Raised
    finding: Finding


@dataclass(frozen=True)
class Again:
    """One exercise, made again.

    Attributes:
        label: of its answer cell.
        name: number and title.
        stored: its points in the result as it was written.
        held: its automatic points in the gradebook; None where there are none.
        result: from the stored answers; None where there are none to today's question.
        fresh: from an execution of now; None where nothing was executed.
        same_answers: whether that execution answered the same.
        askings: the cases with the stored answers, or with those of now where there are no others.
    """

    label: str
    name: str
    stored: float
    held: float | None
    result: Result | None
    fresh: Result | None
    same_answers: bool | None
    askings: tuple[Asking, ...]

    @property
    def reproduced(self) -> bool:
        """Whether all that was computed now gives the points that were written, and the gradebook has them."""
        made = [each.points for each in (self.result, self.fresh) if each is not None]
        agree = all(abs(points - self.stored) < 1e-9 for points in made)
        return bool(made) and agree and self.held is not None and abs(self.held - self.stored) < 1e-9


@dataclass(frozen=True)
class Replay:
    """A score, made again.

    Attributes:
        student: whose.
        changed: what is not as it was when the result was written, each as a sentence.
        remarks: what else a teacher should know.
        exercises: those that were asked for.
    """

    student: str
    changed: tuple[str, ...]
    remarks: tuple[str, ...]
    exercises: tuple[Again, ...]

    @property
    def reproduced(self) -> bool:
        """Whether every score was made again."""
        return all(each.reproduced for each in self.exercises)


def replay(
    course: Course,
    chapter: Chapter,
    classroom: Classroom,
    student: str,
    only: str | None = None,
    execute: Any = None,
) -> Replay:
    """Make the scores of a student's chapter again. Nothing is written.

    Args:
        course: the course.
        chapter: the chapter.
        classroom: the class.
        student: whose.
        only: the label or the number of one exercise.
        execute: runs a plan and gives its outcome; None to judge the stored answers alone.

    Raises:
        UsageError: when there is no result, or no such exercise.
        AuthoringError: when today's checks cannot be loaded.
    """
    found = read_result(classroom, student, chapter.id)
    if found is None:
        raise UsageError(f"there is no result of {student} for {chapter.id}", f"run `course grade {chapter.id}`")
    if found["problem"]:
        raise UsageError(f"nothing of {student} was run: {found['problem']}", "there is no score to make again")
    assignment = load_assignment(course, chapter)
    chosen = [each for each in assignment.exercises if only in (None, each.label, each.number)]
    if not chosen:
        known = ", ".join(f"{each.label} ({each.number})" for each in assignment.exercises)
        raise UsageError(f"{chapter.id} has no exercise {only!r}", f"it has {known}")
    secret = classroom.secret()
    stored = {each["exercise"]: each for each in found["exercises"]}
    seeds = {label: int(each["seed"]) for label, each in stored.items() if each.get("seed")}
    ready, changed = _as_it_was(course, chapter, classroom, assignment, found, secret, seeds)
    own = {
        each.label: seed_for(secret, chapter.id, student, found["attempt"], each.label) for each in assignment.exercises
    }
    kept = ready.kept if ready is not None else Judgement({**own, **seeds}, {}, {})
    probes = ready.plan.probes if ready is not None else questions(assignment, kept)
    if any(own[label] != seed for label, seed in seeds.items() if label in own):
        changed.append("The class secret is another one; the cases were drawn from the stored seeds.")
    record = Store(classroom.root / FOLDER, secret).load(student, chapter.id)
    record = record if record is not None and record.attempt == found["attempt"] else None
    remarks = [] if record is not None else ["The answers were not kept, or their record is damaged."]
    fresh = _execute(execute, ready, remarks) if execute is not None else None
    held = points_held(classroom.db_url, chapter.id, student).get(student)
    automatic = held.automatic if held is not None else {}
    old = _judged(assignment, kept, _stored_answers(record, probes))
    new = _judged(assignment, kept, fresh.answers) if fresh is not None else {}
    exercises = []
    for exercise in chosen:
        label = exercise.label
        if label not in stored:
            remarks.append(f"{exercise.name} was not part of the chapter when this was graded.")
            continue
        before = _stored_answers(record, probes).get(label)
        now = fresh.answers.get(label) if fresh is not None else None
        shown = before if before is not None else now or []
        exercises.append(
            Again(
                label=label,
                name=exercise.name,
                stored=stored[label]["points"],
                held=automatic.get(exercise.checks),
                result=old.get(label),
                fresh=new.get(label),
                same_answers=None if before is None or now is None else _bytes(before) == _bytes(now),
                askings=_askings(assignment.hidden[label], kept.cases[label], shown),
            )
        )
    return Replay(student, tuple(changed), tuple(remarks), tuple(exercises))


def _as_it_was(
    course: Course,
    chapter: Chapter,
    classroom: Classroom,
    assignment: Assignment,
    found: Mapping[str, Any],
    secret: str,
    seeds: Mapping[str, int],
) -> tuple[Ready | None, list[str]]:
    """The submission, if it is still the one that was graded, and what has changed since."""
    changed = []
    ready = None
    try:
        known = work_in(course, chapter)
        places = find_submissions(classroom.submitted, chapter.id, chapter.page.stem, [found["student"]], known)
        submission = take_in(places[0])
        if submission.digest == found["attempt"]:
            ready = prepare(assignment, submission, secret, seeds)
        else:
            changed.append("The submission is another one than the one that was graded.")
    except (UsageError, SubmissionError, IndexError):
        changed.append("The submission is gone.")
    words = {
        "checks": "The hidden checks, the points or the notebook",
        "library": "The library slice",
        "edition": "The course's edition",
        "budget": "What a submission may use",
    }
    keys = keys_of(assignment).results
    changed += [
        f"{what} changed since this was graded." for name, what in words.items() if found.get(name) != keys[name]
    ]
    if found.get("environment") != keys["environment"]:
        which = changes_since(classroom, str(found.get("environment")))
        some = "what, is not known any more" if which is None else ", ".join(which[:8])
        changed.append(f"The environment changed since this was graded: {some}.")
    return ready, changed


def _execute(execute: Any, ready: Ready | None, remarks: list[str]) -> Outcome | None:
    if ready is None:
        remarks.append("It was not executed: the submission that was graded is not here any more.")
        return None
    plan: Plan = ready.plan
    outcome: Outcome = execute(plan)
    if TROUBLE in outcome.notes:
        remarks.append(f"It could not be executed: {outcome.notes[TROUBLE]}")
        return None
    return outcome


def _stored_answers(record: Record | None, probes: tuple[ProbeCall, ...]) -> dict[str, list[Any]]:
    """The stored answers to today's questions."""
    if record is None:
        return {}
    return record.answering({probe.exercise: question_key(probe) for probe in probes}).answers


def _judged(assignment: Assignment, kept: Judgement, answers: Mapping[str, list[Any]]) -> dict[str, Result]:
    results = judge_outcome(assignment, kept, replace(Outcome(), answers=dict(answers)))
    return {label: result for label, result in results.items() if label in answers}


def _askings(check: HiddenCheck, cases: list[Case], answers: list[Any]) -> tuple[Asking, ...]:
    askings = []
    for number, case in enumerate(cases):
        answer = answers[number] if number < len(answers) else Raised("NoAnswer", "no answer came back")
        findings = decide(check, [case], [answer]).findings
        finding = next(each for each in findings if each.criterion == case.criterion)
        askings.append(Asking(case, answer, finding))
    return tuple(askings)


def _bytes(answers: list[Any]) -> list[bytes]:
    """Answers in a form in which equal ones are equal: arrays and nan do not compare."""
    found = []
    for answer in answers:
        try:
            found.append(repr(answer).encode() if isinstance(answer, Raised) else encode(answer))
        except WireFormatError as error:
            found.append(str(error).encode())
    return found
