"""Grade a class: prepare, execute, record. One process writes; workers get plans and return outcomes."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from grader.course import Chapter, Course
from grader.errors import EnvironmentProblem, SubmissionError
from grader.execution.plan import Outcome, Plan
from grader.execution.workers import TROUBLE
from grader.files import write_whole
from grader.grading.assignment import Assignment, load_assignment
from grader.grading.classroom import Classroom, check_gradebook, programs_on_path, write_settings
from grader.grading.collecting import (
    Place,
    Submission,
    find_submissions,
    is_recordable,
    take_in,
    with_problem,
)
from grader.grading.feedback import as_json, as_page, result_record
from grader.grading.judging import judge_outcome, nothing_met
from grader.grading.loose import read_loosely
from grader.grading.planning import Judgement, make_plan
from grader.grading.recording import finished_notebook, record, register, scores_in_gradebook
from grader.grading.skeleton import Prepared, rebuild
from grader.hidden import Result


@dataclass(frozen=True)
class Ready:
    """One submission, prepared: its plan, and what is needed to judge and record it."""

    submission: Submission
    prepared: Prepared
    plan: Plan
    kept: Judgement


@dataclass(frozen=True)
class Graded:
    """What became of one submission.

    Attributes:
        student: the student.
        points: what the gradebook holds now.
        max_points: what there was to earn.
        problem: why there was nothing to grade, if so.
        repairs: what was mended.
        skipped: graded before from the same bytes with the same checks; nothing was done.
        recorded: false where nothing could be written: a name that no gradebook holds, or trouble of the
            grader's own.
    """

    student: str
    points: float
    max_points: float
    problem: str = ""
    repairs: tuple[str, ...] = ()
    skipped: bool = False
    recorded: bool = True


Executor = Callable[[Iterator[Plan]], Iterator[tuple[int, Outcome]]]
"""Runs plans as it draws them and yields (number of the plan, outcome) as they finish, in any order."""


@dataclass
class Run:
    """One run over a class: what is the same for every student of it."""

    classroom: Classroom
    assignment: Assignment
    slug: str
    language: str
    secret: str
    force: bool
    sandboxed: bool
    finished: Callable[[Graded], None]
    done: list[Graded] = field(default_factory=list)
    waiting: dict[int, Ready] = field(default_factory=dict)
    """Prepared and not yet recorded, by the number of the plan."""
    scores: dict[str, float] = field(default_factory=dict)
    """What the gradebook held when the run began, by student."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def finish(self, graded: Graded) -> None:
        """Keep what became of a submission and say so."""
        self.done.append(graded)
        self.finished(graded)

    def plans(self, places: Sequence[Place]) -> Iterator[Plan]:
        """Prepare one submission after the other, as workers ask for them; what needs no worker is recorded
        here."""
        for place in places:
            submission = take_in(place)
            before = None if self.force else graded_before(self, submission)
            if before is not None:
                self.finish(before)
                continue
            try:
                ready = _prepare(self.assignment, submission, self.secret)
            except SubmissionError as error:
                self.finish(_record_problem(self, with_problem(submission, error.problem)))
                continue
            self.waiting[next(self.numbers)] = ready
            yield ready.plan

    def take_back(self, number: int, outcome: Outcome) -> None:
        """Judge and record one outcome."""
        self.finish(_record_outcome(self, self.waiting.pop(number), outcome))


def grade_class(
    course: Course,
    chapter: Chapter,
    classroom: Classroom,
    executor: Executor,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    sandboxed: bool = False,
    started: Callable[[int], None] = lambda total: None,
    finished: Callable[[Graded], None] = lambda graded: None,
) -> list[Graded]:
    """Grade every submission of a chapter and return what became of each, by student.

    Args:
        course: the course.
        chapter: the chapter.
        classroom: from `open_classroom`.
        executor: where plans run.
        only: the students to grade; all where it is empty.
        force: grade again what is unchanged since it was graded.
        sandboxed: do not keep results of an earlier run that had no sandbox.
        started: told the number of submissions once they are known.
        finished: told of each submission when its score is written.

    Raises:
        UsageError: when there is nothing to grade. Nothing is written then.
        AuthoringError: for an author's mistake. Nothing is written then.
        EnvironmentProblem: when the gradebook fails.
    """
    assignment = load_assignment(course, chapter)
    places = find_submissions(classroom.submitted, chapter.id, assignment.stem, only)
    about = course.settings["course"]
    slug = str(about["slug"])
    programs_on_path()
    register(classroom, assignment, slug)
    write_settings(classroom, course, chapter.budget.cell_seconds)
    run = Run(
        classroom,
        assignment,
        slug,
        str(about.get("language", "en")),
        classroom.secret(),
        force,
        sandboxed,
        finished,
    )
    run.scores = scores_in_gradebook(classroom, assignment)
    started(len(places))
    plans = run.plans(places)
    first = next(plans, None)
    # a run in which nothing changed starts no worker
    if first is not None:
        for number, outcome in executor(itertools.chain([first], plans)):
            run.take_back(number, outcome)
    return sorted(run.done, key=lambda graded: graded.student)


