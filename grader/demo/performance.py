"""The demo from beginning to end: make the class, grade it, and hold everything against what should be."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.course import Chapter, Course
from grader.demo.deserving import deserve, seeds_of
from grader.demo.evidence import Listener, leaks, left_behind, loot_of, telling_lines
from grader.demo.hostile import attempts, thief
from grader.demo.students import Student, make_students, sort_answers
from grader.errors import UsageError
from grader.grading.classroom import Classroom, open_classroom
from grader.teaching.report import ClassReport

CANARY = "COURSE_DEMO_CANARY"
"""An environment variable of the grading process, whose value must reach no student."""


@dataclass
class DemoOutcome:
    """What the demo ended with.

    Attributes:
        students: the class.
        report: the points, as the gradebook holds them.
        differences: what is not as it should be, one sentence each.
        wrong: the students whom a difference concerns.
        attempts: how many things the thief tried to read.
        places: what lies where, for people.
        seconds: of all of it, from the making of the class to the reports.
    """

    students: list[Student]
    report: ClassReport
    differences: list[str] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    attempts: int = 0
    places: dict[str, Path] = field(default_factory=dict)
    seconds: float = 0.0


def perform(
    course: Course,
    chapter: Chapter,
    folder: Path,
    workers: int | None,
    tell: Callable[[str], None],
) -> DemoOutcome:
    """Make, grade and examine the class.

    Raises:
        UsageError: when the folder holds submissions of others.
        EnvironmentProblem: when there is no sandbox.
    """
    from grader.authoring.notebooks import student_notebook
    from grader.execution.sandbox import find_bubblewrap
    from grader.execution.workers import execute_all
    from grader.grading.grading import grade_class
    from grader.proving.candidates import all_candidates
    from grader.proving.material import read_material

    find_bubblewrap()
    began = time.monotonic()
    root = folder.resolve()
    _refuse_a_real_class(root, chapter)
    cells = read_material(course, chapter)
    (root / "submitted").mkdir(parents=True, exist_ok=True)
    classroom = open_classroom(root)
    listener = Listener()
    # from the class secret, so that a second demo hands in the same things
    mark = "loot-" + hashlib.sha256(classroom.secret().encode()).hexdigest()[:16]
    wanted, drops = _wanted(course, chapter, classroom), _drops(course, classroom)
    students = make_students(
        student_notebook(course, chapter),
        sort_answers(all_candidates(chapter, cells, {}, mutants=False)),
        thief([str(path) for path in wanted], [str(path) for path in drops], listener.port, mark),
    )
    hand_in(students, classroom, chapter)
    tell(f"asking the hidden checks of {chapter.id} what each answer deserves")
    seeds = seeds_of(classroom, chapter, [cell.exercise for cell in cells if cell.role == "answer"])
    students = deserve(course, chapter, cells, students, seeds, workers or 2)
    tell(f"grading {len(students)} submissions")
    os.environ[CANARY] = f"canary-{mark}"
    try:
        grade_class(
            course,
            chapter,
            classroom,
            lambda plans: execute_all(plans, workers=workers),
            finished=lambda graded: tell(f"  {graded.student}: {graded.points:g} of {graded.max_points:g}"),
        )
    finally:
        os.environ.pop(CANARY, None)
        listener.close()
    outcome = DemoOutcome(students, _report(course, chapter, classroom), attempts=attempts(len(wanted)))
    compare_scores(outcome)
    examine_thief(outcome, classroom.root, chapter, listener.visitors, drops, mark)
    _examine_leaks(outcome, course, chapter, classroom, mark)
    _write_reports(outcome, classroom, chapter)
    outcome.seconds = time.monotonic() - began
    return outcome


def _refuse_a_real_class(root: Path, chapter: Chapter) -> None:
    """The demo writes into submitted/; a folder that it did not make is left alone."""
    if (root / "submitted").is_dir() and any((root / "submitted").iterdir()) and not (root / ".demo").exists():
        raise UsageError(f"{root} holds submissions already", "name another folder with --class")
    root.mkdir(parents=True, exist_ok=True)
    (root / ".demo").write_text("made by `course demo`\n", encoding="utf-8")


def hand_in(students: Sequence[Student], classroom: Classroom, chapter: Chapter) -> None:
    """Write each submission where nbgrader expects it."""
    for student in students:
        path = classroom.submitted / student.name / chapter.id / f"{chapter.page.stem}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(student.data)


def _wanted(course: Course, chapter: Chapter, classroom: Classroom) -> list[Path]:
    return [
        classroom.root / "gradebook.db",
        classroom.secret_path,
        classroom.root / "source",
        classroom.submitted,
        classroom.root / "autograded",
        chapter.hidden,
        chapter.mistakes,
        chapter.page,
        course.source_notebook(chapter),
        *(course.library_root / path for path in _own_modules(course, chapter)),
        course.root / "course.toml",
        Path.home() / ".bashrc",
    ]


def _own_modules(course: Course, chapter: Chapter) -> list[Path]:
    return sorted(set(course.library_files()) - set(course.library_files(chapter)))


def _drops(course: Course, classroom: Classroom) -> list[Path]:
    folders = (
        classroom.root,
        classroom.root / "feedback",
        course.root,
        Path.home(),
        Path("/dev/shm"),
        Path("/var/tmp"),
    )
    return [*folders, Path(tempfile.gettempdir()), Path.cwd()]


def _report(course: Course, chapter: Chapter, classroom: Classroom) -> ClassReport:
    from grader.authoring import load_page
    from grader.teaching.report import chapter_report

    names = {f"{e.label}-checks": f"{e.number} {e.title}" for e in load_page(course, chapter).exercises if not e.essay}
    return chapter_report(classroom.db_url, chapter.id, chapter.heading, names)


def _differ(outcome: DemoOutcome, student: str, words: str) -> None:
    outcome.differences.append(f"{student}: {words}")
    outcome.wrong.add(student)


def compare_scores(outcome: DemoOutcome) -> None:
    """Note each student whose points are not what is deserved."""
    rows = {row.student: row.points for row in outcome.report.rows}
    for student in outcome.students:
        for label, deserved in student.deserved.items():
            got = rows.get(student.name, {}).get(f"{label}-checks")
            if got != deserved:
                _differ(outcome, student.name, f"{label} got {got} points and deserves {deserved:g}")


def examine_thief(
    outcome: DemoOutcome, root: Path, chapter: Chapter, visitors: int, drops: Sequence[Path], mark: str
) -> None:
    """Note what the thief got and left: in `root`, the class folder, in `drops`, and through the network."""
    for student in outcome.students:
        if b"WANTED = " not in student.data:
            continue
        loot = loot_of(root / "autograded" / student.name / chapter.id / f"{chapter.page.stem}.ipynb")
        if loot is None:
            _differ(outcome, student.name, "the theft did not run to its end, so it shows nothing")
        for name in loot or []:
            _differ(outcome, student.name, f"could read {name}")
        if visitors:
            _differ(outcome, student.name, "got through to the network")
        for words in left_behind([*drops, root / "submitted" / student.name / chapter.id], mark):
            _differ(outcome, student.name, words)


def _examine_leaks(outcome: DemoOutcome, course: Course, chapter: Chapter, classroom: Classroom, mark: str) -> None:
    """Note what hidden material stands in what students get back, unless they handed it in themselves."""
    from grader.authoring import load_page
    from grader.authoring.notebooks import student_notebook

    public = "\n".join(cell.source for cell in student_notebook(course, chapter).cells)
    solutions = "\n".join(cell.source for cell in load_page(course, chapter).cells if cell.role == "answer")
    secrets = {
        "the class secret": [classroom.secret()],
        "the grader's environment": [f"canary-{mark}"],
        "hidden checks": telling_lines(chapter.hidden.read_text(encoding="utf-8"), public),
        "a reference answer": telling_lines(solutions, public),
    }
    for student in outcome.students:
        # of this chapter alone: what it hides may be public in another one
        folders = [classroom.root / name / student.name / chapter.id for name in ("autograded", "feedback")]
        own = student.text
        not_own = {name: [part for part in parts if part not in own] for name, parts in secrets.items()}
        for words in leaks(folders, not_own):
            _differ(outcome, student.name, words)


def _write_reports(outcome: DemoOutcome, classroom: Classroom, chapter: Chapter) -> None:
    from grader.files import write_whole
    from grader.teaching.report import as_csv, draw_chart

    table, chart = (classroom.root / f"report-{chapter.id}.{kind}" for kind in ("csv", "svg"))
    write_whole(table, as_csv(outcome.report))
    draw_chart(outcome.report, chart)
    first = outcome.students[0].name
    outcome.places = {
        "submissions": classroom.submitted,
        "feedback": classroom.feedback(first, chapter.id) / "feedback.html",
        "autograded": classroom.root / "autograded",
        "gradebook": classroom.root / "gradebook.db",
        "scores": table,
        "chart": chart,
    }
