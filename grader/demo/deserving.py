"""What each student of the demo deserves: the hidden checks' word, in a process without a sandbox.

A wrong answer's points may depend on the cases that are drawn. So the checks are asked about what was handed
in with the seeds of that very submission, and there is one right score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from grader.course import Chapter, Course
from grader.demo.students import Student
from grader.grading.classroom import Classroom
from grader.grading.collecting import find_submissions, take_in
from grader.hidden import seed_for
from grader.proving.material import CodeCell
from grader.proving.running import run_chapter


def seeds_of(classroom: Classroom, chapter: Chapter, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """The seeds of what lies in `submitted/`, by student and exercise, as grading will have them."""
    secret = classroom.secret()
    places = find_submissions(classroom.submitted, chapter.id, chapter.page.stem)
    return {
        taken.student: {label: seed_for(secret, chapter.id, taken.student, taken.digest, label) for label in labels}
        for taken in map(take_in, places)
    }


def deserve(
    course: Course,
    chapter: Chapter,
    cells: Sequence[CodeCell],
    students: Sequence[Student],
    seeds: Mapping[str, Mapping[str, int]],
    parallel: int,
) -> list[Student]:
    """The same students, each with the points that their `chosen` answers deserve with their own seeds.

    Each answer of each student is asked in a process of its own, so that none remembers the cases of another.
    One that ends its process deserves none.
    """
    found: dict[str, dict[str, float]] = {student.name: {} for student in students}
    whose = [(student, label) for student in students for label in student.chosen]
    asked = [(student.chosen[label], [seeds[student.name][label]]) for student, label in whose]
    _, tried = run_chapter(course, chapter, cells, False, (), parallel, lambda done, count: None, asked)
    for (student, label), item in zip(whose, tried, strict=True):
        found[student.name][label] = sum(hearing.points for hearing in item.trial.hearings)
    return [replace(student, deserved=found[student.name]) for student in students]