def _prepare(assignment: Assignment, submission: Submission, secret: str) -> Ready:
    if submission.problem:
        raise SubmissionError(submission.problem)
    cells, remarks = read_loosely(submission.data)
    prepared = rebuild(assignment.skeleton, cells)
    prepared.repairs[:0] = remarks
    plan, kept = make_plan(assignment, prepared, secret, submission.student, submission.digest)
    return Ready(replace(submission, data=b""), prepared, plan, kept)


def _record_problem(run: Run, submission: Submission) -> Graded:
    """Zero and a plain message for what cannot be read."""
    prepared = rebuild(run.assignment.skeleton, [])
    prepared.repairs.clear()
    results = {
        exercise.label: nothing_met(run.assignment.hidden[exercise.label], submission.problem)
        for exercise in run.assignment.exercises
    }
    return _write_down(run, submission, prepared, Outcome(), results, {})


def _record_outcome(run: Run, ready: Ready, outcome: Outcome) -> Graded:
    if TROUBLE in outcome.notes:
        # the grader's own trouble is no word on the student: what was recorded before stays
        most = sum(exercise.points for exercise in run.assignment.exercises)
        return Graded(ready.submission.student, 0.0, most, outcome.notes[TROUBLE], recorded=False)
    results = judge_outcome(run.assignment, ready.kept, outcome)
    return _write_down(run, ready.submission, ready.prepared, outcome, results, ready.kept.seeds)


def _write_down(
    run: Run,
    submission: Submission,
    prepared: Prepared,
    outcome: Outcome,
    results: dict[str, Result],
    seeds: dict[str, int],
) -> Graded:
    """Write gradebook, notebook and feedback; the result file last, for it says "done".

    What cannot be written for one student ends the run only if the gradebook is lost for all.
    """
    assignment, student = run.assignment, submission.student
    summary = result_record(assignment, submission, results, outcome, prepared.repairs, seeds)
    repairs, most = tuple(summary["repairs"]), summary["max_points"]
    if not is_recordable(submission):
        return Graded(student, 0.0, most, submission.problem, repairs, recorded=False)
    folder = run.classroom.feedback(student, assignment.chapter.id)
    try:
        (folder / "result.json").unlink(missing_ok=True)
        notebook = finished_notebook(assignment, prepared, outcome, results)
        points = record(run.classroom, assignment, run.slug, student, submission.claimed, notebook)
        write_whole(folder / "feedback.html", as_page(summary, assignment.chapter.title, run.language))
        write_whole(folder / "result.json", as_json(summary))
    except (EnvironmentProblem, OSError) as error:
        check_gradebook(run.classroom.db_url)
        words = error.problem if isinstance(error, EnvironmentProblem) else str(error)
        return Graded(student, 0.0, most, words, repairs, recorded=False)
    return Graded(student, points, most, submission.problem, repairs)


def graded_before(run: Run, submission: Submission) -> Graded | None:
    """What an earlier run made of the very same submission, checks and library, if all of it is there."""
    classroom, assignment, points = run.classroom, run.assignment, run.scores.get(submission.student)
    if points is None or not is_recordable(submission):
        return None
    folder = classroom.feedback(submission.student, assignment.chapter.id)
    try:
        found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        same = [found[key] for key in ("attempt", "claimed", "checks", "library", "edition")] == [
            submission.digest,
            submission.claimed,
            assignment.checks_digest,
            assignment.library_digest,
            assignment.edition,
        ] and (found["isolation"] != "none" or not run.sandboxed)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    autograded = classroom.root / "autograded" / submission.student / assignment.chapter.id
    if not same or not (folder / "feedback.html").is_file() or not autograded.is_dir():
        return None
    return Graded(
        submission.student,
        points,
        found["max_points"],
        found["problem"],
        tuple(found["repairs"]),
        skipped=True,
    )
