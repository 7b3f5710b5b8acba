"""Grade a class: prepare, execute, record. One process writes; workers get plans and return outcomes."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grader.course import Chapter, Course
from grader.errors import EnvironmentProblem, SubmissionError
from grader.execution.plan import Outcome, Plan
from grader.execution.workers import TROUBLE
from grader.files import write_whole
from grader.grading.assignment import Assignment, load_assignment
from grader.grading.choosing import work_in
from grader.grading.classroom import Classroom, check_gradebook, programs_on_path, write_settings
from grader.grading.collecting import Place, Submission, find_submissions, is_recordable, take_in, with_problem
from grader.grading.earlier import Keys, Memo, keys_of, remember_environment, unchanged
from grader.grading.feedback import as_json, as_page, result_record
from grader.grading.graded import Graded, as_before, unchanged_class
from grader.grading.judging import judge_outcome, nothing_met
from grader.grading.ledger import Held, Ledger, points_held
from grader.grading.recalling import Ready, Seen, prepare, recalled, remembered, unreadable
from grader.grading.recording import finished_notebook, register, write_notebook
from grader.grading.store import FOLDER, Store
from grader.hidden import Result

Executor = Callable[[Iterator[Plan]], Iterator[tuple[int, Outcome]]]
"""Runs plans as it draws them and yields (number of the plan, outcome) as they finish, in any order."""


@dataclass
class Run:
    """One run over a class: what is the same for every student of it."""

    classroom: Classroom
    assignment: Assignment
    keys: Keys
    course: Course
    store: Store
    secret: str
    force: bool
    sandboxed: bool
    finished: Callable[[Graded], None]
    ledger: Ledger | None = None
    """Where scores are written; None for a run that writes none."""
    done: list[Graded] = field(default_factory=list)
    waiting: dict[int, Ready] = field(default_factory=dict)
    """Prepared and not yet recorded, by the number of the plan."""
    held: dict[str, Held] = field(default_factory=dict)
    """What the gradebook held when the run began, by student."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def finish(self, graded: Graded) -> None:
        """Keep what became of a submission and say so."""
        self.done.append(graded)
        self.finished(graded)

    def execute(self, places: Sequence[Place], executor: Executor) -> None:
        """Grade these submissions. A run in which nothing has to run starts no worker."""
        plans = self.plans(places)
        first = next(plans, None)
        if first is not None:
            for number, outcome in executor(itertools.chain([first], plans)):
                self.take_back(number, outcome)

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
                ready = prepare(self.assignment, submission, self.secret)
            except SubmissionError as error:
                self.finish(self.settle(with_problem(submission, error.problem)))
                continue
            if not self.force:
                ready = recalled(self.store, ready, self.keys.chapter, self.sandboxed)
            if ready.answered is not None:
                self.finish(self.conclude(ready, ready.answered))
                continue
            self.waiting[next(self.numbers)] = ready
            yield ready.plan

    def take_back(self, number: int, outcome: Outcome) -> None:
        """Keep, judge and record one outcome."""
        ready = self.waiting.pop(number)
        if TROUBLE in outcome.notes:
            # the grader's own trouble is no word on the student: what was recorded before stays
            most = sum(exercise.points for exercise in self.assignment.exercises)
            self.finish(Graded(ready.submission.student, 0.0, most, outcome.notes[TROUBLE], recorded=False))
            return
        outcome = remembered(self.store, ready, self.keys.chapter, outcome)
        self.finish(replace(self.conclude(ready, outcome), executed=True))

    def conclude(self, ready: Ready, outcome: Outcome) -> Graded:
        """Judge one outcome and write down what came of it."""
        results = judge_outcome(self.assignment, ready.kept, outcome)
        return write_down(self, ready, outcome, results)

    def settle(self, submission: Submission) -> Graded:
        """Zero and a plain message for what cannot be read."""
        seen = unreadable(self.assignment, submission)
        return write_down(self, seen, Outcome(), nothing_earned(self.assignment, submission.problem))


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
    same = None if force else unchanged_class(course, chapter, classroom, only=only, sandboxed=sandboxed)
    if same is not None:
        started(len(same))
        for graded in same:
            finished(graded)
        return same
    places = find_submissions(classroom.submitted, chapter.id, chapter.page.stem, only, work_in(course, chapter))
    assignment = load_assignment(course, chapter)
    programs_on_path()
    register(classroom, assignment, str(course.settings["course"]["slug"]))
    write_settings(classroom, course, chapter.budget.cell_seconds)
    run = start_run(course, classroom, assignment, force=force, sandboxed=sandboxed, finished=finished)
    Memo(classroom, course, chapter).write(run.keys)
    started(len(places))
    with open_ledger(run) as run.ledger:
        run.execute(places, executor)
    return sorted(run.done, key=lambda graded: graded.student)


