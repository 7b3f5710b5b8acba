"""`course grade`."""

import contextlib
from pathlib import Path
from typing import Any

import click

from grader.teaching.options import CLASS_OPTION, DB_OPTION, SANDBOX_OPTION, SCHEDULER_OPTION, WORKERS_OPTION


@click.command()
@click.argument("chapter_id", metavar="CHAPTER")
@CLASS_OPTION
@WORKERS_OPTION
@SCHEDULER_OPTION
@SANDBOX_OPTION
@DB_OPTION
@click.option("--student", "students", multiple=True, metavar="NAME", help="Grade only this student; may be repeated.")
@click.option("--force", is_flag=True, help="Grade again what has not changed since it was graded.")
def grade(
    chapter_id: str,
    folder: Path,
    workers: int | None,
    scheduler: str | None,
    no_sandbox: bool,
    db_url: str | None,
    students: tuple[str, ...],
    force: bool,
) -> None:
    """Grade the submissions of CHAPTER.

    Each submission is rebuilt on the instructor's notebook, run in a sandbox, judged against the hidden
    checks, and written to nbgrader's gradebook with a feedback page at
    feedback/STUDENT/CHAPTER/feedback.html. A submission that cannot be read gets zero and a plain message;
    it never stops the class. Whatever is unchanged since it was graded is left as it is. nbgrader's own
    commands and formgrader work on the result, from inside the class folder.
    """
    from grader.course import find_root, load_course
    from grader.errors import CourseError
    from grader.grading.classroom import open_classroom
    from grader.grading.graded import unchanged_class
    from grader.grading.grading import grade_class
    from grader.grading.one_writer import one_writer
    from grader.teaching.executing import chosen_workers
    from grader.teaching.progress import Progress

    course = load_course(find_root())
    chapter = course.chapter(chapter_id)
    classroom = open_classroom(folder, db_url)
    # seen here, so that no sandbox is tried out and no worker started for nothing
    same = None if force else unchanged_class(course, chapter, classroom, only=students, sandboxed=not no_sandbox)
    if same is not None:
        _print_summary(same, classroom.root)
        click.echo(f"Nothing has changed since it was graded. `course report {chapter_id}` shows the class.")
        return
    with (
        chosen_workers(workers, scheduler, no_sandbox=no_sandbox) as executor,
        one_writer(classroom),
        Progress() as (started, finished),
    ):
        graded = grade_class(
            course,
            chapter,
            classroom,
            executor,
            only=students,
            force=force,
            sandboxed=not no_sandbox,
            started=started,
            finished=finished,
        )
    _print_summary(graded, classroom.root)
    if not students:
        _print_class(course, chapter, classroom)
    lost = [each.student for each in graded if not each.recorded]
    if lost:
        raise CourseError(
            f"{len(lost)} of {len(graded)} submissions were not recorded",
            "see the remarks, and run the command again",
        )


LONG_CLASS = 60
"""Above this many students the table lists only those with something to say about."""


def _print_summary(graded: Any, root: Path) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from grader.authoring.page import counted
    from grader.teaching.report import printable

    console = Console()
    shown = [each for each in graded if len(graded) <= LONG_CLASS or each.problem or each.repairs]
    table = Table()
    table.add_column("student", overflow="fold")
    table.add_column("points", justify="right")
    table.add_column("remarks", overflow="fold")
    for each in shown:
        remarks = "not recorded: " * (not each.recorded) + (each.problem or " ".join(each.repairs))
        if each.skipped:
            remarks = f"unchanged. {remarks}".strip()
        table.add_row(
            Text(printable(each.student)), f"{each.points:g} of {each.max_points:g}", Text(printable(remarks))
        )
    if shown:
        console.print(table)
    mean = sum(each.points for each in graded) / len(graded)
    console.print(
        f"{counted(len(graded), 'submission')}, mean {mean:.2f}. Feedback: {root / 'feedback'}",
        soft_wrap=True,
        highlight=False,
    )


def _print_class(course: Any, chapter: Any, classroom: Any) -> None:
    """What `course report` shows, without what takes long: a second run over an unchanged class stays quick."""
    from rich.console import Console

    from grader.errors import UsageError
    from grader.teaching.summary import chapter_summary
    from grader.teaching.terminal import print_summary

    with contextlib.suppress(UsageError):  # nothing could be recorded: said above
        print_summary(chapter_summary(course, chapter, classroom, compare=False), Console())
