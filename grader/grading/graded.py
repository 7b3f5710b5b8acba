"""What became of submissions, and a class of which nothing has changed since."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grader.course import Chapter, Course
from grader.grading.choosing import work_in
from grader.grading.classroom import Classroom
from grader.grading.collecting import find_submissions, take_in
from grader.grading.earlier import Memo, unchanged
from grader.grading.ledger import Held, points_held


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
        executed: whether anything of the student's ran; not where an earlier run's answers were judged again.
    """

    student: str
    points: float
    max_points: float
    problem: str = ""
    repairs: tuple[str, ...] = ()
    skipped: bool = False
    recorded: bool = True
    executed: bool = False


def unchanged_class(
    course: Course, chapter: Chapter, classroom: Classroom, *, only: Sequence[str] = (), sandboxed: bool = False
) -> list[Graded] | None:
    """What became of each submission in earlier runs, if nothing of the course, the grader, this Python and the
    submissions has changed since; None at the first thing that has.

    It builds no notebook, imports no nbgrader, asks the gradebook once and writes nothing. The arguments are those
    of `grade_class`.

    Raises:
        UsageError: when there is nothing to grade.
        EnvironmentProblem: when the gradebook cannot be read.
    """
    keys = Memo(classroom, course, chapter).read()
    if keys is None:
        return None
    places = find_submissions(classroom.submitted, chapter.id, chapter.page.stem, only, work_in(course, chapter))
    held = points_held(classroom.db_url, keys.chapter)
    secret, found = classroom.secret(), []
    for place in places:
        submission = take_in(place)
        result = unchanged(classroom, keys, secret, submission, held.get(submission.student), sandboxed)
        if result is None:
            return None
        found.append(as_before(submission.student, held[submission.student], result))
    return found


def as_before(student: str, held: Held, result: dict[str, Any]) -> Graded:
    """A submission that was left as it is, from its result and what the gradebook holds."""
    repairs = tuple(result["repairs"])
    return Graded(student, held.points, result["max_points"], result["problem"], repairs, skipped=True)