def start_run(
    course: Course,
    classroom: Classroom,
    assignment: Assignment,
    *,
    force: bool,
    sandboxed: bool,
    finished: Callable[[Graded], None],
    kind: type[Run] = Run,
) -> Any:
    """A run of this kind, with all that it needs to know before the first submission."""
    remember_environment(classroom)
    secret, chapter_id, keys = classroom.secret(), assignment.chapter.id, keys_of(assignment)
    store = Store(classroom.root / FOLDER, secret)
    run = kind(classroom, assignment, keys, course, store, secret, force, sandboxed, finished)
    run.held = points_held(classroom.db_url, chapter_id)
    return run


def open_ledger(run: Run) -> Ledger:
    """The gradebook, for the scores of this run."""
    assignment = run.assignment
    slug = str(run.course.settings["course"]["slug"])
    return Ledger(run.classroom.db_url, slug, assignment.chapter.id, assignment.stem)


def graded_before(run: Run, submission: Submission) -> Graded | None:
    """What an earlier run made of the very same submission, if all of it is there."""
    if not is_recordable(submission):
        return None
    held = run.held.get(submission.student)
    result = unchanged(run.classroom, run.keys, run.secret, submission, held, run.sandboxed)
    return None if result is None or held is None else as_before(submission.student, held, result)


def nothing_earned(assignment: Assignment, problem: str) -> dict[str, Result]:
    """No point in any exercise, for one reason."""
    return {
        exercise.label: nothing_met(assignment.hidden[exercise.label], problem) for exercise in assignment.exercises
    }


def write_down(run: Run, seen: Seen, outcome: Outcome, results: dict[str, Result]) -> Graded:
    """Write gradebook, notebook and feedback; the result file last, for it says "done".

    What cannot be written for one student ends the run only if the gradebook is lost for all.
    """
    assignment, submission = run.assignment, seen.submission
    student = submission.student
    summary = result_record(assignment, seen, results, outcome, run.keys.results)
    repairs, most = tuple(summary["repairs"]), summary["max_points"]
    if not is_recordable(submission):
        return Graded(student, 0.0, most, submission.problem, repairs, recorded=False)
    folder = run.classroom.feedback(student, assignment.chapter.id)
    about = run.course.settings["course"]
    assert run.ledger is not None
    try:
        (folder / "result.json").unlink(missing_ok=True)
        notebook = finished_notebook(assignment, seen.prepared, outcome, results)
        points = run.ledger.write(student, submission.claimed, notebook)
        write_notebook(run.classroom, assignment, student, submission.claimed, notebook)
        page = as_page(summary, assignment.chapter.heading, str(about.get("language", "en")))
        write_whole(folder / "feedback.html", page)
        write_whole(folder / "result.json", as_json(summary))
    except (EnvironmentProblem, OSError) as error:
        check_gradebook(run.classroom.db_url)
        words = error.problem if isinstance(error, EnvironmentProblem) else str(error)
        return Graded(student, 0.0, most, words, repairs, recorded=False)
    return Graded(student, points, most, submission.problem, repairs)
