"""Everything a teacher wants to know of a graded class, as one plain value: what tables, pages and JSON show.

Points come from the gradebook, so what a person corrected counts. Words, times and repairs come from the results
of the runs, so they are what the automatic grading said.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grader.course import Chapter, Course
from grader.grading.classroom import Classroom
from grader.hidden import Mistake
from grader.teaching.difficulty import Difficulty, Distribution, difficulties, distribution
from grader.teaching.likeness import find_alike, read_answers
from grader.teaching.misconceptions import EXAMPLES, Misconception, group_failures, without_values
from grader.teaching.report import ClassReport, printable
from grader.teaching.results import Finished, read_results

EXTREMES = 10
"""How many of the slowest and hungriest submissions are listed."""

ALIKE_WORDS = "almost the same answer text, and nobody else has it: look yourself"
UNBOXED_WORDS = "graded without a sandbox: the code could read and change what the grader could"


@dataclass(frozen=True)
class Said:
    """The same words about several students."""

    words: str
    count: int
    students: tuple[str, ...]


@dataclass(frozen=True)
class Suspicion:
    """A reason to look at somebody's submission: never a verdict.

    Attributes:
        kind: "result" where the grading of one submission saw it, "alike" where two or more answers are almost the
            same text, "sandbox" where nothing kept the code from the grader.
        students: whose.
        exercises: labels, where it concerns some.
        words: the reason.
    """

    kind: str
    students: tuple[str, ...]
    exercises: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Unplaced:
    """Somebody without a grade, or with zero for a submission that could not be read."""

    student: str
    words: str


@dataclass(frozen=True)
class Summary:
    """A graded chapter, or the whole course (then only what the gradebook says).

    Attributes:
        report: the points of each student.
        chapter_id: the chapter; None for the course.
        scores: the totals of the class.
        exercises: how hard each was; for the course, each chapter.
        misconceptions: failures by what was misunderstood.
        unplaced: handed in and not graded, or not readable.
        suspicious: reasons to look.
        repairs: what was mended, by kind.
        remarks: what the engine did not do as usual, by kind.
        engine: how many ran in which isolation and from which start.
        results: what each run left, by student.
    """

    report: ClassReport
    chapter_id: str | None
    scores: Distribution
    exercises: tuple[Difficulty, ...]
    misconceptions: tuple[Misconception, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    suspicious: tuple[Suspicion, ...] = ()
    repairs: tuple[Said, ...] = ()
    remarks: tuple[Said, ...] = ()
    engine: Mapping[str, int] = field(default_factory=dict)
    results: Mapping[str, Finished] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Cells that a person still has to grade."""
        return sum(row.waiting for row in self.report.rows)

    def extremes(self, measure: str) -> list[Finished]:
        """The submissions with most `seconds` or `peak_mb`, the largest first."""
        known = [result for result in self.results.values() if getattr(result, measure) is not None]
        return sorted(known, key=lambda each: (-getattr(each, measure), each.student))[:EXTREMES]


def chapter_summary(course: Course, chapter: Chapter, classroom: Classroom, *, compare: bool = True) -> Summary:
    """The summary of one chapter.

    Args:
        course: the course.
        chapter: the chapter.
        classroom: the class folder and its gradebook.
        compare: look for answers that are almost the same text; it reads every autograded notebook.

    Raises:
        UsageError: when the gradebook has no submission of the chapter.
    """
    from grader.loading import load_mistakes
    from grader.teaching.report import chapter_report

    names = exercise_names(course, chapter)
    report = chapter_report(classroom.db_url, chapter.id, chapter.heading, names)
    results = read_results(classroom.root / "feedback", chapter.id, [row.student for row in report.rows])
    mistakes = load_mistakes(chapter.mistakes) if chapter.mistakes.is_file() else []
    found = summarise(report, chapter.id, results, mistakes)
    alike = _alike(classroom, chapter, report) if compare else []
    return Summary(
        **{
            **vars(found),
            "suspicious": (*found.suspicious, *alike),
            "unplaced": (*_not_graded(classroom, chapter, report), *found.unplaced),
        }
    )


def course_summary(course: Course, classroom: Classroom) -> Summary:
    """The summary of the whole course, chapter by chapter.

    Raises:
        UsageError: when the gradebook has no submission.
    """
    from grader.teaching.report import course_report

    title = str(course.settings["course"]["title"])
    names = {each.id: each.heading for each in course.chapters}
    report = course_report(classroom.db_url, title, names, {each.id for each in course.chapters if each.bonus})
    return summarise(report, None, {}, [])


