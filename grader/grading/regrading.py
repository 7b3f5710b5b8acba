"""Grade again after a check has changed: run only what the change touches, and say who gains and who loses.

Nothing is written to the gradebook or to feedback unless the changes are applied; then each goes the way of
every score. Answers to a changed question are kept all the same, so that applying asks nothing twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grader.course import Chapter, Course
from grader.errors import UsageError
from grader.execution.plan import Outcome
from grader.grading.assignment import Assignment, load_assignment
from grader.grading.choosing import work_in
from grader.grading.classroom import Classroom, programs_on_path, write_settings
from grader.grading.collecting import Place, Submission, find_submissions, take_in
from grader.grading.earlier import Memo, read_result
from grader.grading.graded import Graded
from grader.grading.grading import Executor, Run, nothing_earned, open_ledger, start_run, write_down
from grader.grading.judging import judge_outcome, shortened
from grader.grading.recalling import Ready, Seen, unreadable
from grader.grading.recording import register
from grader.hidden import Result


@dataclass(frozen=True)
class Move:
    """One exercise of one student whose points change.

    Attributes:
        student: whose.
        exercise: number and title.
        old: points, and what there was to earn.
        new: the same, today.
        why: the criteria that decide otherwise now, with the words of the verdict.
        by_hand: a teacher's points, which stay in place of both; None where there are none.
    """

    student: str
    exercise: str
    old: tuple[float, float]
    new: tuple[float, float]
    why: str
    by_hand: float | None = None

    @property
    def gain(self) -> float:
        """How many points more there are than before; negative for a loss."""
        return self.new[0] - self.old[0]


@dataclass
class Regraded:
    """What a change of the checks does to a class.

    Attributes:
        moves: every exercise whose points change, by student.
        executed: students of whom something had to run.
        judged: students whose stored answers were judged again.
        untouched: students whom the change does not touch.
        never: students who have not been graded yet.
        again: students who have handed in something else since they were graded.
        lost: students for whom it failed, with the reason.
        applied: whether the changes were written.
    """

    applied: bool
    moves: list[Move] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    untouched: list[str] = field(default_factory=list)
    never: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Comparison(Run):
    """A run that compares with the results there are; it writes where it has a ledger."""

    moves: list[Move] = field(default_factory=list)

    def conclude(self, ready: Ready, outcome: Outcome) -> Graded:
        """Judge one outcome and compare."""
        return self.compare(ready, outcome, judge_outcome(self.assignment, ready.kept, outcome))

    def settle(self, submission: Submission) -> Graded:
        """What cannot be read has no points, before and after."""
        seen = unreadable(self.assignment, submission)
        return self.compare(seen, Outcome(), nothing_earned(self.assignment, submission.problem))

    def compare(self, seen: Seen, outcome: Outcome, results: dict[str, Result]) -> Graded:
        """Note what changes, and write it down where this run writes."""
        student = seen.submission.student
        found = read_result(self.classroom, student, self.assignment.chapter.id) or {"exercises": []}
        held = self.held.get(student)
        self.moves += moves_of(self.assignment, student, found, results, {} if held is None else held.manual)
        if self.ledger is not None:
            return write_down(self, seen, outcome, results)
        points, most = (sum(getattr(each, name) for each in results.values()) for name in ("points", "max_points"))
        return Graded(student, points, most, seen.submission.problem)


def moves_of(
    assignment: Assignment,
    student: str,
    found: Mapping[str, Any],
    results: Mapping[str, Result],
    manual: Mapping[str, float],
) -> list[Move]:
    """The exercises in which a result of today differs from the one that was written."""
    before = {each["exercise"]: each for each in found["exercises"]}
    moves = []
    for exercise in assignment.exercises:
        result, old = results[exercise.label], before.get(exercise.label)
        was = (old["points"], old["max_points"]) if old is not None else (0.0, 0.0)
        now = (result.points, exercise.points)
        if max(abs(a - b) for a, b in zip(was, now, strict=True)) > 1e-9:
            why = _why(old["criteria"] if old is not None else [], result)
            moves.append(Move(student, exercise.name, was, now, why, manual.get(exercise.checks)))
    return moves


def _why(before: Sequence[Mapping[str, Any]], result: Result) -> str:
    old = {each["name"]: each for each in before}
    reasons = []
    for finding in result.findings:
        known = old.pop(finding.criterion, None)
        if known is None:
            said = "new, met" if finding.met else f"new, not met: {shortened(finding.words)}"
        elif known["met"] != finding.met:
            said = "met now" if finding.met else f"not met now: {shortened(finding.words)}"
        elif known["max_points"] != finding.max_points:
            said = f"{known['max_points']:g} points before, {finding.max_points:g} now"
        else:
            continue
        reasons.append(f"{finding.criterion}: {said}")
    return "; ".join([*reasons, *(f"{name}: not asked any more" for name in old)])


def regrade_class(
    course: Course,
    chapter: Chapter,
    classroom: Classroom,
    executor: Executor,
    *,
    only: Sequence[str] = (),
    apply: bool = False,
    sandboxed: bool = False,
    started: Callable[[int], None] = lambda total: None,
    finished: Callable[[Graded], None] = lambda graded: None,
) -> Regraded:
    """Compare every result of a chapter with what it would be today, and write what differs if `apply` is set.

    The other arguments are those of `grade_class`.

    Raises:
        UsageError: when nothing has been graded, or exercises were added or removed. Nothing is written then.
        AuthoringError: for an author's mistake. Nothing is written then.
        EnvironmentProblem: when the gradebook fails.
    """
    report = Regraded(apply)
    places = find_submissions(classroom.submitted, chapter.id, chapter.page.stem, only, work_in(course, chapter))
    assignment = load_assignment(course, chapter)
    graded = _graded_places(classroom, assignment, places, report)
    if apply:
        programs_on_path()
        register(classroom, assignment, str(course.settings["course"]["slug"]))
        write_settings(classroom, course, chapter.budget.cell_seconds)
    run: Comparison = start_run(
        course, classroom, assignment, force=False, sandboxed=sandboxed, finished=finished, kind=Comparison
    )
    started(len(graded))
    if apply:
        Memo(classroom, course, chapter).write(run.keys)
        with open_ledger(run) as run.ledger:
            run.execute(graded, executor)
    else:
        run.execute(graded, executor)
    for each in run.done:
        if not each.recorded:
            report.lost.append((each.student, each.problem))
        else:
            kind = report.untouched if each.skipped else report.executed if each.executed else report.judged
            kind.append(each.student)
    report.moves = sorted(run.moves, key=lambda move: move.student)
    return report


def _graded_places(
    classroom: Classroom, assignment: Assignment, places: Sequence[Place], report: Regraded
) -> list[Place]:
    """The submissions that were graded as they lie here. The others are no matter of a changed check."""
    chapter_id, graded = assignment.chapter.id, []
    labels = [exercise.label for exercise in assignment.exercises]
    for place in places:
        found = read_result(classroom, place.student, chapter_id)
        if found is None:
            report.never.append(place.student)
        elif found.get("attempt") != take_in(place).digest:
            report.again.append(place.student)
        else:
            _same_exercises(chapter_id, [each["exercise"] for each in found["exercises"]], labels)
            graded.append(place)
    if not graded:
        raise UsageError(f"no submission of {chapter_id} has been graded as it lies here", f"course grade {chapter_id}")
    return graded


def _same_exercises(chapter_id: str, before: Sequence[str], now: Sequence[str]) -> None:
    added, removed = [name for name in now if name not in before], [name for name in before if name not in now]
    if not added and not removed:
        return
    changes = [f"{word} {', '.join(names)}" for word, names in (("added", added), ("removed", removed)) if names]
    raise UsageError(
        f"exercises of {chapter_id} were {' and '.join(changes)} since this class was graded, and nbgrader takes no "
        "such change where there are submissions",
        f"keep what teachers wrote (`course report {chapter_id} --csv FILE`), take the submissions out with "
        f"`nbgrader db assignment remove {chapter_id} --force` in the class folder, and run "
        f"`course grade {chapter_id}`; or grade into another --class folder. Points and criteria may change",
    )
