"""From a submission to what still has to run: prepared, and without what an earlier run has answered."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from grader.errors import SubmissionError
from grader.execution.plan import Outcome, Plan
from grader.grading.assignment import Assignment
from grader.grading.collecting import Submission
from grader.grading.keys import environment_key, question_key, run_key
from grader.grading.loose import read_loosely
from grader.grading.planning import Judgement, make_plan
from grader.grading.skeleton import Prepared, rebuild
from grader.grading.store import Asked, Record, Store


@dataclass(frozen=True)
class Seen:
    """One submission as the grader understood it.

    Attributes:
        submission: without its bytes.
        prepared: rebuilt on the instructor's notebook.
        kept: what judges; empty where there is nothing to run.
    """

    submission: Submission
    prepared: Prepared
    kept: Judgement


@dataclass(frozen=True)
class Ready(Seen):
    """One submission that can run.

    Attributes:
        plan: what has to run; of the probes, those that no record answers.
        run: the key of what is run.
        questions: by exercise, the key of what it is asked.
        record: what an earlier run of the same left.
    """

    plan: Plan
    run: str
    questions: dict[str, str]
    record: Record | None = None

    @property
    def answered(self) -> Outcome | None:
        """The whole outcome, where the record has an answer to everything: nothing has to run then."""
        if self.record is None or self.plan.probes:
            return None
        return self.record.answering(self.questions)


def unreadable(assignment: Assignment, submission: Submission) -> Seen:
    """A submission with nothing to grade in it: the untouched notebook."""
    prepared = rebuild(assignment.skeleton, [])
    prepared.repairs.clear()
    return Seen(submission, prepared, Judgement({}, {}, {}))


def prepare(
    assignment: Assignment, submission: Submission, secret: str, seeds: Mapping[str, int] | None = None
) -> Ready:
    """Rebuild a submission and plan its run.

    Args:
        assignment: the chapter.
        submission: as it was handed in.
        secret: the class secret.
        seeds: as in `make_plan`.

    Raises:
        SubmissionError: when there is nothing that can be read.
        AuthoringError: when a hidden check cannot draw its cases.
    """
    if submission.problem:
        raise SubmissionError(submission.problem)
    cells, remarks = read_loosely(submission.data)
    prepared = rebuild(assignment.skeleton, cells)
    prepared.repairs[:0] = remarks
    plan, kept = make_plan(assignment, prepared, secret, submission.student, submission.digest, seeds)
    questions = {probe.exercise: question_key(probe) for probe in plan.probes}
    run = run_key(plan, environment_key())
    return Ready(replace(submission, data=b""), prepared, kept, plan, run, questions)


def recalled(store: Store, ready: Ready, chapter_id: str, sandboxed: bool) -> Ready:
    """Without the probes that an earlier run of the same submission has answered.

    A record made without a sandbox is nothing to a run that has one.
    """
    record = store.load(ready.submission.student, chapter_id)
    if record is None or record.run != ready.run or (sandboxed and record.outcome.isolation == "none"):
        return ready
    open_ = tuple(
        probe
        for probe in ready.plan.probes
        if record.answer_to(probe.exercise, ready.questions[probe.exercise]) is None
    )
    return replace(ready, plan=replace(ready.plan, probes=open_), record=record)


def remembered(store: Store, ready: Ready, chapter_id: str, outcome: Outcome) -> Outcome:
    """Keep what came back, before anybody judges it; the outcome with the answers that were there before.

    A crash from here on costs no second execution.
    """
    before = ready.record
    asked = {
        probe.exercise: (Asked(ready.questions[probe.exercise], outcome.answers.get(probe.exercise, [])),)
        for probe in ready.plan.probes
    }
    if before is not None:
        old = {
            label: value for label, value in before.outcome.notes.items() if label in set(ready.questions) - set(asked)
        }
        spent = {label: value for label, value in before.outcome.spent.items() if label not in asked}
        outcome = replace(outcome, notes={**old, **outcome.notes}, spent={**outcome.spent, **spent})
    submission = ready.submission
    record = Record(submission.student, chapter_id, submission.digest, ready.run, outcome, asked).after(before)
    store.save(record)
    return record.answering(ready.questions)