def exercise_names(course: Course, chapter: Chapter) -> dict[str, str]:
    """Number and title of each exercise by the grade id that carries its points."""
    from grader.authoring.checking import load_page

    return {
        exercise.label if exercise.essay else f"{exercise.label}-checks": f"{exercise.number} {exercise.title}"
        for exercise in load_page(course, chapter).exercises
    }


def summarise(
    report: ClassReport, chapter_id: str | None, results: Mapping[str, Finished], mistakes: Sequence[Mistake]
) -> Summary:
    """Put together what the points and the results of a class say."""
    labels = [column.label.removesuffix("-checks") for column in report.columns]
    finished = list(results.values())
    unboxed = tuple(each.student for each in finished if each.isolation == "none")
    suspicious = _reasons(finished)
    if unboxed:
        suspicious.append(Suspicion("sandbox", unboxed, (), UNBOXED_WORDS))
    lost = [row.student for row in report.rows if row.student not in results] if chapter_id else []
    engine: dict[str, int] = {}
    for each in finished:
        for key in (each.isolation and f"isolation {each.isolation}", each.start and f"start {each.start}"):
            if key:
                engine[key] = engine.get(key, 0) + 1
    return Summary(
        report=report,
        chapter_id=chapter_id,
        scores=distribution(report),
        exercises=tuple(difficulties(report, results)),
        misconceptions=tuple(group_failures(finished, mistakes, labels)),
        unplaced=(
            *(Unplaced(each.student, each.problem) for each in finished if each.problem),
            *(Unplaced(student, "in the gradebook, but without a result of `course grade`") for student in lost),
        ),
        suspicious=tuple(suspicious),
        repairs=_by_words([(words, each.student) for each in finished for words in each.repairs], labels),
        remarks=_by_words([(each.remark, each.student) for each in finished if each.remark], labels),
        engine=dict(sorted(engine.items())),
        results=results,
    )


def _reasons(results: Sequence[Finished]) -> list[Suspicion]:
    """What the runs found odd, the rarest first: what half a class does is a habit."""
    holders: dict[str, list[str]] = {}
    for result in results:
        for words in dict.fromkeys(result.suspicious):
            holders.setdefault(words, []).append(result.student)
    found = sorted(holders.items(), key=lambda each: (len(each[1]), each[0]))
    return [Suspicion("result", tuple(students), (), words) for words, students in found]


def _by_words(said: Iterable[tuple[str, str]], labels: Sequence[str]) -> tuple[Said, ...]:
    """Sentences that differ only in the exercise and in the values they show, the most frequent first."""
    names = re.compile("|".join(rf"(?<![\w-]){re.escape(label)}(?![\w-])" for label in labels) or "$^")
    groups: dict[str, dict[str, str]] = {}
    for words, student in said:
        groups.setdefault(without_values(names.sub("…", words)), {}).setdefault(student, words)
    found = (
        # one wording is shown as it was said, several as what they have in common
        Said(next(iter(own.values())) if len(set(own.values())) == 1 else kind, len(own), tuple(sorted(own)[:EXAMPLES]))
        for kind, own in groups.items()
    )
    return tuple(sorted(found, key=lambda each: (-each.count, each.words)))


def _not_graded(classroom: Classroom, chapter: Chapter, report: ClassReport) -> list[Unplaced]:
    """Those whose folder is in `submitted/` and who are not in the gradebook, with the reason where there is one."""
    from grader.errors import UsageError
    from grader.grading.collecting import find_submissions

    known = {row.student for row in report.rows}
    try:
        places = find_submissions(classroom.submitted, chapter.id, chapter.page.stem)
    except (UsageError, OSError):
        return []
    waits = f"handed in and not graded: run `course grade {chapter.id}`"
    return [
        Unplaced(printable(place.student), place.problem or waits) for place in places if place.student not in known
    ]


def _alike(classroom: Classroom, chapter: Chapter, report: ClassReport) -> list[Suspicion]:
    labels = [column.label.removesuffix("-checks") for column in report.columns]
    notebook = f"{chapter.page.stem}.ipynb"
    own = classroom.root / "autograded"
    paths = ((row.student, f"{own}/{row.student}/{chapter.id}/{notebook}") for row in report.rows)
    released = read_answers([("", str(classroom.root / "release" / chapter.id / notebook))], labels)
    skeleton = {label: sources[""] for label, sources in released.items() if sources}
    groups = find_alike(read_answers(paths, labels), skeleton)
    return [Suspicion("alike", each.students, each.exercises, ALIKE_WORDS) for each in groups]
